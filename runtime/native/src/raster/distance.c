/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Distances by two passes of a 5 x 5 chamfer mask: a step to a side costs 1, to a corner 1.4, a knight's move 2.1969
 * (G. Borgefors, Distance transformations in digital images, 1986; the numbers are OpenCV's documentation's).
 * Sums are whole numbers of 1/65536; whoever comes first of equally near ones stays, in the order of the moves below.
 * So the bits and the indices are those of cv2.distanceTransformWithLabels; cv2.distanceTransform with IPP, which adds
 * floats, is up to 4e-6 of the distance away from it. Where nothing is near: 65533.8 (with IPP 3.4e38), and sample 0.
 *
 * Each row is done in two loops: what comes from the two rows beside it, which depends on no neighbour, and then
 * what comes along the row.
 */
#include <string.h>

#include "raster.h"

enum { SIDE = 65536, CORNER = 91750, KNIGHT = 143976, EDGE = 2 };

/* Costs are unsigned, but kept less 2^31: plain processors compare only signed numbers side by side. */
#define NOTHING INT32_MIN
#define UNREACHED (INT32_MAX - KNIGHT)

typedef struct sf_map {
    int32_t *cost, *nearest; /* padded by EDGE samples all round; nearest may be null */
    size_t row;
} sf_map;

static inline void from_beside(int32_t *restrict cost, const int32_t *one, const int32_t *two,
                               int32_t *restrict nearest, const int32_t *near_one, const int32_t *near_two, int w,
                               int way) {
    for (int x = 0; x < w; x++) {
        int32_t best = cost[x], index = nearest ? nearest[x] : 0, next;
#define TRY(from, near, shift, price)                                       \
    next = from[x + way * (shift)] + price;                                 \
    if (nearest) index = next < best ? near[x + way * (shift)] : index;     \
    best = next < best ? next : best;
        TRY(two, near_two, -1, KNIGHT)
        TRY(two, near_two, 1, KNIGHT)
        TRY(one, near_one, -2, KNIGHT)
        TRY(one, near_one, -1, CORNER)
        TRY(one, near_one, 0, SIDE)
        TRY(one, near_one, 1, CORNER)
        TRY(one, near_one, 2, KNIGHT)
#undef TRY
        cost[x] = best;
        if (nearest) nearest[x] = index;
    }
}

/* way 1: downwards and to the right; -1: upwards and to the left, where all moves are mirrored. */
static inline void sweep_row(const sf_map *map, int y, int w, int way, int indices) {
    int32_t *cost = map->cost + (size_t)(y + EDGE) * map->row + EDGE;
    int32_t *nearest = indices ? map->nearest + (size_t)(y + EDGE) * map->row + EDGE : 0;
    const ptrdiff_t back = -way * (ptrdiff_t)map->row;
    if (indices)
        from_beside(cost, cost + back, cost + 2 * back, nearest, nearest + back, nearest + 2 * back, w, way);
    else
        from_beside(cost, cost + back, cost + 2 * back, 0, 0, 0, w, way);
    int32_t last = UNREACHED, index = 0;
    for (int i = 0, x = way > 0 ? 0 : w - 1; i < w; i++, x += way) {
        const int32_t next = last + SIDE, own = cost[x];
        if (indices) nearest[x] = index = next < own ? index : nearest[x];
        cost[x] = last = next < own ? next : own;
    }
}

/* Distances to the samples where (in == 0) equals zero. */
static void measure(sf_room *room, const uint8_t *in, int zero, int h, int w, float *distance, int32_t *nearest) {
    sf_mark mark = sf_room_mark(room);
    const size_t row = (size_t)w + 2 * EDGE, all = row * ((size_t)h + 2 * EDGE);
    sf_map map = {sf_take(room, all, 4), nearest ? sf_take_zeroed(room, all, 4) : 0, row};
    for (size_t i = 0; i < all; i++) map.cost[i] = UNREACHED;
    for (int y = 0; y < h; y++) {
        const size_t inner = (size_t)(y + EDGE) * row + EDGE, outer = (size_t)y * (size_t)w;
        for (int x = 0; x < w; x++) {
            const int is = (in[outer + (size_t)x] == 0) == zero;
            map.cost[inner + (size_t)x] = is ? NOTHING : UNREACHED;
            if (nearest) map.nearest[inner + (size_t)x] = is ? (int32_t)(outer + (size_t)x) : 0;
        }
        if (nearest)
            sweep_row(&map, y, w, 1, 1);
        else
            sweep_row(&map, y, w, 1, 0);
    }
    for (int y = h - 1; y >= 0; y--) {
        if (nearest)
            sweep_row(&map, y, w, -1, 1);
        else
            sweep_row(&map, y, w, -1, 0);
        const size_t inner = (size_t)(y + EDGE) * row + EDGE, outer = (size_t)y * (size_t)w;
        if (distance)
            for (int x = 0; x < w; x++)
                distance[outer + (size_t)x] =
                    (float)((uint32_t)map.cost[inner + (size_t)x] + 0x80000000u) * (1.0f / 65536);
        if (nearest)
            for (int x = 0; x < w; x++) nearest[outer + (size_t)x] = map.nearest[inner + (size_t)x];
    }
    sf_room_rewind(room, mark);
}

void sf_distance(sf_room *room, const uint8_t *in, int h, int w, float *distance) {
    measure(room, in, 1, h, w, distance, 0);
}

void sf_depth(sf_room *room, const uint8_t *in, int h, int w, float *depth) {
    const sf_mark mark = sf_room_mark(room);
    const size_t row = (size_t)w, wide = row + 2, tall = (size_t)h + 2;
    uint8_t *padded = sf_take(room, tall * wide, 1);
    float *distance = sf_take(room, tall * wide, sizeof *distance);
    for (size_t i = 0; i < tall; i++) {
        const size_t y = i == 0 ? 0 : i - 1 < (size_t)h ? i - 1 : (size_t)h - 1;
        const uint8_t *from = in + y * row;
        uint8_t *to = padded + i * wide;
        to[0] = from[0];
        memcpy(to + 1, from, row);
        to[wide - 1] = from[row - 1];
    }
    sf_distance(room, padded, h + 2, w + 2, distance);
    for (size_t y = 0; y < (size_t)h; y++)
        memcpy(depth + y * row, distance + (y + 1) * wide + 1, row * sizeof *depth);
    sf_room_rewind(room, mark);
}

void sf_nearest_to(sf_room *room, const uint8_t *where, int h, int w, float *distance, int32_t *nearest) {
    measure(room, where, 0, h, w, distance, nearest);
}

void sf_nearest_owner(sf_room *room, const int32_t *labels, int h, int w, int32_t *out) {
    sf_mark mark = sf_room_mark(room);
    const size_t all = (size_t)h * (size_t)w;
    uint8_t *where = sf_take(room, all, 1);
    int32_t *nearest = sf_take(room, all, 4), *owner = sf_take(room, all, 4);
    for (size_t i = 0; i < all; i++) where[i] = labels[i] != 0;
    measure(room, where, 0, h, w, 0, nearest);
    for (size_t i = 0; i < all; i++) owner[i] = labels[nearest[i]];
    for (size_t i = 0; i < all; i++) out[i] = owner[i];
    sf_room_rewind(room, mark);
}
