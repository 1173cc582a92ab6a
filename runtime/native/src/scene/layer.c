/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The moving layer at field size: which layer goes on where, and values continued beyond their edge by a pyramid of
 * weighted means (push-pull: Gortler et al. 1996). As stillflow.layer does it.
 */
#include <math.h>

#include "scene/stages.h"

#define SF_BEHIND 8.0f   /* how much later a layer arrives where what is farther than itself is seen */
#define SF_MARGIN 0.025  /* picture widths beyond its edge in which a layer goes on however slow it is */
#define SF_LEAST_SPEED 1e-4
#define SF_FAST_PERCENT 90.0

/* Each call has half the side of the one that calls it: at most 31 of them. */
void sf_push_pull(sf_room *room, const float *values, const float *known, int h, int w, int c, float *out) {
    const size_t count = (size_t)h * (size_t)w, all = count * (size_t)c;
    float least = known[0];
    for (size_t i = 1; i < count; i++)
        if (known[i] < least) least = known[i];
    if (count == 1 || least >= 1) {
        for (size_t k = 0; k < all; k++) out[k] = known[k / (size_t)c] > 0 ? values[k] : 0;
        return;
    }
    const sf_mark mark = sf_room_mark(room);
    const int oh = (h + 1) / 2, ow = (w + 1) / 2;
    const size_t few = (size_t)oh * (size_t)ow;
    float *mean = sf_take(room, few * (size_t)c, sizeof(float)), *weight = sf_take(room, few, sizeof(float));
    float *coarse = sf_take(room, few * (size_t)c, sizeof(float));
    for (size_t k = 0; k < all; k++) out[k] = values[k] * known[k / (size_t)c];
    sf_resize_area_f32(room, out, h, w, c, mean, oh, ow);
    sf_resize_area_f32(room, known, h, w, 1, weight, oh, ow);
    for (size_t i = 0; i < few; i++) {
        const float floor = weight[i] > 1e-6f ? weight[i] : 1e-6f;
        for (size_t k = i * (size_t)c; k < (i + 1) * (size_t)c; k++) mean[k] /= floor;
        /* A coarse sample counts in full as soon as half of what it covers is known. */
        weight[i] = weight[i] * 2 < 1 ? weight[i] * 2 : 1;
    }
    sf_push_pull(room, mean, weight, oh, ow, c, coarse);
    sf_resize_linear_f32(room, coarse, oh, ow, c, out, h, w);
    for (size_t k = 0; k < all; k++) {
        const float share = known[k / (size_t)c];
        out[k] = values[k] * share + out[k] * (1 - share);
    }
    sf_room_rewind(room, mark);
}

/* The speed that a tenth of a layer's samples exceeds. */
static double fast_of(sf_room *room, const uint8_t *mine, const float *speed, size_t count) {
    const sf_mark mark = sf_room_mark(room);
    float *values = sf_take(room, count, sizeof(float));
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (mine[i]) values[n++] = speed[i];
    const double fast = sf_percentile_f32(room, values, n, SF_FAST_PERCENT);
    sf_room_rewind(room, mark);
    return fast > SF_LEAST_SPEED ? fast : SF_LEAST_SPEED;
}

void sf_owners(sf_room *room, const uint8_t *classes, const float *known, const float *speed, const uint8_t *order,
               int h, int w, uint8_t *owner) {
    const sf_mark mark = sf_room_mark(room);
    const size_t count = (size_t)h * (size_t)w;
    const float margin = (float)(SF_MARGIN * w);
    float *soonest = sf_take(room, count, sizeof(float)), *distance = sf_take(room, count, sizeof(float));
    int32_t *nearest = sf_take(room, count, sizeof(int32_t));
    uint8_t *mine = sf_take(room, count, 1), present[256] = {0};
    for (size_t i = 0; i < count; i++) {
        owner[i] = 0;
        soonest[i] = INFINITY;
        if (known[i] > 0) present[classes[i]] = 1;
    }
    for (int label = 0; label < 256; label++) {
        if (!present[label]) continue;
        for (size_t i = 0; i < count; i++) mine[i] = known[i] > 0 && classes[i] == label;
        sf_nearest_to(room, mine, h, w, distance, nearest);
        /* Distances count in units of each layer's speed: the one that reaches a sample first goes on there. */
        const float unit = (float)fast_of(room, mine, speed, count);
        for (size_t i = 0; i < count; i++) {
            const float way = distance[i] - margin;
            float time = (way > 0 ? way : 0) / unit + distance[i] * 1e-3f;
            if (order[i] < order[nearest[i]]) time *= SF_BEHIND;
            if (time < soonest[i]) {
                soonest[i] = time;
                owner[i] = (uint8_t)label;
            }
        }
    }
    sf_room_rewind(room, mark);
}

void sf_continue_values(sf_room *room, const float *values, const float *known, const uint8_t *classes,
                        const uint8_t *owner, int h, int w, int c, float *out) {
    const sf_mark mark = sf_room_mark(room);
    const size_t count = (size_t)h * (size_t)w;
    float *own = sf_take(room, count, sizeof(float)), *filled = sf_take(room, count * (size_t)c, sizeof(float));
    uint8_t present[256] = {0};
    for (size_t i = 0; i < count; i++) present[owner[i]] = 1;
    for (int label = 0; label < 256; label++) {
        if (!present[label]) continue;
        for (size_t i = 0; i < count; i++) own[i] = classes[i] == label && known[i] > 0 ? known[i] : 0;
        sf_push_pull(room, values, own, h, w, c, filled);
        for (size_t k = 0; k < count * (size_t)c; k++)
            if (owner[k / (size_t)c] == label) out[k] = filled[k];
    }
    sf_room_rewind(room, mark);
}
