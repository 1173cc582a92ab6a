/* SPDX-License-Identifier: Apache-2.0 */
/* PNG (W3C Recommendation, second edition): 8 bits, gray, RGB or RGBA, not interlaced. */
#include <string.h>

#include "bytes.h"
#include "channels.h"
#include "codecs.h"
#include "look.h"
#include "png_filters.h"

#define WHAT "cannot read the PNG"
#define FIX_FILE "get the file anew"
#define FIX_KIND "save it as an 8-bit PNG of gray, RGB or RGBA, not interlaced"

#define HEAD_SIZE 13
#define FRAME_SIZE 12 /* length, type and CRC around a chunk's data */

static const uint8_t SIGNATURE[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

static int is_type(const uint8_t *type, const char *name) { return !memcmp(type, name, 4); }

int sf_png_look(const uint8_t *bytes, size_t size, sf_picture *picture) {
    if (size < 8 + FRAME_SIZE + HEAD_SIZE || memcmp(bytes, SIGNATURE, 8)) return 1;
    if (sf_be32(bytes + 8) != HEAD_SIZE || !is_type(bytes + 12, "IHDR")) return 1;
    const uint8_t *const head = bytes + 16;
    const int32_t channels = head[9] == 0 ? 1 : head[9] & 4 ? 4 : 3;
    return sf_picture_fill(picture, SF_PICTURE_PNG, sf_be32(head), sf_be32(head + 4), channels);
}

/* The zlib stream: all IDAT together. */
typedef struct stream {
    const uint8_t *bytes;
    size_t size;
} stream;

/*
 * Check every chunk up to IEND and sum up the IDAT; with joined, copy them there. Chunks that need not be understood
 * (a lower-case first letter: colour profiles, times, texts...) and a suggested palette are passed over.
 */
static stream read_chunks(sf_room *room, const uint8_t *bytes, size_t size, uint8_t *joined) {
    stream data = {0, 0};
    int parts = 0, has_ended = 0;
    for (size_t at = 8;;) {
        if (size - at < FRAME_SIZE || sf_be32(bytes + at) > size - at - FRAME_SIZE)
            sf_give_up(room, SF_ERROR_FORMAT, WHAT, FIX_FILE, "it is cut off at byte %llu", (unsigned long long)size);
        const size_t length = sf_be32(bytes + at);
        const uint8_t *const type = bytes + at + 4, *const content = type + 4;
        if (!joined && sf_crc32(type, length + 4) != sf_be32(content + length))
            sf_give_up(room, SF_ERROR_FORMAT, WHAT, FIX_FILE, "the sum of the chunk at byte %llu differs",
                       (unsigned long long)at);
        at += length + FRAME_SIZE;
        if (is_type(type, "IEND")) break;
        if (is_type(type, "IDAT")) {
            if (has_ended) sf_give_up(room, SF_ERROR_FORMAT, WHAT, FIX_FILE, "its data lie in two places");
            if (!parts++) data.bytes = content;
            if (joined) memcpy(joined + data.size, content, length);
            data.size += length;
        } else {
            has_ended = parts > 0;
            if (!(type[0] & 32) && !is_type(type, "IHDR") && !is_type(type, "PLTE"))
                sf_give_up(room, SF_ERROR_FORMAT, WHAT, FIX_FILE, "it holds a chunk that nobody knows");
        }
    }
    if (!parts) sf_give_up(room, SF_ERROR_FORMAT, WHAT, FIX_FILE, "it holds no data");
    if (joined) data.bytes = joined;
    else if (parts > 1) return read_chunks(room, bytes, size, sf_take(room, data.size, 1));
    return data;
}

static void check_head(sf_room *room, const uint8_t *head) {
    const int depth = head[8], colours = head[9];
    if (depth != 8)
        sf_give_up(room, SF_ERROR_FORMAT, WHAT, FIX_KIND, "it has %d bits a channel, not 8", depth);
    if (colours != 0 && colours != 2 && colours != 6)
        sf_give_up(room, SF_ERROR_FORMAT, WHAT, FIX_KIND, "%s",
                   colours == 3   ? "it has a palette"
                   : colours == 4 ? "it is gray with alpha"
                                  : "its colours are of no kind that is known");
    if (head[12] == 1) sf_give_up(room, SF_ERROR_FORMAT, WHAT, FIX_KIND, "it is interlaced");
    if (head[10] || head[11] || head[12])
        sf_give_up(room, SF_ERROR_FORMAT, WHAT, FIX_FILE, "it is packed in a way that nobody knows");
}

/* To out, or with null there to who takes the rows. */
static void decode(sf_room *room, const uint8_t *bytes, size_t size, int32_t channels, uint8_t *out, sf_row_taker *take,
                   void *user) {
    sf_picture picture;
    if (sf_png_look(bytes, size, &picture))
        sf_give_up(room, SF_ERROR_FORMAT, WHAT, FIX_FILE, "it is no PNG, is cut off, or has a size beyond the limits");
    const sf_mark mark = sf_room_mark(room);
    check_head(room, bytes + 16);
    const stream data = read_chunks(room, bytes, size, 0);

    const size_t pixels = (size_t)picture.width, row_bytes = pixels * (size_t)picture.channels;
    const uint64_t all = ((uint64_t)row_bytes + 1) * (uint64_t)picture.height;
    uint8_t *const rows = sf_take(room, all, 1);
    if (sf_inflate(data.bytes, data.size, rows, (size_t)all, 1))
        sf_give_up(room, SF_ERROR_FORMAT, WHAT, FIX_FILE, "its compressed data are damaged");

    uint8_t *const made = sf_take_zeroed(room, 2, row_bytes); /* this row and the one above, in turn */
    uint8_t *const passing = out ? 0 : sf_take(room, pixels, (uint64_t)channels);
    const uint8_t *above = made + row_bytes;
    for (int32_t y = 0; y < picture.height; y++) {
        const uint8_t *const row = rows + (size_t)y * (row_bytes + 1);
        uint8_t *const to = out ? out + (size_t)y * pixels * (size_t)channels : passing;
        uint8_t *const here = out && channels == picture.channels ? to : made + (y & 1 ? row_bytes : 0);
        if (row[0] > 4) sf_give_up(room, SF_ERROR_FORMAT, WHAT, FIX_FILE, "row %d has no filter that is known", (int)y);
        sf_png_unfilter(row[0], row + 1, above, here, pixels, picture.channels);
        if (here != to) sf_spread_channels(here, picture.channels, to, channels, pixels);
        if (!out) take(user, y, to);
        above = here;
    }
    sf_room_rewind(room, mark);
}

void sf_png_decode(sf_room *room, const uint8_t *bytes, size_t size, uint8_t *out, int32_t channels) {
    decode(room, bytes, size, channels, out, 0, 0);
}

void sf_png_rows(sf_room *room, const uint8_t *bytes, size_t size, int32_t channels, sf_row_taker *take, void *user) {
    decode(room, bytes, size, channels, 0, take, user);
}
