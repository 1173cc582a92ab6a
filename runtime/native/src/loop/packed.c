/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/packed.h"

#include <math.h>
#include <string.h>

#include "codecs/codecs.h"
#include "kernels/simd.h"

static uint64_t elements_of(const sf_section *s) {
    return (uint64_t)s->planes * (uint64_t)s->rows * (uint64_t)s->columns;
}

#define SF_TOGETHER_MOST 4

uint64_t sf_unpack_memory(const sf_section *s) {
    if (!s->bytes || s->encoding != SF_PACKED_NUMBERS) return 0;
    /* The residuals, and rows. */
    return 2 * elements_of(s) + 2 * (SF_TOGETHER_MOST + 1) * (uint64_t)s->columns + 2 * SF_ALIGNMENT;
}

/* Rows of numbers of one, two or four planes, side by side. */
static void store_rows(const uint16_t *rows, size_t columns, int32_t together, float step, float *restrict out) {
    const uint16_t *a = rows, *b = a + columns, *c = b + columns, *d = c + columns;
    if (together == 1) {
        for (size_t x = 0; x < columns; x++) out[x] = (float)(int16_t)a[x] * step;
    } else if (together == 2) {
        for (size_t x = 0; x < columns; x++) {
            out[2 * x] = (float)(int16_t)a[x] * step;
            out[2 * x + 1] = (float)(int16_t)b[x] * step;
        }
    } else {
        for (size_t x = 0; x < columns; x++) {
            out[4 * x] = (float)(int16_t)a[x] * step;
            out[4 * x + 1] = (float)(int16_t)b[x] * step;
            out[4 * x + 2] = (float)(int16_t)c[x] * step;
            out[4 * x + 3] = (float)(int16_t)d[x] * step;
        }
    }
}

typedef uint16_t v8u __attribute__((vector_size(16)));

/* Add sums of all steps up to each to a row. Eight at once: one after the other they would wait for each other. */
static void add_sums(const uint16_t *restrict steps, uint16_t *restrict row, size_t count) {
    const v8u none = {0};
    v8u before = none, v, r;
    size_t x = 0;
    for (; x + 8 <= count; x += 8) {
        memcpy(&v, steps + x, sizeof v);
        memcpy(&r, row + x, sizeof r);
        v += (v8u)SF_SHUFFLE(v8u, none, v, 0, 8, 9, 10, 11, 12, 13, 14);
        v += (v8u)SF_SHUFFLE(v8u, none, v, 0, 0, 8, 9, 10, 11, 12, 13);
        v += (v8u)SF_SHUFFLE(v8u, none, v, 0, 0, 0, 0, 8, 9, 10, 11);
        r += v + before;
        before += (v8u)SF_SHUFFLE(v8u, v, v, 7, 7, 7, 7, 7, 7, 7, 7);
        memcpy(row + x, &r, sizeof r);
    }
    for (uint16_t sum = before[0]; x < count; x++) {
        sum = (uint16_t)(sum + steps[x]);
        row[x] = (uint16_t)(row[x] + sum);
    }
}

/* One row of residuals: the sum of the differences along the row, then added to the row above, in place. */
static void undo_row(const uint8_t *low, const uint8_t *high, size_t columns, uint16_t *restrict residual,
                     uint16_t *restrict row) {
    for (size_t x = 0; x < columns; x++) {
        const uint16_t u = (uint16_t)(low[x] | high[x] << 8);
        residual[x] = (uint16_t)(u >> 1 ^ -(u & 1));
    }
    add_sums(residual, row, columns);
}

void sf_unpack_numbers(sf_room *room, const sf_section *s, const char *name, int32_t together, float *out) {
    const size_t columns = (size_t)s->columns, cells = (size_t)s->rows * columns;
    const int packed = s->encoding == SF_PACKED_NUMBERS;
    const float step = ldexpf(1.0f, s->exponent);
    const sf_mark mark = sf_room_mark(room);
    const uint8_t *bytes = s->bytes;
    if (packed) {
        uint8_t *unpacked = sf_take(room, elements_of(s), 2);
        if (sf_inflate(s->bytes, s->size, unpacked, (size_t)elements_of(s) * 2, 2))
            sf_damaged(room, "its section %s does not decompress", name);
        bytes = unpacked;
    }
    uint16_t *rows = sf_take(room, (SF_TOGETHER_MOST + 1) * (uint64_t)columns, sizeof *rows);
    uint16_t *residual = rows + SF_TOGETHER_MOST * columns;
    for (int32_t first = 0; first < s->planes; first += together) {
        memset(rows, 0, SF_TOGETHER_MOST * columns * sizeof *rows);
        for (size_t y = 0; y < (size_t)s->rows; y++, out += columns * (size_t)together) {
            for (int32_t k = 0; k < together; k++) {
                const uint8_t *plane = bytes + 2 * cells * (size_t)(first + k);
                uint16_t *row = rows + (size_t)k * columns;
                if (packed) undo_row(plane + y * columns, plane + cells + y * columns, columns, residual, row);
                else
                    for (size_t x = 0; x < columns; x++)
                        row[x] = (uint16_t)(plane[2 * (y * columns + x)] | plane[2 * (y * columns + x) + 1] << 8);
            }
            store_rows(rows, columns, together, step, out);
        }
    }
    sf_room_rewind(room, mark);
}

void sf_unpack_plane(sf_room *room, const sf_section *s, const char *name, uint8_t *out) {
    const size_t columns = (size_t)s->columns, cells = (size_t)s->rows * columns;
    if (sf_inflate(s->bytes, s->size, out, cells, 2)) sf_damaged(room, "its section %s does not decompress", name);
    const uint8_t *above = 0;
    for (int32_t y = 0; y < s->rows; y++) {
        uint8_t *row = out + (size_t)y * columns, sum = 0;
        for (size_t x = 0; x < columns; x++) row[x] = sum = (uint8_t)(sum + row[x]);
        for (size_t x = 0; above && x < columns; x++) row[x] = (uint8_t)(row[x] + above[x]);
        above = row;
    }
}
