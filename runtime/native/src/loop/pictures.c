/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Only what surrounds the coded data is looked at here. Decoders differ in what they make of bytes that nobody writes,
 * such as a second picture behind the first or colours that two marks tell differently: a scene holds none of them.
 */
#include "loop/pictures.h"

#include <string.h>

#include "bytes.h"

/* The decoder checks the chunks themselves. */
static const char *png_wrong(const uint8_t *p, size_t size) {
    for (size_t at = 8;;) {
        if (size - at < 12 || sf_be32(p + at) > size - at - 12) return "a PNG that is cut short";
        const int is_last = !memcmp(p + at + 4, "IEND", 4);
        at += 12 + sf_be32(p + at);
        if (is_last) return at == size ? 0 : "a PNG that goes on after its end";
    }
}

/* One VP8L chunk in a RIFF container (RFC 9649, section 2.3), padded to an even size. */
static const char *webp_wrong(const uint8_t *p, size_t size) {
    if (size < 25 || memcmp(p + 12, "VP8L", 4)) return "no lossless WebP";
    const uint64_t whole = sf_le32(p + 4), chunk = sf_le32(p + 16);
    return whole + 8 == size && 12 + chunk + (chunk & 1) == whole ? 0 : "a WebP that holds more than a picture";
}

enum { SOF0 = 0xc0, SOF2 = 0xc2, DHT = 0xc4, EOI = 0xd9, SOS = 0xda, DQT = 0xdb, DRI = 0xdd };
enum { APP0 = 0xe0, APP15 = 0xef, COM = 0xfe };

static int is_known(int marker) {
    return marker == SOF0 || marker == SOF2 || marker == DHT || marker == SOS || marker == DQT || marker == DRI ||
           marker == COM || (marker >= APP0 && marker <= APP15);
}

/* Whether a frame's header, of which size bytes follow its length, is gray, 4:4:4, 4:2:2 or 4:2:0 of 8 bits. */
static int frame_good(const uint8_t *p, size_t size) {
    if (size < 9 || p[0] != 8 || size != 6 + 3 * (size_t)p[5]) return 0;
    if (p[5] == 1) return p[7] == 0x11;
    return p[5] == 3 && (p[7] == 0x11 || p[7] == 0x21 || p[7] == 0x22) && p[10] == 0x11 && p[13] == 0x11;
}

/* Where a scan's coded data end: at a marker that is neither a stuffed zero nor a restart. */
static size_t scan_end(const uint8_t *p, size_t size, size_t at) {
    while (at + 1 < size) {
        const uint8_t *found = memchr(p + at, 0xff, size - at - 1);
        if (!found) break;
        at = (size_t)(found - p);
        const uint8_t next = p[at + 1];
        if (next != 0 && next != 0xff && !(next >= 0xd0 && next <= 0xd7)) return at;
        at += next == 0xff ? 1 : 2;
    }
    return size;
}

/* ITU-T T.81, annex B. */
static const char *jpeg_wrong(const uint8_t *p, size_t size) {
    const char *const damaged = "a JPEG that is damaged or cut short";
    if (size < 20 || p[2] != 0xff || p[3] != APP0 || sf_be16(p + 4) < 16 || memcmp(p + 6, "JFIF", 5))
        return "a JPEG that does not begin with a JFIF mark";
    int frames = 0;
    for (size_t at = 2;;) {
        while (size - at >= 2 && p[at] == 0xff && p[at + 1] == 0xff) at++; /* fill bytes before a marker */
        if (size - at < 2 || p[at] != 0xff) return damaged;
        const int marker = p[at + 1];
        if (marker == EOI) return !frames ? damaged : at + 2 == size ? 0 : "a JPEG that goes on after its end";
        if (!is_known(marker) || size - at < 4) return damaged;
        const size_t length = sf_be16(p + at + 2);
        if (length < 2 || length > size - at - 2) return damaged;
        if ((marker == SOF0 || marker == SOF2) && (frames++ || !frame_good(p + at + 4, length - 2)))
            return "a JPEG that is neither gray nor 4:4:4, 4:2:2 or 4:2:0 of 8 bits";
        at += 2 + length;
        if (marker == SOS) at = scan_end(p, size, at);
    }
}

const char *sf_picture_wrong(const sf_section *s) {
    return s->encoding == SF_PNG    ? png_wrong(s->bytes, s->size)
           : s->encoding == SF_JPEG ? jpeg_wrong(s->bytes, s->size)
                                    : webp_wrong(s->bytes, s->size);
}
