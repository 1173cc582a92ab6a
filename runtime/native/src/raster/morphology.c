/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Erosion and dilation with squares. What lies outside of the picture counts for nothing, as in OpenCV; so n times with
 * a side of 2 r + 1 is once with 2 n r + 1. The maximum of k neighbours is the maximum of two overlapping runs of 2^i,
 * and those are made by doubling: log2(k) steps for columns, and as many for rows. Erosion is dilation of the negative.
 */
#include <string.h>

#include "raster.h"

static inline void highest(uint8_t *to, const uint8_t *a, const uint8_t *b, size_t count) {
    for (size_t i = 0; i < count; i++) to[i] = a[i] > b[i] ? a[i] : b[i];
}

/* Make each line of count values the maximum of itself and the reach - 1 lines after it, where there are so many. */
static void run_highest(uint8_t *lines, size_t count, size_t many, size_t reach) {
    size_t span = 1;
    for (; 2 * span <= reach; span *= 2)
        highest(lines, lines, lines + span * count, (many - span) * count);
    if (span < reach) highest(lines, lines, lines + (reach - span) * count, (many - (reach - span)) * count);
}

/* flip: 0 dilates, 255 erodes. */
static void spread(sf_room *room, const uint8_t *in, int h, int w, int side, int iterations, uint8_t flip,
                   uint8_t *out) {
    sf_mark mark = sf_room_mark(room);
    const int64_t radius = (int64_t)(side / 2) * (iterations > 0 ? iterations : 0);
    const size_t rx = (size_t)(radius < w ? radius : w), ry = (size_t)(radius < h ? radius : h);
    const size_t row = (size_t)w, padded = row + 2 * rx, high = (size_t)h + 2 * ry;
    uint8_t *line = sf_take(room, padded, 1), *rows = sf_take_zeroed(room, high * row, 1);
    for (size_t y = 0; y < (size_t)h; y++) {
        memset(line, 0, padded);
        for (size_t x = 0; x < row; x++) line[rx + x] = in[y * row + x] ^ flip;
        run_highest(line, 1, padded, 2 * rx + 1);
        memcpy(rows + (ry + y) * row, line, row);
    }
    run_highest(rows, row, high, 2 * ry + 1);
    for (size_t i = 0; i < row * (size_t)h; i++) out[i] = rows[i] ^ flip;
    sf_room_rewind(room, mark);
}

void sf_dilate_u8(sf_room *room, const uint8_t *in, int h, int w, int side, int iterations, uint8_t *out) {
    spread(room, in, h, w, side, iterations, 0, out);
}

void sf_erode_u8(sf_room *room, const uint8_t *in, int h, int w, int side, int iterations, uint8_t *out) {
    spread(room, in, h, w, side, iterations, 255, out);
}

void sf_close_u8(sf_room *room, const uint8_t *in, int h, int w, int side, uint8_t *out) {
    sf_dilate_u8(room, in, h, w, side, 1, out);
    sf_erode_u8(room, out, h, w, side, 1, out);
}

void sf_open_u8(sf_room *room, const uint8_t *in, int h, int w, int side, uint8_t *out) {
    sf_erode_u8(room, in, h, w, side, 1, out);
    sf_dilate_u8(room, out, h, w, side, 1, out);
}

static inline float higher(float a, float b) { return a > b ? a : b; }

void sf_dilate_f32(const float *in, int h, int w, float *out) {
    for (int y = 0; y < h; y++) {
        const float *row = in + (size_t)y * (size_t)w, *above = y ? row - w : row, *below = y + 1 < h ? row + w : row;
        float *to = out + (size_t)y * (size_t)w;
        for (int x = 0; x < w; x++) {
            const int left = x ? x - 1 : x, right = x + 1 < w ? x + 1 : x;
            float best = higher(higher(row[left], row[right]), higher(row[x], higher(above[x], below[x])));
            best = higher(best, higher(above[left], above[right]));
            best = higher(best, higher(below[left], below[right]));
            to[x] = best;
        }
    }
}
