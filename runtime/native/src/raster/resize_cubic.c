/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cv2.resize(INTER_CUBIC): four samples each way around (d + 1/2) scale - 1/2, weighed by R. Keys's kernel (Cubic
 * convolution interpolation for digital image processing, 1981) with a = -3/4; the fourth weight is what the others
 * leave of 1. Columns first, beyond the border the outermost sample. The same as OpenCV's to 3e-7 on values of 0..1
 * without IPP; with it OpenCV's positions are off by up to 1.4e-5 of a sample.
 */
#include <math.h>

#include "taps.h"

typedef struct sf_four { int32_t at[4]; float weight[4]; } sf_four;

static const sf_four *fours_of(sf_room *room, int in, int out) {
    sf_four *fours = sf_take(room, (uint64_t)out, sizeof *fours);
    const double scale = sf_scale(in, out);
    const float a = -0.75f;
    for (int d = 0; d < out; d++) {
        const float position = (float)((d + 0.5) * scale - 0.5), x = position - floorf(position), y = 1 - x;
        const int first = (int)floorf(position) - 1;
        sf_four *four = &fours[d];
        four->weight[0] = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a;
        four->weight[1] = ((a + 2) * x - (a + 3)) * x * x + 1;
        four->weight[2] = ((a + 2) * y - (a + 3)) * y * y + 1;
        four->weight[3] = 1 - four->weight[0] - four->weight[1] - four->weight[2];
        for (int i = 0; i < 4; i++) {
            const int at = first + i;
            four->at[i] = at < 0 ? 0 : at < in ? at : in - 1;
        }
    }
    return fours;
}

void sf_resize_cubic_f32(sf_room *room, const float *in, int h, int w, int c, float *out, int oh, int ow) {
    sf_mark mark = sf_room_mark(room);
    const sf_four *x = fours_of(room, w, ow), *y = fours_of(room, h, oh);
    const size_t row = (size_t)w * (size_t)c, made = (size_t)ow * (size_t)c;
    float *rows[4];
    int held[4]; /* input row n, stretched, is kept in slot n % 4: the four that are needed are neighbours */
    for (int i = 0; i < 4; i++) {
        rows[i] = sf_take(room, made, sizeof **rows);
        held[i] = -1;
    }
    for (int d = 0; d < oh; d++) {
        for (int i = 0; i < 4; i++) {
            const int need = y[d].at[i], slot = need % 4;
            if (held[slot] == need) continue;
            const float *from = in + (size_t)need * row;
            for (int e = 0; e < ow; e++)
                for (int k = 0; k < c; k++) {
                    float sum = 0;
                    for (int j = 0; j < 4; j++) sum += from[(ptrdiff_t)x[e].at[j] * c + k] * x[e].weight[j];
                    rows[slot][(ptrdiff_t)e * c + k] = sum;
                }
            held[slot] = need;
        }
        const float *a = rows[y[d].at[0] % 4], *b = rows[y[d].at[1] % 4];
        const float *e = rows[y[d].at[2] % 4], *f = rows[y[d].at[3] % 4];
        const float *weight = y[d].weight;
        float *to = out + (size_t)d * made;
        for (size_t k = 0; k < made; k++)
            to[k] = a[k] * weight[0] + b[k] * weight[1] + e[k] * weight[2] + f[k] * weight[3];
    }
    sf_room_rewind(room, mark);
}
