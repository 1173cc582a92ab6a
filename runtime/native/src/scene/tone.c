/* SPDX-License-Identifier: Apache-2.0 */
/* Tone of old photos: gray ones stay gray, sepia ones keep their one tint (stillflow.tone). */
#include <math.h>

#include "scene/stages.h"

#define SF_SPREAD_MOST 2.5    /* grey levels, root mean square, that a tinted photo's colours may lie off its curve */
#define SF_CURVE_SIGMA 6.0    /* grey levels over which the curve is smoothed */
#define SF_CURVE_REACH 18     /* the kernel's: 37 shades */
#define SF_LOOKED_AT 131072.0 /* about this many pixels are looked at */

static float luma_of(const float *rgb) { return rgb[0] * 0.299f + rgb[1] * 0.587f + rgb[2] * 0.114f; }

static int is_gray(const uint8_t *photo, size_t pixels) {
    for (size_t i = 0; i < pixels; i++)
        if (photo[3 * i] != photo[3 * i + 1] || photo[3 * i] != photo[3 * i + 2]) return 0;
    return 1;
}

/* Gaussian over the shades; a repeated end would count its shade too often. */
static void smooth(const float in[256], float out[256]) {
    double weights[2 * SF_CURVE_REACH + 1], sum = 0;
    for (int k = -SF_CURVE_REACH; k <= SF_CURVE_REACH; k++)
        sum += weights[k + SF_CURVE_REACH] = exp(-k * k / (2 * SF_CURVE_SIGMA * SF_CURVE_SIGMA));
    for (int i = 0; i < 256; i++) {
        out[i] = 0;
        for (int k = -SF_CURVE_REACH; k <= SF_CURVE_REACH; k++)
            if (i + k >= 0 && i + k < 256) out[i] += (float)(weights[k + SF_CURVE_REACH] / sum) * in[i + k];
    }
}

/* Every step-th pixel of every step-th row. */
typedef struct sf_sampled {
    const uint8_t *photo;
    int height, width, step;
} sf_sampled;

/* A sampled pixel's colour less its luma; returns the luma's shade. */
static int shade_of(const uint8_t *pixel, float chroma[3]) {
    const float rgb[3] = {pixel[0], pixel[1], pixel[2]}, luma = luma_of(rgb);
    for (int c = 0; c < 3; c++) chroma[c] = rgb[c] - luma;
    return (int)sf_clamp(sf_rint(luma), 0, 255);
}

/* Mean tint of each shade, smoothed. */
static void tint_of(const sf_sampled *s, float tint[256][3]) {
    double total[3][256] = {{0}};
    float count[256] = {0}, weight[256], sums[256], smoothed[256], chroma[3];
    for (int y = 0; y < s->height; y += s->step) {
        for (int x = 0; x < s->width; x += s->step) {
            const int shade = shade_of(s->photo + 3 * ((size_t)y * (size_t)s->width + (size_t)x), chroma);
            count[shade] += 1;
            for (int c = 0; c < 3; c++) total[c][shade] += (double)chroma[c];
        }
    }
    smooth(count, weight);
    for (int c = 0; c < 3; c++) {
        for (int k = 0; k < 256; k++) sums[k] = (float)total[c][k];
        smooth(sums, smoothed);
        /* Far from every shade that occurs the tint fades towards gray; a little of all keeps the sum above 0. */
        for (int k = 0; k < 256; k++) tint[k][c] = smoothed[k] / (weight[k] + 1e-3f);
    }
}

int sf_tone_curve(const uint8_t *photo, int height, int width, float curve[256][3]) {
    const int gray = is_gray(photo, (size_t)height * (size_t)width);
    const double step = rint(sqrt((double)height * width / SF_LOOKED_AT));
    const sf_sampled sampled = {photo, height, width, step > 1 ? (int)step : 1};
    float tint[256][3] = {{0}}, chroma[3];
    double off = 0, seen = 0;
    if (!gray) {
        tint_of(&sampled, tint);
        for (int y = 0; y < height; y += sampled.step) {
            for (int x = 0; x < width; x += sampled.step) {
                const int shade = shade_of(photo + 3 * ((size_t)y * (size_t)width + (size_t)x), chroma);
                for (int c = 0; c < 3; c++) {
                    const float away = chroma[c] - tint[shade][c];
                    off += (double)(away * away);
                }
                seen += 1;
            }
        }
        if (sqrt(off / seen) > SF_SPREAD_MOST) return 0;
    }
    for (int k = 0; k < 256; k++)
        for (int c = 0; c < 3; c++) curve[k][c] = (float)k + tint[k][c];
    return 1;
}

void sf_toned(float *colours, size_t count, float curve[256][3]) {
    for (size_t i = 0; i < count; i++) {
        const double luma = (double)sf_clamp(luma_of(colours + 3 * i), 0, 255);
        const int below = luma >= 255 ? 254 : (int)luma;
        for (int c = 0; c < 3; c++) {
            const double slope = (double)curve[below + 1][c] - (double)curve[below][c];
            colours[3 * i + (size_t)c] = (float)(slope * (luma - below) + (double)curve[below][c]);
        }
    }
}
