/* SPDX-License-Identifier: Apache-2.0 */
/* How often a region is faded in one loop, and how much of its speed a cross-fade carries: stillflow.cycles. */
#include "motion/motion.h"
#include "raster/raster.h"

#define CYCLE_REACH 0.06    /* picture widths that the fast part of a region may travel in one cycle */
#define SHORTEST_CYCLE 1.0  /* seconds */
#define LONGEST_TRAVEL 0.20 /* picture widths a cycle; what is faster is slowed down to this */
#define FAST_PERCENT 90     /* of a region's speeds */

/* Speeds of the flowing samples, one label after the other: those of label i are begin[i]..begin[i + 1] - 1. */
static void sort_speeds(const uint8_t *region, const int32_t *labels, const float *speed, size_t n, int32_t count,
                        size_t *begin, float *sorted) {
    for (int32_t i = 0; i < count + 2; i++) begin[i] = 0;
    for (size_t k = 0; k < n; k++)
        if (region[k]) begin[labels[k] + 2]++;
    for (int32_t i = 2; i < count + 2; i++) begin[i] += begin[i - 1];
    /* begin[i + 1] is where label i's next goes, and in the end where it ends. */
    for (size_t k = 0; k < n; k++)
        if (region[k]) sorted[begin[labels[k] + 1]++] = speed[k];
}

void sf_cycle_plan(sf_room *room, const uint8_t *region, const float *speed, int h, int w, double seconds,
                   uint8_t *cycles, float *slower) {
    const size_t n = (size_t)h * (size_t)w;
    const sf_mark mark = sf_room_mark(room);
    const double whole = floor(seconds / SHORTEST_CYCLE), most = whole < 1 ? 1 : whole > 255 ? 255 : whole;
    uint8_t *joined = sf_take(room, n, 1);
    int32_t *labels = sf_take(room, n, sizeof *labels);
    for (size_t k = 0; k < n; k++) joined[k] = region[k] > 0;
    /* Regions closer than two samples share lookups when traces are doubled: they count as one. */
    sf_dilate_u8(room, joined, h, w, 5, 1, joined);
    const int32_t count = sf_components(room, joined, h, w, 8, labels, 0);
    size_t *begin = sf_take(room, (uint64_t)count + 2, sizeof *begin);
    float *sorted = sf_take(room, n, sizeof *sorted), *factor_of = sf_take(room, (uint64_t)count, sizeof *factor_of);
    uint8_t *cycles_of = sf_take(room, (uint64_t)count, 1);
    sort_speeds(region, labels, speed, n, count, begin, sorted);
    cycles_of[0] = 1;
    factor_of[0] = 1;
    for (int32_t i = 1; i < count; i++) {
        const double fast = sf_percentile_f32(room, sorted + begin[i], begin[i + 1] - begin[i], FAST_PERCENT);
        const double wanted = ceil(fast * seconds / CYCLE_REACH), c = wanted < 1 ? 1 : wanted > most ? most : wanted;
        const double travel = fast * seconds / c, factor = LONGEST_TRAVEL / (travel > 1e-6 ? travel : 1e-6);
        cycles_of[i] = (uint8_t)c;
        factor_of[i] = factor < 1 ? (float)factor : 1;
    }
    if (count > 1) sf_nearest_owner(room, labels, h, w, labels);
    for (size_t k = 0; k < n; k++) {
        cycles[k] = cycles_of[labels[k]];
        slower[k] = factor_of[labels[k]];
    }
    sf_room_rewind(room, mark);
}
