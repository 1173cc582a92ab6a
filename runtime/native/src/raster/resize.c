/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cv2.resize but for what shrinks by area: two samples each way (linear), one (nearest).
 * Columns first, then rows; a stretched row is kept until no output row needs it.
 *
 * Bytes: weights are whole numbers of 1/2048; a stretched row holds 1/128 of a level, and the weighted sum of two rows
 * is taken from the products' upper 16 bits: (a b0 >> 16) + (b b1 >> 16) + 2 >> 2. The bytes are OpenCV's.
 * Floats: the bits are those of OpenCV without IPP. With IPP (x86-64's default) OpenCV itself differs from that by
 * 1.4e-5 of an input sample in its positions.
 */
#include <math.h>
#include <string.h>

#include "taps.h"

/* Along one axis, for every output sample: two input samples and the second one's weight. */
typedef struct sf_taps {
    int32_t *first, *second;
    float *weight;
} sf_taps;

static sf_taps taps_of(sf_room *room, int in, int out, sf_spacing spacing, int hold) {
    sf_taps taps = {sf_take(room, (uint64_t)out, 4), sf_take(room, (uint64_t)out, 4), sf_take(room, (uint64_t)out, 4)};
    const double scale = sf_scale(in, out), inverse = (double)out / in;
    for (int d = 0; d < out; d++) {
        int at;
        float rest;
        if (spacing == SF_AT_CENTRES) {
            rest = (float)((d + 0.5) * scale - 0.5);
            at = (int)floorf(rest);
            rest -= (float)at;
        } else {
            at = (int)floor(d * scale);
            rest = (float)((d + 1) - (at + 1) * inverse);
            rest = rest <= 0 ? 0 : rest - floorf(rest);
        }
        if (hold && (at < 0 || at >= in - 1)) rest = 0;
        taps.first[d] = at < 0 ? 0 : at < in ? at : in - 1;
        taps.second[d] = at + 1 < in ? at + 1 : in - 1;
        taps.weight[d] = rest;
    }
    return taps;
}

static inline int fixed(float weight) { return (int)sf_rint(weight * 2048); }

static inline void stretch_row_f32(const float *in, float *out, int ow, int c, const sf_taps *x) {
    for (int d = 0; d < ow; d++) {
        const float *a = in + (ptrdiff_t)x->first[d] * c, *b = in + (ptrdiff_t)x->second[d] * c;
        const float wb = x->weight[d], wa = 1 - wb;
        for (int k = 0; k < c; k++) out[d * c + k] = a[k] * wa + b[k] * wb;
    }
}

static inline void stretch_row_u8(const uint8_t *in, int16_t *out, int ow, int c, const sf_taps *x) {
    for (int d = 0; d < ow; d++) {
        const uint8_t *a = in + (ptrdiff_t)x->first[d] * c, *b = in + (ptrdiff_t)x->second[d] * c;
        const int wb = fixed(x->weight[d]), wa = fixed(1 - x->weight[d]);
        for (int k = 0; k < c; k++) out[d * c + k] = (int16_t)((a[k] * wa + b[k] * wb) >> 4);
    }
}

/* The slot of two that holds stretched row y, or the one to put it into: not the one that holds the other row. */
static int slot_for(const int held[2], int y, int other) {
    return held[0] == y ? 0 : held[1] == y ? 1 : held[0] == other ? 1 : 0;
}

void sf_stretch_f32(sf_room *room, const float *in, int h, int w, int c, float *out, int oh, int ow,
                    sf_spacing spacing) {
    sf_mark mark = sf_room_mark(room);
    const sf_taps x = taps_of(room, w, ow, spacing, 1), y = taps_of(room, h, oh, spacing, 0);
    const size_t row = (size_t)w * (size_t)c, made = (size_t)ow * (size_t)c;
    float *rows[2] = {sf_take(room, made, 4), sf_take(room, made, 4)};
    int held[2] = {-1, -1};
    for (int d = 0; d < oh; d++) {
        const int need[2] = {y.first[d], y.second[d]};
        const float *at[2];
        for (int i = 0; i < 2; i++) {
            const int slot = slot_for(held, need[i], need[1 - i]);
            if (held[slot] != need[i]) {
                const float *from = in + (size_t)need[i] * row;
                switch (c) {
                case 1: stretch_row_f32(from, rows[slot], ow, 1, &x); break;
                case 2: stretch_row_f32(from, rows[slot], ow, 2, &x); break;
                case 3: stretch_row_f32(from, rows[slot], ow, 3, &x); break;
                default: stretch_row_f32(from, rows[slot], ow, c, &x);
                }
                held[slot] = need[i];
            }
            at[i] = rows[slot];
        }
        const float wb = y.weight[d], wa = 1 - wb;
        const float *a = at[0], *b = at[1];
        float *to = out + (size_t)d * made;
        for (size_t k = 0; k < made; k++) to[k] = a[k] * wa + b[k] * wb;
    }
    sf_room_rewind(room, mark);
}

void sf_stretch_u8(sf_room *room, const uint8_t *in, int h, int w, int c, uint8_t *out, int oh, int ow) {
    sf_mark mark = sf_room_mark(room);
    const sf_taps x = taps_of(room, w, ow, SF_AT_CELLS, 1), y = taps_of(room, h, oh, SF_AT_CELLS, 0);
    const size_t row = (size_t)w * (size_t)c, made = (size_t)ow * (size_t)c;
    int16_t *rows[2] = {sf_take(room, made, 2), sf_take(room, made, 2)};
    int held[2] = {-1, -1};
    for (int d = 0; d < oh; d++) {
        const int need[2] = {y.first[d], y.second[d]};
        const int16_t *at[2];
        for (int i = 0; i < 2; i++) {
            const int slot = slot_for(held, need[i], need[1 - i]);
            if (held[slot] != need[i]) {
                const uint8_t *from = in + (size_t)need[i] * row;
                switch (c) {
                case 1: stretch_row_u8(from, rows[slot], ow, 1, &x); break;
                case 3: stretch_row_u8(from, rows[slot], ow, 3, &x); break;
                default: stretch_row_u8(from, rows[slot], ow, c, &x);
                }
                held[slot] = need[i];
            }
            at[i] = rows[slot];
        }
        const int16_t wb = (int16_t)fixed(y.weight[d]), wa = (int16_t)fixed(1 - y.weight[d]);
        const int16_t *a = at[0], *b = at[1];
        uint8_t *to = out + (size_t)d * made;
        for (size_t k = 0; k < made; k++) {
            const int16_t sum = (int16_t)(((a[k] * wa) >> 16) + ((b[k] * wb) >> 16) + 2);
            to[k] = (uint8_t)(sum >> 2);
        }
    }
    sf_room_rewind(room, mark);
}

void sf_resize_linear_f32(sf_room *room, const float *in, int h, int w, int c, float *out, int oh, int ow) {
    if (h == 2 * oh && w == 2 * ow) /* what OpenCV then does by area */
        sf_resize_area_f32(room, in, h, w, c, out, oh, ow);
    else
        sf_stretch_f32(room, in, h, w, c, out, oh, ow, SF_AT_CENTRES);
}

void sf_resize_nearest(const void *in, int h, int w, size_t pixel_bytes, void *out, int oh, int ow) {
    const double sx = sf_scale(w, ow), sy = sf_scale(h, oh);
    const uint8_t *from = in;
    uint8_t *to = out;
    int before = -1;
    for (int y = 0; y < oh; y++) {
        const int at = (int)floor(y * sy), row = at < h ? at : h - 1;
        uint8_t *line = to + (size_t)y * (size_t)ow * pixel_bytes;
        if (row == before) {
            memcpy(line, line - (size_t)ow * pixel_bytes, (size_t)ow * pixel_bytes);
            continue;
        }
        before = row;
        const uint8_t *source = from + (size_t)row * (size_t)w * pixel_bytes;
        for (int x = 0; x < ow; x++) {
            const int column = (int)(x * sx);
            const uint8_t *pixel = source + (size_t)(column < w ? column : w - 1) * pixel_bytes;
            if (pixel_bytes == 1)
                line[x] = *pixel;
            else if (pixel_bytes == 4)
                memcpy(line + (size_t)x * 4, pixel, 4);
            else
                memcpy(line + (size_t)x * pixel_bytes, pixel, pixel_bytes);
        }
    }
}
