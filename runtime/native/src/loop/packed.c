/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/packed.h"

#include <math.h>
#include <string.h>

#include "codecs/codecs.h"

static uint64_t elements_of(const sf_section *s) { return (uint64_t)s->planes * (uint64_t)s->rows * (uint64_t)s->columns; }

uint64_t sf_unpack_memory(const sf_section *s) {
    if (!s->bytes || s->encoding != SF_PACKED_NUMBERS) return 0;
    /* The residuals, and two rows. */
    return 2 * elements_of(s) + 4 * (uint64_t)s->columns + 2 * SF_ALIGNMENT;
}

/* A row of numbers, step apart in out, `together` from one to the next. */
static void store_row(const uint16_t *numbers, int32_t columns, float step, int32_t together, float *out) {
    if (together == 1) {
        for (int32_t x = 0; x < columns; x++) out[x] = (float)(int16_t)numbers[x] * step;
        return;
    }
    for (int32_t x = 0; x < columns; x++) out[(size_t)x * (size_t)together] = (float)(int16_t)numbers[x] * step;
}

/* One row of residuals: the sum of the differences along the row, then added to the row above, in place. */
static void undo_row(const uint8_t *low, const uint8_t *high, int32_t columns, uint16_t *residual, uint16_t *row) {
    for (int32_t x = 0; x < columns; x++) {
        const uint16_t u = (uint16_t)(low[x] | high[x] << 8);
        residual[x] = (uint16_t)(u >> 1 ^ -(u & 1));
    }
    uint16_t sum = 0;
    for (int32_t x = 0; x < columns; x++) residual[x] = sum = (uint16_t)(sum + residual[x]);
    for (int32_t x = 0; x < columns; x++) row[x] = (uint16_t)(row[x] + residual[x]);
}

void sf_unpack_numbers(sf_room *room, const sf_section *s, const char *name, int32_t together, float *out) {
    const size_t columns = (size_t)s->columns, cells = (size_t)s->rows * columns;
    const float step = ldexpf(1.0f, s->exponent);
    const sf_mark mark = sf_room_mark(room);
    const uint8_t *bytes = s->bytes;
    uint16_t *row = 0, *residual = 0;
    if (s->encoding == SF_PACKED_NUMBERS) {
        uint8_t *unpacked = sf_take(room, elements_of(s), 2);
        if (sf_inflate(s->bytes, s->size, unpacked, (size_t)elements_of(s) * 2, 1))
            sf_damaged(room, "its section %s does not decompress", name);
        bytes = unpacked;
    }
    row = sf_take(room, 2 * (uint64_t)columns, sizeof *row);
    residual = row + columns;
    for (int32_t k = 0; k < s->planes; k++) {
        const uint8_t *plane = bytes + 2 * cells * (size_t)k;
        float *to = out + (size_t)(k / together) * cells * (size_t)together + (size_t)(k % together);
        memset(row, 0, columns * sizeof *row);
        for (int32_t y = 0; y < s->rows; y++, to += columns * (size_t)together) {
            const size_t at = (size_t)y * columns;
            if (s->encoding == SF_PACKED_NUMBERS)
                undo_row(plane + at, plane + cells + at, s->columns, residual, row);
            else
                for (size_t x = 0; x < columns; x++)
                    row[x] = (uint16_t)(plane[2 * (at + x)] | plane[2 * (at + x) + 1] << 8);
            store_row(row, s->columns, step, together, to);
        }
    }
    sf_room_rewind(room, mark);
}

void sf_unpack_plane(sf_room *room, const sf_section *s, const char *name, uint8_t *out) {
    const size_t columns = (size_t)s->columns, cells = (size_t)s->rows * columns;
    if (sf_inflate(s->bytes, s->size, out, cells, 1)) sf_damaged(room, "its section %s does not decompress", name);
    for (int32_t y = 0; y < s->rows; y++) {
        uint8_t *row = out + (size_t)y * columns, sum = 0;
        for (size_t x = 0; x < columns; x++) row[x] = sum = (uint8_t)(sum + row[x]);
        if (y) for (size_t x = 0; x < columns; x++) row[x] = (uint8_t)(row[x] + row[x - columns]);
    }
}
