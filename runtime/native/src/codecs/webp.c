/* SPDX-License-Identifier: Apache-2.0 */
/* WebP: the container (RFC 9649, section 2), and lossless pictures in it. */
#include <string.h>

#include "bytes.h"
#include "channels.h"
#include "codecs.h"
#include "look.h"
#include "vp8l.h"

#define FIX_KIND "save it as a lossless WebP that does not move"

/* The chunk that holds the picture, and what was before it. */
typedef struct content {
    const uint8_t *bytes;
    size_t size;
    int is_lossy, is_animated;
    uint32_t width, height; /* of the extended header; 0 where there is none */
} content;

/* Walk over the chunks up to the picture. 0, or 1 where there is none. */
static int find_content(const uint8_t *bytes, size_t size, content *found) {
    memset(found, 0, sizeof *found);
    if (size < 12 || memcmp(bytes, "RIFF", 4) || memcmp(bytes + 8, "WEBP", 4)) return 1;
    const uint32_t told = sf_le32(bytes + 4);
    if (told < 4 || told > size - 8) return 1;
    size = (size_t)told + 8;
    for (size_t at = 12; size - at >= 8;) {
        const uint8_t *const name = bytes + at, *const data = name + 8;
        const size_t length = sf_le32(name + 4);
        if (length > size - at - 8) return 1;
        if (!memcmp(name, "VP8X", 4)) {
            if (length < 10) return 1;
            found->is_animated = data[0] >> 1 & 1;
            found->width = 1 + sf_le24(data + 4);
            found->height = 1 + sf_le24(data + 7);
            if (found->is_animated) return 0;
        } else if (!memcmp(name, "VP8L", 4) || !memcmp(name, "VP8 ", 4)) {
            found->bytes = data;
            found->size = length;
            found->is_lossy = name[3] == ' ';
            return 0;
        }
        const size_t with_padding = 8 + length + (length & 1);
        if (with_padding > size - at) return 1;
        at += with_padding;
    }
    return 1;
}

static int look_at(const content *found, sf_picture *picture) {
    const uint8_t *const p = found->bytes;
    if (found->is_animated) return sf_picture_fill(picture, SF_PICTURE_WEBP, found->width, found->height, 4);
    uint32_t width, height, channels = 3;
    if (found->is_lossy) {
        if (found->size < 10 || p[3] != 0x9d || p[4] != 0x01 || p[5] != 0x2a) return 1;
        width = sf_le16(p + 6) & 0x3fff;
        height = sf_le16(p + 8) & 0x3fff;
    } else {
        if (found->size < 5 || p[0] != 0x2f) return 1;
        const uint32_t bits = sf_le32(p + 1);
        if (bits >> 29) return 1; /* a version that is not known */
        width = 1 + (bits & 0x3fff);
        height = 1 + (bits >> 14 & 0x3fff);
        channels = bits >> 28 & 1 ? 4 : 3;
    }
    if (found->width && (found->width != width || found->height != height)) return 1;
    return sf_picture_fill(picture, SF_PICTURE_WEBP, width, height, (int32_t)channels);
}

int sf_webp_look(const uint8_t *bytes, size_t size, sf_picture *picture) {
    content found;
    return find_content(bytes, size, &found) || look_at(&found, picture);
}

/* 3 or 4 channels; alpha is what is set in all pixels. */
static void write_colours(const uint32_t *row, uint8_t *out, uint32_t width, int32_t channels, uint32_t alpha) {
    uint32_t x = 0;
#if defined(__SSE2__)
    const __m128i green_alpha = _mm_set1_epi32((int)0xff00ff00u), set = _mm_set1_epi32((int)alpha);
    for (; x + 6 <= width; x += 4) { /* two pixels are left: what is written beyond four stays in the row */
        const __m128i p = _mm_or_si128(_mm_loadu_si128((const __m128i *)(const void *)(row + x)), set);
        const __m128i others = _mm_andnot_si128(green_alpha, p);
        const __m128i swapped = _mm_or_si128(_mm_srli_epi32(others, 16), _mm_slli_epi32(others, 16));
        const __m128i rgba = _mm_or_si128(_mm_and_si128(p, green_alpha), swapped);
        if (channels == 3) sf_store_rgb(out + 3 * (size_t)x, rgba);
        else _mm_storeu_si128((__m128i *)(void *)(out + 4 * (size_t)x), rgba);
    }
#endif
    for (; x < width; x++) {
        const uint32_t pixel = row[x] | alpha;
        uint8_t *const to = out + (size_t)channels * x;
        to[0] = (uint8_t)(pixel >> 16);
        to[1] = (uint8_t)(pixel >> 8);
        to[2] = (uint8_t)pixel;
        if (channels == 4) to[3] = (uint8_t)(pixel >> 24);
    }
}

static void write_green(const uint32_t *restrict row, uint8_t *restrict out, uint32_t width) {
    for (uint32_t x = 0; x < width; x++) out[x] = (uint8_t)(row[x] >> 8);
}

/* To out, or with null there to who takes the rows. */
static void decode(sf_room *room, const uint8_t *bytes, size_t size, int32_t channels, uint8_t *out, sf_row_taker *take,
                   void *user) {
    content found;
    sf_picture picture;
    if (find_content(bytes, size, &found) || look_at(&found, &picture))
        sf_vp8l_give_up(room, "it is no WebP, is cut off, or has a size beyond the limits");
    if (found.is_lossy || found.is_animated)
        sf_give_up(room, SF_ERROR_FORMAT, SF_WEBP_WHAT, FIX_KIND, "it %s", found.is_lossy ? "is lossy" : "is animated");
    const sf_mark mark = sf_room_mark(room);
    const uint32_t width = (uint32_t)picture.width, height = (uint32_t)picture.height;
    sf_bits in = {found.bytes + 5, found.bytes + found.size, 0, 0, 0};
    sf_vp8l_transforms transforms;
    const uint32_t columns = sf_vp8l_read_transforms(room, &in, width, height, &transforms);
    const uint32_t *const pixels = sf_vp8l_image(room, &in, columns, height, 1);
    uint8_t *const passing = out ? 0 : sf_take(room, width, (uint64_t)channels);
    for (uint32_t y = 0; y < height; y++) {
        const uint32_t *const row = sf_vp8l_undo(&transforms, pixels + (size_t)y * columns, y);
        uint8_t *const to = out ? out + (size_t)y * width * (size_t)channels : passing;
        if (channels == 1) write_green(row, to, width);
        else write_colours(row, to, width, channels, picture.channels == 4 ? 0 : 0xff000000u);
        if (!out) take(user, (int32_t)y, to);
    }
    sf_room_rewind(room, mark);
}

void sf_webp_decode(sf_room *room, const uint8_t *bytes, size_t size, uint8_t *out, int32_t channels) {
    decode(room, bytes, size, channels, out, 0, 0);
}

void sf_webp_rows(sf_room *room, const uint8_t *bytes, size_t size, int32_t channels, sf_row_taker *take, void *user) {
    decode(room, bytes, size, channels, 0, take, user);
}
