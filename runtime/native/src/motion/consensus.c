/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Consensus: a network's classes, brought to agree among places of one photo that look alike and lie near each other:
 * stillflow.consensus, mean-field inference in a fully connected conditional random field (Kraehenbuehl and Koltun
 * 2011) with one Gaussian kernel over place and colour. There are so few places that all pairs are computed.
 */
#include <string.h>

#include "motion/motion.h"
#include "raster/raster.h"

#define LONG_SIDE 48       /* samples along the longer side; at most 48 x 48 places, whose kernel takes 21 MB */
#define REACH 0.3          /* picture widths over which places are neighbours (standard deviation) */
#define COLOUR_REACH 8.0f  /* CIELAB units over which colours are alike (standard deviation) */
#define WEIGHT 3.0f        /* of the neighbours against a place's own answer */
#define ROUNDS 5           /* of mean-field updates */
#define NOTHING -38.0f /* exp of less is taken for 0: no product is then a subnormal number, and those are slow */
#define FEATURES 5         /* of a place: x, y, L, a, b */
#define ROWS (SF_CLASSES + 1) /* that are spread in a round: the classes' shares, and what moves */
#define BAND 4             /* kernel rows that are read together: 24 KB at 1,536 places, which stay in the L1 cache */

/* exp, but for what is too little to be heard. */
static float share_of(float x) { return x < NOTHING ? 0 : expf(x); }

/* (FEATURES, n): in units of their reach. */
static void find_features(sf_room *room, const uint8_t *photo, int height, int width, int h, int w, float *features) {
    const size_t n = (size_t)h * (size_t)w;
    const sf_mark mark = sf_room_mark(room);
    uint8_t *small = sf_take(room, n, 3);
    float *unit = sf_take(room, n, 3 * sizeof(float)), *lab = sf_take(room, n, 3 * sizeof(float));
    sf_resize_area_u8(room, photo, height, width, 3, small, h, w);
    for (size_t k = 0; k < 3 * n; k++) unit[k] = (float)small[k] / 255;
    sf_lab_f32(room, unit, n, lab);
    const float reach = (float)(w * REACH);
    for (size_t k = 0; k < n; k++) {
        features[k] = (float)(k % (size_t)w) / reach;
        features[n + k] = (float)(k / (size_t)w) / reach;
        for (size_t c = 0; c < 3; c++) features[(2 + c) * n + k] = lab[3 * k + c] / COLOUR_REACH;
    }
    sf_room_rewind(room, mark);
}

/* Normalised affinity of all pairs of places, (n, n), symmetric, 0 on the diagonal; norm is scratch of n. */
static void find_kernel(const float *features, size_t n, float *norm, float *kernel) {
    for (size_t i = 0; i < n; i++) {
        float *row = kernel + i * n;
        for (size_t j = 0; j < n; j++) row[j] = 0;
        for (size_t f = 0; f < FEATURES; f++) {
            const float *feature = features + f * n, own = feature[i];
            for (size_t j = 0; j < n; j++) row[j] += (feature[j] - own) * (feature[j] - own);
        }
        for (size_t j = 0; j < n; j++) row[j] = share_of(-0.5f * row[j]);
        row[i] = 0;
    }
    for (size_t j = 0; j < n; j++) norm[j] = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) norm[j] += kernel[i * n + j];
    for (size_t j = 0; j < n; j++) norm[j] = 1 / sqrtf(norm[j] + 1e-3f);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) kernel[i * n + j] *= norm[i] * norm[j];
}

/* out += shares @ kernel of BAND rows of the kernel, the first of which is row i of it. */
static void spread_band(const float *restrict kernel, size_t n, size_t i, const float *restrict shares,
                        float *restrict out) {
    const float *restrict a = kernel + i * n, *restrict b = a + n, *restrict c = b + n, *restrict d = c + n;
    for (size_t row = 0; row < ROWS; row++) {
        const float *share = shares + row * n + i;
        const float sa = share[0], sb = share[1], sc = share[2], sd = share[3];
        float *restrict sum = out + row * n;
        for (size_t j = 0; j < n; j++) sum[j] += (sa * a[j] + sb * b[j]) + (sc * c[j] + sd * d[j]);
    }
}

/* out = shares @ kernel: (ROWS, n) times (n, n). */
static void spread(const float *kernel, size_t n, const float *shares, float *out) {
    const size_t whole = n - n % BAND;
    memset(out, 0, ROWS * n * sizeof(float));
    for (size_t i = 0; i < whole; i += BAND) spread_band(kernel, n, i, shares, out);
    for (size_t i = whole; i < n; i++)
        for (size_t row = 0; row < ROWS; row++)
            for (size_t j = 0; j < n; j++) out[row * n + j] += shares[row * n + i] * kernel[i * n + j];
}

/* Log-probabilities of (SF_CLASSES, n) logits, in place. */
static void log_softmax(float *logits, size_t n) {
    for (size_t k = 0; k < n; k++) {
        float most = logits[k], sum = 0;
        for (size_t c = 1; c < SF_CLASSES; c++) most = logits[c * n + k] > most ? logits[c * n + k] : most;
        for (size_t c = 0; c < SF_CLASSES; c++) sum += expf(logits[c * n + k] - most);
        const float level = logf(sum);
        for (size_t c = 0; c < SF_CLASSES; c++) logits[c * n + k] = (logits[c * n + k] - most) - level;
    }
}

/* The rounds: own is (ROWS, n), what the network says; said becomes what all agree on. */
static void settle(const float *kernel, size_t n, const float *own, float *said, float *shares, float *heard) {
    const size_t classes = SF_CLASSES * n;
    memcpy(said, own, ROWS * n * sizeof(float));
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t k = 0; k < classes; k++) shares[k] = share_of(said[k]);
        for (size_t k = classes; k < ROWS * n; k++) shares[k] = tanhf(said[k] / 2);
        spread(kernel, n, shares, heard);
        for (size_t k = 0; k < ROWS * n; k++) said[k] = own[k] + WEIGHT * heard[k];
        log_softmax(said, n);
    }
}

/* Logit of what moves: the mean of what "moves" and what the classes say. */
static void join(const float *said, size_t n, float *moving) {
    for (size_t k = 0; k < n; k++) {
        float moves = 0;
        for (size_t c = SF_WATER; c <= SF_CLOTH; c++) moves += expf(said[c * n + k]);
        const float stays = expf(said[SF_STATIC * n + k]) + expf(said[SF_SKY * n + k]);
        const float logit = said[SF_CLASSES * n + k], clipped = logit < -14 ? -14 : logit > 14 ? 14 : logit;
        moving[k] = (clipped + logf((moves + 1e-6f) / (stays + 1e-6f))) / 2;
    }
}

void sf_agree(sf_room *room, const float *classes, const float *moves, int h, int w, const uint8_t *photo, int height,
              int width, int *oh, int *ow, float **agreed, float **moving) {
    const double scale = LONG_SIDE / (double)(height > width ? height : width);
    const int rows = (int)rint(height * scale), columns = (int)rint(width * scale);
    *oh = rows > 2 ? rows : 2;
    *ow = columns > 2 ? columns : 2;
    const size_t n = (size_t)*oh * (size_t)*ow, plane = (size_t)h * (size_t)w;
    *agreed = sf_take(room, n, SF_CLASSES * sizeof(float));
    *moving = sf_take(room, n, sizeof(float));
    const sf_mark mark = sf_room_mark(room);
    float *features = sf_take(room, n, FEATURES * sizeof(float)), *kernel = sf_take(room, n * n, sizeof(float));
    float *own = sf_take(room, n, ROWS * sizeof(float)), *said = sf_take(room, n, ROWS * sizeof(float));
    float *shares = sf_take(room, n, ROWS * sizeof(float)), *heard = sf_take(room, n, ROWS * sizeof(float));
    find_features(room, photo, height, width, *oh, *ow, features);
    find_kernel(features, n, heard, kernel);
    for (size_t c = 0; c < SF_CLASSES; c++)
        sf_resize_linear_f32(room, classes + c * plane, h, w, 1, own + c * n, *oh, *ow);
    sf_resize_linear_f32(room, moves, h, w, 1, own + SF_CLASSES * n, *oh, *ow);
    log_softmax(own, n);
    settle(kernel, n, own, said, shares, heard);
    memcpy(*agreed, said, SF_CLASSES * n * sizeof(float));
    join(said, n, *moving);
    sf_room_rewind(room, mark);
}
