/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cv2.resize(INTER_AREA): the mean of what an output pixel covers.
 *
 * Both sides shrink by whole numbers (1 counts): a plain sum times 1 / area, halves to even; bytes halved both ways are
 *   (sum + 2) >> 2 instead, but not those of 2 channels (OpenCV has no more than 4 here; more are like planes).
 * Both sides shrink otherwise (or stay): per axis a list of samples with weights, those at a cell's ends by their part
 *   in it if that is over 0.001 of a sample, in float; columns are summed first, then rows, each in order.
 * A side grows: two samples each way of the spacing SF_AT_CELLS (taps.h).
 * The bytes are OpenCV's, and so are the floats' bits but where it adds the four of 2 x 2 in another order.
 */
#include <math.h>
#include <string.h>

#include "taps.h"

/* What output sample d covers: count samples from first on; the first and last weigh otherwise than those between. */
typedef struct sf_cover {
    int32_t first, count;
    float head, middle, tail;
} sf_cover;

static const sf_cover *covers_of(sf_room *room, int in, int out) {
    sf_cover *covers = sf_take(room, (uint64_t)out, sizeof *covers);
    const double scale = sf_scale(in, out);
    for (int d = 0; d < out; d++) {
        const double begin = d * scale, end = begin + scale;
        const double cell = scale < in - begin ? scale : in - begin;
        int from = (int)ceil(begin), to = (int)floor(end);
        if (to > in - 1) to = in - 1;
        if (from > to) from = to;
        sf_cover cover = {from, to - from, (float)(1.0 / cell), (float)(1.0 / cell), (float)(1.0 / cell)};
        if (from - begin > 1e-3) {
            cover.first--;
            cover.count++;
            cover.head = (float)((from - begin) / cell);
        }
        if (end - to > 1e-3) {
            const double part = end - to < 1 ? end - to : 1;
            cover.count++;
            cover.tail = (float)((part < cell ? part : cell) / cell);
            if (cover.count == 1) cover.head = cover.tail;
        }
        covers[d] = cover;
    }
    return covers;
}

static inline void sum_row(const float *in, float *out, int ow, int c, const sf_cover *covers) {
    for (int d = 0; d < ow; d++) {
        const sf_cover cover = covers[d];
        const float *from = in + (ptrdiff_t)cover.first * c, *last = from + (ptrdiff_t)(cover.count - 1) * c;
        float *to = out + (ptrdiff_t)d * c;
        for (int k = 0; k < c; k++) {
            float sum = from[k] * cover.head;
            for (const float *at = from + c + k; at < last; at += c) sum += *at * cover.middle;
            if (last > from) sum += last[k] * cover.tail;
            to[k] = sum;
        }
    }
}

static void sum_row_of(const float *in, float *out, int ow, int c, const sf_cover *covers) {
    switch (c) {
    case 1: sum_row(in, out, ow, 1, covers); break;
    case 2: sum_row(in, out, ow, 2, covers); break;
    case 3: sum_row(in, out, ow, 3, covers); break;
    default: sum_row(in, out, ow, c, covers);
    }
}

static inline uint8_t byte_of(float x) {
    const float whole = sf_rint(x);
    return (uint8_t)(whole <= 0 ? 0 : whole >= 255 ? 255 : whole);
}

/* One of the two inputs is given, and the output of its kind. */
static void shrink(sf_room *room, const uint8_t *bytes, const float *floats, int h, int w, int c, uint8_t *out_bytes,
                   float *out_floats, int oh, int ow) {
    sf_mark mark = sf_room_mark(room);
    const sf_cover *x = covers_of(room, w, ow), *y = covers_of(room, h, oh);
    const size_t row = (size_t)w * (size_t)c, made = (size_t)ow * (size_t)c;
    float *wide = bytes ? sf_take(room, row, 4) : 0;
    float *narrow = sf_take(room, made, 4), *sum = bytes ? sf_take(room, made, 4) : 0;
    int held = -1; /* the row that narrow holds: a row at a border is used twice */
    for (int d = 0; d < oh; d++) {
        float *to = bytes ? sum : out_floats + (size_t)d * made;
        for (int i = 0; i < y[d].count; i++) {
            const int at = y[d].first + i;
            if (at != held) {
                const float *from = wide;
                if (bytes) {
                    const uint8_t *source = bytes + (size_t)at * row;
                    for (size_t k = 0; k < row; k++) wide[k] = source[k];
                } else
                    from = floats + (size_t)at * row;
                sum_row_of(from, narrow, ow, c, x);
                held = at;
            }
            const float weight = i == 0 ? y[d].head : i == y[d].count - 1 ? y[d].tail : y[d].middle;
            if (i == 0)
                for (size_t k = 0; k < made; k++) to[k] = narrow[k] * weight;
            else
                for (size_t k = 0; k < made; k++) to[k] += narrow[k] * weight;
        }
        if (bytes)
            for (size_t k = 0; k < made; k++) out_bytes[(size_t)d * made + k] = byte_of(sum[k]);
    }
    sf_room_rewind(room, mark);
}

/* Add nx neighbours each of a row, whose samples are sums of rows, to what out holds. */
static inline void add_across(const uint16_t *in, uint32_t *out, int ow, int nx, int c) {
    for (int d = 0; d < ow; d++, in += (ptrdiff_t)nx * c, out += c)
        for (int k = 0; k < c; k++) {
            uint32_t sum = out[k];
            for (int i = 0; i < nx; i++) sum += in[i * c + k];
            out[k] = sum;
        }
}

enum { ROWS = 257 }; /* of bytes, whose sum fits 16 bits */

static void shrink_whole_u8(sf_room *room, const uint8_t *in, int ny, int nx, int c, uint8_t *out, int oh, int ow) {
    sf_mark mark = sf_room_mark(room);
    const size_t row = (size_t)ow * (size_t)nx * (size_t)c, made = (size_t)ow * (size_t)c;
    uint16_t *rows = sf_take(room, row, sizeof *rows);
    uint32_t *sums = sf_take(room, made, sizeof *sums);
    const float share = 1.0f / (float)((int64_t)nx * ny);
    const int halved = nx == 2 && ny == 2 && c != 2;
    for (int d = 0; d < oh; d++, out += made) {
        memset(sums, 0, made * sizeof *sums);
        for (int done = 0; done < ny; done += ROWS) {
            const int end = done + ROWS < ny ? done + ROWS : ny;
            for (size_t k = 0; k < row; k++) rows[k] = in[k];
            for (int i = done + 1; i < end; i++) {
                const uint8_t *next = in + (size_t)(i - done) * row;
                for (size_t k = 0; k < row; k++) rows[k] = (uint16_t)(rows[k] + next[k]);
            }
            in += (size_t)(end - done) * row;
            if (c == 3 && nx == 2)
                add_across(rows, sums, ow, 2, 3);
            else if (c == 3)
                add_across(rows, sums, ow, nx, 3);
            else if (c == 1 && nx == 2)
                add_across(rows, sums, ow, 2, 1);
            else
                add_across(rows, sums, ow, nx, c);
        }
        if (halved)
            for (size_t k = 0; k < made; k++) out[k] = (uint8_t)((sums[k] + 2) >> 2);
        else
            for (size_t k = 0; k < made; k++) out[k] = byte_of((float)sums[k] * share);
    }
    sf_room_rewind(room, mark);
}

/* Floats are added in fours, row by row of the cell, and each four's sum to the total: rounding depends on it. */
static void shrink_whole_f32(sf_room *room, const float *in, int ny, int nx, int c, float *out, int oh, int ow) {
    sf_mark mark = sf_room_mark(room);
    const size_t row = (size_t)ow * (size_t)nx * (size_t)c, cell = (size_t)ny * (size_t)nx;
    const float share = 1.0f / (float)cell;
    size_t *offsets = sf_take(room, cell, sizeof *offsets);
    for (int y = 0, i = 0; y < ny; y++)
        for (int x = 0; x < nx; x++) offsets[i++] = (size_t)y * row + (size_t)x * (size_t)c;
    for (int y = 0; y < oh; y++)
        for (int x = 0; x < ow; x++)
            for (int k = 0; k < c; k++) {
                const float *at = in + (size_t)y * (size_t)ny * row + ((size_t)x * (size_t)nx * (size_t)c + (size_t)k);
                float sum = 0;
                size_t i = 0;
                for (; i + 4 <= cell; i += 4)
                    sum += at[offsets[i]] + at[offsets[i + 1]] + at[offsets[i + 2]] + at[offsets[i + 3]];
                for (; i < cell; i++) sum += at[offsets[i]];
                *out++ = sum * share;
            }
    sf_room_rewind(room, mark);
}

/* By how much an axis shrinks if that is a whole number in OpenCV's arithmetic, else 0. */
static int whole_scale(int in, int out) {
    const double scale = sf_scale(in, out), near = rint(scale);
    return fabs(scale - near) < 2.220446049250313e-16 && near >= 1 ? (int)near : 0;
}

static int grows(int in, int out) { return sf_scale(in, out) < 1; }

void sf_resize_area_u8(sf_room *room, const uint8_t *in, int h, int w, int c, uint8_t *out, int oh, int ow) {
    const int ny = whole_scale(h, oh), nx = whole_scale(w, ow);
    if (grows(h, oh) || grows(w, ow))
        sf_stretch_u8(room, in, h, w, c, out, oh, ow);
    else if (ny && nx)
        shrink_whole_u8(room, in, ny, nx, c, out, oh, ow);
    else
        shrink(room, in, 0, h, w, c, out, 0, oh, ow);
}

void sf_resize_area_f32(sf_room *room, const float *in, int h, int w, int c, float *out, int oh, int ow) {
    const int ny = whole_scale(h, oh), nx = whole_scale(w, ow);
    if (grows(h, oh) || grows(w, ow))
        sf_stretch_f32(room, in, h, w, c, out, oh, ow, SF_AT_CELLS);
    else if (ny && nx)
        shrink_whole_f32(room, in, ny, nx, c, out, oh, ow);
    else
        shrink(room, 0, in, h, w, c, 0, out, oh, ow);
}
