/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Means of neighbours, first along rows, then along columns.
 *
 * Box: sums in double, as OpenCV's; the floats are the same.
 * Gauss: OpenCV's kernel for floats has round(8 sigma + 1) samples, made odd upwards; it is made in double, sums to 1
 *   and is rounded to float. The sums here pair what is equally far; within 8e-7 of OpenCV's on values of 0..1.
 * Pyramid: 1 4 6 4 1 along both axes, at every second sample, over 256 (Burt and Adelson 1983); within 1.5e-7.
 */
#include <math.h>
#include <string.h>

#include "raster.h"

/* Where sample i lies once what is beyond the border is filled in: 101 mirrors at the outermost samples. */
static int inside(int i, int n, sf_border border) {
    if (border == SF_REPLICATE || n == 1) return i < 0 ? 0 : i < n ? i : n - 1;
    while (i < 0 || i >= n) i = i < 0 ? -i : 2 * (n - 1) - i;
    return i;
}

/* in's row with radius pixels beyond each end. */
static void pad_row(const float *in, int w, int c, int radius, sf_border border, float *out) {
    const size_t pixel = (size_t)c * sizeof *in;
    for (int x = -radius; x < 0; x++, out += c) memcpy(out, in + (ptrdiff_t)inside(x, w, border) * c, pixel);
    memcpy(out, in, (size_t)w * pixel);
    out += (ptrdiff_t)w * c;
    for (int x = w; x < w + radius; x++, out += c) memcpy(out, in + (ptrdiff_t)inside(x, w, border) * c, pixel);
}

/*
 * Sums of side pixels from each pixel of a row on; the row has side - 1 pixels more than there are sums. Of `at_once`
 * channels from the first of c: their sums do not wait for each other.
 */
static inline void sum_boxes(const float *in, double *out, int w, int c, int at_once, int side) {
    double sum[3] = {0};
    const float *gone = in, *next = in + (ptrdiff_t)side * c;
    for (int x = 0; x < side; x++)
        for (int k = 0; k < at_once; k++) sum[k] += in[x * c + k];
    for (int k = 0; k < at_once; k++) out[k] = sum[k];
    for (int x = 1; x < w; x++, gone += c, next += c) {
        out += c;
        for (int k = 0; k < at_once; k++) out[k] = sum[k] += (double)next[k] - gone[k];
    }
}

void sf_blur_f32(sf_room *room, const float *in, int h, int w, int c, int side, sf_border border, float *out) {
    sf_mark mark = sf_room_mark(room);
    const int radius = side / 2;
    const size_t row = (size_t)w * (size_t)c;
    float *padded = sf_take(room, row + 2 * (size_t)radius * (size_t)c, sizeof *padded);
    double *sums = sf_take_zeroed(room, (uint64_t)side * row, sizeof *sums); /* of the last rows, in turn */
    double *total = sf_take_zeroed(room, row, sizeof *total);
    const double share = 1.0 / ((double)side * side);
    for (int y = -radius, turn = 0; y < h + radius; y++, turn = turn + 1 < side ? turn + 1 : 0) {
        double *sum = sums + (size_t)turn * row;
        pad_row(in + (size_t)inside(y, h, border) * row, w, c, radius, border, padded);
        if (c == 3)
            sum_boxes(padded, sum, w, 3, 3, side);
        else
            for (int k = 0; k < c; k++) sum_boxes(padded + k, sum + k, w, c, 1, side);
        const double *oldest = sums + (size_t)(turn + 1 < side ? turn + 1 : 0) * row;
        float *to = out + (size_t)(y > radius ? y - radius : 0) * row; /* what is too early is written over */
        for (size_t k = 0; k < row; k++) {
            const double all = total[k] + sum[k];
            to[k] = (float)(all * share);
            total[k] = all - oldest[k];
        }
    }
    sf_room_rewind(room, mark);
}

/* The middle of a Gaussian kernel and what follows it: half + 1 weights. */
static const float *kernel_of(sf_room *room, double sigma, int half) {
    float *kernel = sf_take(room, (uint64_t)half + 1, sizeof *kernel);
    const double scale = -0.5 / (sigma * sigma);
    double sum = 0;
    for (int i = -half; i <= half; i++) sum += exp(scale * i * i);
    for (int i = 0; i <= half; i++) kernel[i] = (float)(exp(scale * i * i) / sum);
    return kernel;
}

enum { STRIP = 64 }; /* sums kept at hand */

/* Weigh count sums of samples j step apart, j up to half on both sides of at. */
static inline void weigh(const float *restrict at, ptrdiff_t step, const float *kernel, int half, float *restrict out,
                         size_t count) {
    size_t done = 0;
    for (; done + STRIP <= count; done += STRIP) {
        float sum[STRIP];
        for (int k = 0; k < STRIP; k++) sum[k] = at[done + (size_t)k] * kernel[0];
        for (int j = 1; j <= half; j++) {
            const float *before = at + (ptrdiff_t)done - j * step, *after = at + (ptrdiff_t)done + j * step;
            for (int k = 0; k < STRIP; k++) sum[k] += (before[k] + after[k]) * kernel[j];
        }
        memcpy(out + done, sum, sizeof sum);
    }
    for (; done < count; done++) {
        float sum = at[done] * kernel[0];
        for (int j = 1; j <= half; j++)
            sum += (at[(ptrdiff_t)done - j * step] + at[(ptrdiff_t)done + j * step]) * kernel[j];
        out[done] = sum;
    }
}

void sf_gaussian_beyond_f32(sf_room *room, const float *in, int h, int w, int c, double sigma, sf_border border,
                            float *out) {
    sf_mark mark = sf_room_mark(room);
    const int half = ((int)rint(sigma * 8 + 1) | 1) / 2;
    const size_t row = (size_t)w * (size_t)c;
    const float *kernel = kernel_of(room, sigma, half);
    float *padded = sf_take(room, row + 2 * (size_t)half * (size_t)c, sizeof *padded);
    float *rows = sf_take(room, ((uint64_t)h + 2 * (uint64_t)half) * row, sizeof *rows);
    float *first = rows + (size_t)half * row;
    for (int y = 0; y < h; y++) {
        pad_row(in + (size_t)y * row, w, c, half, border, padded);
        weigh(padded + (ptrdiff_t)half * c, c, kernel, half, first + (size_t)y * row, row);
    }
    for (int y = 1; y <= half; y++) {
        memcpy(first - (ptrdiff_t)y * (ptrdiff_t)row, first + (size_t)inside(-y, h, border) * row, row * 4);
        memcpy(first + (size_t)(h - 1 + y) * row, first + (size_t)inside(h - 1 + y, h, border) * row, row * 4);
    }
    for (int y = 0; y < h; y++)
        weigh(first + (size_t)y * row, (ptrdiff_t)row, kernel, half, out + (size_t)y * row, row);
    sf_room_rewind(room, mark);
}

void sf_gaussian_f32(sf_room *room, const float *in, int h, int w, int c, double sigma, float *out) {
    sf_gaussian_beyond_f32(room, in, h, w, c, sigma, SF_REFLECT_101, out);
}

void sf_pyr_down_f32(sf_room *room, const float *in, int h, int w, float *out) {
    sf_mark mark = sf_room_mark(room);
    const int oh = (h + 1) / 2, ow = (w + 1) / 2;
    float *padded = sf_take(room, (uint64_t)w + 4, sizeof *padded);
    float *rows = sf_take(room, (uint64_t)h * (uint64_t)ow, sizeof *rows);
    for (int y = 0; y < h; y++) {
        pad_row(in + (size_t)y * (size_t)w, w, 1, 2, SF_REFLECT_101, padded);
        float *to = rows + (size_t)y * (size_t)ow;
        for (int x = 0; x < ow; x++) {
            const float *at = padded + 2 * x;
            to[x] = at[2] * 6 + (at[1] + at[3]) * 4 + (at[0] + at[4]);
        }
    }
    for (int y = 0; y < oh; y++) {
        const float *at[5];
        for (int j = 0; j < 5; j++) at[j] = rows + (size_t)inside(2 * y + j - 2, h, SF_REFLECT_101) * (size_t)ow;
        float *to = out + (size_t)y * (size_t)ow;
        for (int x = 0; x < ow; x++)
            to[x] = (at[2][x] * 6 + (at[1][x] + at[3][x]) * 4 + (at[0][x] + at[4][x])) * (1.0f / 256);
    }
    sf_room_rewind(room, mark);
}
