/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The k-th smallest of many floats, by counting: their bits, with the sign turned, sort like whole numbers; the first
 * 11 bits of the one sought are found by a histogram, then the next 11 among those, then the last 10. Three readings,
 * nothing is copied, and no order of the values is slow.
 */
#include <math.h>
#include <string.h>

#include "raster.h"

static inline uint32_t key_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

static float value_of(uint32_t key) {
    const uint32_t bits = key >> 31 ? key & 0x7fffffffu : ~key;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float smallest(sf_room *room, const float *values, size_t count, size_t rank) {
    sf_mark mark = sf_room_mark(room);
    size_t *bins = sf_take(room, 2048, sizeof *bins);
    uint32_t key = 0, known = 0; /* the bits that are found, and their mask */
    static const int shifts[] = {21, 10, 0};
    for (int pass = 0; pass < 3; pass++) {
        const uint32_t width = pass < 2 ? 2048 : 1024;
        memset(bins, 0, 2048 * sizeof *bins);
        for (size_t i = 0; i < count; i++) {
            const uint32_t k = key_of(values[i]);
            if ((k & known) == key) bins[k >> shifts[pass] & (width - 1)]++;
        }
        uint32_t bin = 0;
        while (bin + 1 < width && rank >= bins[bin]) rank -= bins[bin++];
        key |= bin << shifts[pass];
        known |= (width - 1) << shifts[pass];
    }
    sf_room_rewind(room, mark);
    return value_of(key);
}

double sf_percentile_f32(sf_room *room, const float *values, size_t count, double percent) {
    const double at = (double)(count - 1) * (percent / 100), below = floor(at), part = at - below;
    const size_t rank = (size_t)below;
    const float a = smallest(room, values, count, rank);
    const float b = rank + 1 < count ? smallest(room, values, count, rank + 1) : a;
    const float step = b - a;
    return part >= 0.5 ? b - step * (float)(1 - part) : a + step * (float)part;
}
