/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CIE 1976 L*a*b* (ISO/CIE 11664-4) of sRGB (IEC 61966-2-1) under D65, and luma, in the fixed point that OpenCV has.
 * Found by experiment, over all 2^24 colours for bytes:
 *
 * Bytes: linear light in 1/2040; X, Y, Z by weights of 1/4096; f(t) in 1/32768 from a table; L* is 2.55 (116 f(Y) -
 *   16), 296 taken for 2.55 * 116. Two entries of that table round otherwise in OpenCV's single precision; with them
 *   all bytes are the same.
 * Floats: not the formula but a table of 33 x 33 x 33 colours in 1/16384, read with 4 bits of a fraction each way: up
 *   to 0.5 from the formula. 89 of its 107811 numbers are 1 unit from OpenCV's: L* by 0.006, a* and b* by 0.016.
 * Luma: weights of 1/32768, ITU-R BT.601.
 */
#include <math.h>

#include "raster.h"

static const double WEIGHTS[3][3] = {
    {0.412453, 0.357580, 0.180423}, {0.212671, 0.715160, 0.072169}, {0.019334, 0.119193, 0.950227}};
static const double WHITE[3] = {0.950456, 1, 1.088754};

static double linear_light(double x) { return x <= 0.04045 ? x / 12.92 : pow((x + 0.055) / 1.055, 2.4); }

static double lightness(double t) { return t > 216.0 / 24389 ? cbrt(t) : 841.0 / 108 * t + 16.0 / 116; }

static inline int32_t shifted(int32_t x, int bits) { return (x + (1 << (bits - 1))) >> bits; }

static inline uint8_t clipped(int32_t x) { return (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x); }

enum { LIGHTS = 2041 };

void sf_lab_u8(sf_room *room, const uint8_t *in, size_t pixels, uint8_t *out) {
    sf_mark mark = sf_room_mark(room);
    int32_t *root = sf_take(room, LIGHTS, sizeof *root), light[256], weights[3][3];
    for (int i = 0; i < 256; i++) light[i] = (int32_t)rint(2040 * linear_light(i / 255.0));
    for (int i = 0; i < LIGHTS; i++) root[i] = (int32_t)rint(32768 * lightness(i / 2040.0));
    root[49] = 9454;
    root[628] = 22126;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) weights[i][j] = (int32_t)rint(4096 * WEIGHTS[i][j] / WHITE[i]);
    for (size_t p = 0; p < pixels; p++, in += 3, out += 3) {
        const int32_t r = light[in[0]], g = light[in[1]], b = light[in[2]];
        int32_t f[3];
        for (int i = 0; i < 3; i++) f[i] = root[shifted(r * weights[i][0] + g * weights[i][1] + b * weights[i][2], 12)];
        out[0] = clipped(shifted(296 * f[1] - 1336935, 15)); /* 1336935 = (16 * 255 * 32768 + 50) / 100 */
        out[1] = clipped(shifted(500 * (f[0] - f[1]) + 128 * 32768, 15));
        out[2] = clipped(shifted(200 * (f[1] - f[2]) + 128 * 32768, 15));
    }
    sf_room_rewind(room, mark);
}

enum { NODES = 33, PADDED = NODES + 1 };

static inline size_t node_at(int r, int g, int b) {
    return (((size_t)r * PADDED + (size_t)g) * PADDED + (size_t)b) * 3;
}

/* One more node each way, read with weight 0 where a colour is 1. */
static int16_t *nodes_of(sf_room *room) {
    int16_t *nodes = sf_take_zeroed(room, (uint64_t)PADDED * PADDED * PADDED * 3, sizeof *nodes);
    double light[NODES];
    for (int i = 0; i < NODES; i++) light[i] = linear_light(i / 32.0);
    for (int r = 0; r < NODES; r++)
        for (int g = 0; g < NODES; g++)
            for (int b = 0; b < NODES; b++) {
                double f[3], y = 0;
                for (int i = 0; i < 3; i++) {
                    const double *w = WEIGHTS[i], white = WHITE[i];
                    const double t = light[r] * (w[0] / white) + light[g] * (w[1] / white) + light[b] * (w[2] / white);
                    f[i] = lightness(t);
                    if (i == 1) y = t;
                }
                int16_t *node = nodes + node_at(r, g, b);
                const double l = y > 216.0 / 24389 ? 116 * f[1] - 16 : 24389.0 / 27 * y;
                node[0] = (int16_t)rint(16384 * l / 100);
                node[1] = (int16_t)rint(16384 * (500 * (f[0] - f[1]) + 128) / 256);
                node[2] = (int16_t)rint(16384 * (200 * (f[1] - f[2]) + 128) / 256);
            }
    return nodes;
}

void sf_lab_f32(sf_room *room, const float *in, size_t pixels, float *out) {
    sf_mark mark = sf_room_mark(room);
    const int16_t *nodes = nodes_of(room);
    for (size_t p = 0; p < pixels; p++, in += 3, out += 3) {
        int at[3], part[3];
        for (int k = 0; k < 3; k++) {
            const float x = in[k] > 0 ? in[k] < 1 ? in[k] : 1 : 0;
            const int fixed = (int)sf_rint(x * 16384);
            at[k] = fixed >> 9;
            part[k] = fixed >> 5 & 15;
        }
        int32_t sum[3] = {0, 0, 0};
        for (int corner = 0; corner < 8; corner++) {
            const int r = corner >> 2, g = corner >> 1 & 1, b = corner & 1;
            const int wr = r ? part[0] : 16 - part[0], wg = g ? part[1] : 16 - part[1], wb = b ? part[2] : 16 - part[2];
            const int weight = wr * wg * wb;
            const int16_t *node = nodes + node_at(at[0] + r, at[1] + g, at[2] + b);
            for (int k = 0; k < 3; k++) sum[k] += weight * node[k];
        }
        out[0] = (float)shifted(sum[0], 12) * (1.0f / 16384) * 100;
        out[1] = (float)shifted(sum[1], 12) * (256.0f / 16384) - 128;
        out[2] = (float)shifted(sum[2], 12) * (256.0f / 16384) - 128;
    }
    sf_room_rewind(room, mark);
}

void sf_gray_u8(const uint8_t *in, size_t pixels, uint8_t *out) {
    for (size_t p = 0; p < pixels; p++, in += 3)
        out[p] = (uint8_t)((9798 * in[0] + 19235 * in[1] + 3735 * in[2] + (1 << 14)) >> 15);
}
