/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The splat of one row, for one instruction set. The law is stillflow/kernels/splat_reference.py, and the sums are the
 * same bits: terms are values * (wx * (wy * share)) and come by ascending source, since entries do.
 */
#ifndef SF_SPLAT_KERNEL_H
#define SF_SPLAT_KERNEL_H

#include "scene.h"
#include "simd.h"

/* Entries ahead whose values are fetched into the cache: a sixth off the time of a row, and 3 are too few. */
#define SF_SPLAT_AHEAD 10

/* sums += values * k */
SF_INLINE void add_pixel(float *sums, const float *values, float k, int32_t channels) {
    const v8f k8 = splat8(k);
    int32_t c = 0;
    for (; c + 8 <= channels; c += 8) {
        v8f sum = load8(sums + c) + load8(values + c) * k8;
        memcpy(sums + c, &sum, sizeof sum);
    }
    for (; c < channels; c++) sums[c] += values[c] * k;
}

/* The same for two pixels side by side: values are loaded once. */
SF_INLINE void add_two_pixels(float *sums, const float *values, float k, float l, int32_t channels) {
    const v8f k8 = splat8(k), l8 = splat8(l);
    float *next = sums + channels;
    int32_t c = 0;
    for (; c + 8 <= channels; c += 8) {
        v8f value = load8(values + c), sum = load8(sums + c) + value * k8, other = load8(next + c) + value * l8;
        memcpy(sums + c, &sum, sizeof sum);
        memcpy(next + c, &other, sizeof other);
    }
    for (; c < channels; c++) {
        sums[c] += values[c] * k;
        next[c] += values[c] * l;
    }
}

static void add_row(const sf_splat *splat, int which, const uint32_t *entry, const uint32_t *end,
                    const sf_splat_target *target, int32_t y, float *sums) {
    const float *displacement = splat->displacement[which];
    const float share = splat->share[which], width = (float)splat->width, height = (float)splat->height;
    const int32_t channels = splat->channels, columns = splat->columns, x0 = target->x0, x1 = target->x1;
    /* Entries ascend, so the source's row is found by walking on, without a division. */
    uint32_t row_begin = 0;
    int32_t row = splat->top;
    if (entry < end) {
        row += (int32_t)(*entry / (uint32_t)columns);
        row_begin = *entry / (uint32_t)columns * (uint32_t)columns;
    }
    for (; entry < end; entry++) {
        const uint32_t source = *entry;
        while (source - row_begin >= (uint32_t)columns) row_begin += (uint32_t)columns, row++;
        const float tx = (float)(splat->left + (int32_t)(source - row_begin)) + displacement[2 * (size_t)source];
        const float ty = (float)row + displacement[2 * (size_t)source + 1];
        /* The index has seen to this; it is asked again since displacements are not ours. */
        if (!(tx > -1 && ty > -1 && tx < width && ty < height)) continue;
        int32_t px = (int32_t)tx, py = (int32_t)ty;
        px -= (float)px > tx;
        py -= (float)py > ty;
        if (py != y && py + 1 != y) continue;
        const float fx = tx - (float)px, fy = ty - (float)py;
        const float wy = (py == y ? 1.0f - fy : fy) * share;
        const float k = (1.0f - fx) * wy, l = fx * wy;
        const int left = k != 0 && px >= x0 && px < x1, right = l != 0 && px + 1 >= x0 && px + 1 < x1;
        if (end - entry > SF_SPLAT_AHEAD) {
            const float *ahead = splat->values + (size_t)entry[SF_SPLAT_AHEAD] * (size_t)channels;
            for (int32_t c = 0; c < channels; c += 16) __builtin_prefetch(ahead + c);
        }
        const float *values = splat->values + (size_t)source * (size_t)channels;
        float *at = sums + (ptrdiff_t)(px - x0) * channels;
        if (left && right) add_two_pixels(at, values, k, l, channels);
        else if (left) add_pixel(at, values, k, channels);
        else if (right) add_pixel(at + channels, values, l, channels);
    }
}

/* Channel c, c + 1... of 8 pixels from 8 pixels of channels; distance is from pixel to pixel. */
SF_INLINE void turn8(const float *from, int32_t distance, v8f to[8]) {
    for (int half = 0; half < 2; half++) {
        const float *p = from + 4 * half * distance;
        v8f a = load8(p), b = load8(p + distance), c = load8(p + 2 * distance), d = load8(p + 3 * distance);
        v8f ab = SF_PICK8(a, b, 0, 1, 0, 1), cd = SF_PICK8(c, d, 0, 1, 0, 1);
        v8f AB = SF_PICK8(a, b, 2, 3, 2, 3), CD = SF_PICK8(c, d, 2, 3, 2, 3);
        v8f turned[4] = {SF_PICK8(ab, cd, 0, 2, 0, 2), SF_PICK8(ab, cd, 1, 3, 1, 3), SF_PICK8(AB, CD, 0, 2, 0, 2),
                         SF_PICK8(AB, CD, 1, 3, 1, 3)};
        for (int k = 0; k < 4; k++) {
            /* The low halves are of channels 0..3, the high ones of 4..7. */
            to[k] = half ? pair8(low_of(to[k]), low_of(turned[k])) : turned[k];
            to[k + 4] = half ? pair8(low_of(to[k + 4]), high_of(turned[k]))
                             : pair8(high_of(turned[k]), high_of(turned[k]));
        }
    }
}

SF_INLINE float least_weight(float weight) { return weight > SF_LEAST_WEIGHT ? weight : SF_LEAST_WEIGHT; }

static void divide_row(const sf_splat *splat, const sf_splat_target *target, int32_t y, const float *sums) {
    const int32_t channels = splat->channels, pixels = target->x1 - target->x0, groups = splat->denominators;
    const int32_t outputs = channels - groups;
    const ptrdiff_t to_pixel = target->pixel_stride, to_channel = target->channel_stride;
    float *out = target->out + (ptrdiff_t)(y - target->y0) * target->row_stride;
    int32_t x = 0;
    for (; to_pixel == 1 && x + 8 <= pixels; x += 8) {
        const float *from = sums + (size_t)x * (size_t)channels;
        v8f weights[SF_DENOMINATORS_MOST + 1];
        weights[0] = splat8(1);
        for (int32_t g = 0; g < groups; g++) {
            float weight[8];
            for (int k = 0; k < 8; k++) weight[k] = least_weight(from[k * channels + outputs + g]);
            weights[g] = load8(weight);
        }
        int32_t g = 0, c = 0;
        for (; c + 8 <= outputs; c += 8) {
            v8f turned[8];
            turn8(from + c, channels, turned);
            for (int k = 0; k < 8; k++) {
                while (g + 1 < groups && c + k >= splat->ends[g]) g++;
                v8f value = turned[k] / weights[g];
                memcpy(out + (c + k) * to_channel + x, &value, sizeof value);
            }
        }
        for (; c < outputs; c++) {
            while (g + 1 < groups && c >= splat->ends[g]) g++;
            for (int k = 0; k < 8; k++) out[c * to_channel + x + k] = from[k * channels + c] / weights[g][k];
        }
    }
    for (; x < pixels; x++) {
        const float *from = sums + (size_t)x * (size_t)channels;
        for (int32_t c = 0, g = 0; c < outputs; c++) {
            while (g + 1 < groups && c >= splat->ends[g]) g++;
            out[x * to_pixel + c * to_channel] = groups ? from[c] / least_weight(from[outputs + g]) : from[c];
        }
    }
    if (!target->landed) return;
    float *landed = target->landed + (ptrdiff_t)(y - target->y0) * target->landed_stride;
    for (x = 0; x < pixels; x++) {
        const float *from = sums + (size_t)x * (size_t)channels;
        int any = groups ? from[outputs] != 0 : 0;
        for (int32_t c = 0; !groups && c < outputs; c++) any |= from[c] != 0;
        landed[x] = any ? 1.0f : 0.0f;
    }
}

#endif
