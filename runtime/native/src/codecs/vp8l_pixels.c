/* SPDX-License-Identifier: Apache-2.0 */
/* The pixels of an image of lossless WebP: RFC 9649, sections 3.5 to 3.7. */
#include <string.h>

#include "vp8l.h"

#define VALUES 256
#define CACHE_BITS_MOST 11

/* How codes are chosen: by blocks of 1 << bits pixels, or one group for all. */
typedef struct choice {
    const sf_vp8l_group *groups;
    const uint32_t *map; /* which group in red and green, or null */
    uint32_t across;
    int bits;
} choice;

/* Colours that came by, each at a place that its bits give. */
typedef struct cache {
    uint32_t *colours; /* null where there is none */
    int shift;         /* 32 less the bits of a place */
} cache;

/* Where short distances lead, nearest first: x to the left, y up. */
static const int8_t NEAR[120][2] = {
    {0, 1},  {1, 0},  {1, 1},  {-1, 1}, {0, 2},  {2, 0},  {1, 2},  {-1, 2}, {2, 1},  {-2, 1}, {2, 2},  {-2, 2},
    {0, 3},  {3, 0},  {1, 3},  {-1, 3}, {3, 1},  {-3, 1}, {2, 3},  {-2, 3}, {3, 2},  {-3, 2}, {0, 4},  {4, 0},
    {1, 4},  {-1, 4}, {4, 1},  {-4, 1}, {3, 3},  {-3, 3}, {2, 4},  {-2, 4}, {4, 2},  {-4, 2}, {0, 5},  {3, 4},
    {-3, 4}, {4, 3},  {-4, 3}, {5, 0},  {1, 5},  {-1, 5}, {5, 1},  {-5, 1}, {2, 5},  {-2, 5}, {5, 2},  {-5, 2},
    {4, 4},  {-4, 4}, {3, 5},  {-3, 5}, {5, 3},  {-5, 3}, {0, 6},  {6, 0},  {1, 6},  {-1, 6}, {6, 1},  {-6, 1},
    {2, 6},  {-2, 6}, {6, 2},  {-6, 2}, {4, 5},  {-4, 5}, {5, 4},  {-5, 4}, {3, 6},  {-3, 6}, {6, 3},  {-6, 3},
    {0, 7},  {7, 0},  {1, 7},  {-1, 7}, {5, 5},  {-5, 5}, {7, 1},  {-7, 1}, {4, 6},  {-4, 6}, {6, 4},  {-6, 4},
    {2, 7},  {-2, 7}, {7, 2},  {-7, 2}, {3, 7},  {-3, 7}, {7, 3},  {-7, 3}, {5, 6},  {-5, 6}, {6, 5},  {-6, 5},
    {8, 0},  {4, 7},  {-4, 7}, {7, 4},  {-7, 4}, {8, 1},  {8, 2},  {6, 6},  {-6, 6}, {8, 3},  {5, 7},  {-5, 7},
    {7, 5},  {-7, 5}, {8, 4},  {6, 7},  {-6, 7}, {7, 6},  {-7, 6}, {8, 5},  {7, 7},  {-7, 7}, {8, 6},  {8, 7},
};

/* A length, or a distance, of its symbol and the bits that follow: at most 18 of those that are there. */
static uint32_t read_number(sf_bits *in, uint32_t symbol) {
    if (symbol < 4) return symbol + 1;
    const uint32_t extra = (symbol - 2) >> 1;
    return ((2 + (symbol & 1)) << extra) + sf_bits_take(in, extra) + 1;
}

static uint32_t to_distance(uint32_t number, uint32_t width) {
    if (number > 120) return number - 120;
    const int64_t distance = NEAR[number - 1][0] + (int64_t)NEAR[number - 1][1] * width;
    return distance < 1 ? 1 : (uint32_t)distance;
}

static void remember(cache c, uint32_t colour) { c.colours[(0x1e35a7bdu * colour) >> c.shift] = colour; }

static const sf_vp8l_group *group_at(const choice *codes, uint32_t x, uint32_t y) {
    if (!codes->map) return codes->groups;
    const uint32_t block = codes->map[(size_t)(y >> codes->bits) * codes->across + (x >> codes->bits)];
    return codes->groups + (block >> 8 & 0xffff);
}

#define SHORT 16 /* copies for which a call of memcpy is not worth it */

static void copy(uint32_t *out, size_t distance, size_t length, cache c) {
    const uint32_t *const from = out - distance;
    if (length < SHORT) {
        for (size_t i = 0; i < length; i++) {
            out[i] = from[i];
            if (c.colours) remember(c, out[i]);
        }
        return;
    }
    /* What is there already is a whole number of repeats, so twice as much can be copied each time. */
    for (size_t done = 0, now = distance; done < length; done += now, now = done + distance) {
        if (now > length - done) now = length - done;
        memcpy(out + done, from, now * sizeof *out);
    }
    /* The pixel before is in the cache; in a plain area there is nothing to add. */
    if (!c.colours || !memcmp(out, out - 1, length * sizeof *out)) return;
    for (size_t i = 0; i < length; i++) remember(c, out[i]);
}

static void read_pixels(sf_room *room, sf_bits *shared, uint32_t width, uint32_t height, const choice *codes, cache c,
                        uint32_t *out) {
    const size_t all = (size_t)width * height;
    const uint32_t in_block = codes->map ? (1u << codes->bits) - 1 : UINT32_MAX;
    const sf_vp8l_group *group = codes->groups;
    sf_bits in = *shared; /* a copy, which the compiler can keep in registers */
    uint32_t x = 0, y = 0;
    for (size_t i = 0; i < all;) {
        if (!(x & in_block)) group = group_at(codes, x, y);
        sf_bits_refill(&in);
        const uint32_t green = sf_vp8l_symbol(&in, group->green);
        if (green >= VALUES && green < VALUES + SF_VP8L_LENGTHS) {
            const uint32_t length = read_number(&in, green - VALUES); /* 15 + 10 bits, 56 with what follows */
            const uint32_t symbol = sf_vp8l_symbol(&in, group->distance);
            sf_bits_refill(&in);
            const uint32_t distance = to_distance(read_number(&in, symbol), width);
            if (distance > i || length > all - i) sf_vp8l_give_up(room, "its pixels are damaged");
            copy(out + i, distance, length, c);
            i += length;
            x += length;
            if (x < width) {
                group = group_at(codes, x, y);
                continue;
            }
            y += x / width;
            x %= width;
            if (i < all) group = group_at(codes, x, y);
        } else {
            uint32_t colour;
            if (green >= VALUES) {
                colour = c.colours[green - VALUES - SF_VP8L_LENGTHS];
            } else if (group->is_constant) {
                colour = group->constant | green << 8;
            } else {
                const uint32_t red = sf_vp8l_symbol(&in, group->red), blue = sf_vp8l_symbol(&in, group->blue);
                colour = group->constant | red << 16 | green << 8 | blue;
                if (!group->is_opaque) {
                    sf_bits_refill(&in); /* four codes may have 60 bits */
                    colour = (colour & 0xffffff) | sf_vp8l_symbol(&in, group->alpha) << 24;
                }
            }
            if (c.colours) remember(c, colour);
            out[i++] = colour;
            if (++x < width) continue;
            x = 0;
            y++;
        }
        /* Once a row, so that a file that is cut off does not keep us long. */
        if (sf_bits_are_past_the_end(&in)) sf_vp8l_give_up(room, "it is cut off");
    }
    if (sf_bits_are_past_the_end(&in)) sf_vp8l_give_up(room, "it is cut off");
    *shared = in;
}

/* Which groups of codes there are, and where they are used. */
static uint32_t read_map(sf_room *room, sf_bits *in, uint32_t width, uint32_t height, choice *codes) {
    codes->bits = 2 + (int)sf_bits_take(in, 3);
    codes->across = sf_vp8l_blocks(width, codes->bits);
    const uint32_t down = sf_vp8l_blocks(height, codes->bits);
    codes->map = sf_vp8l_image(room, in, codes->across, down, 0);
    uint32_t last = 0;
    for (size_t i = 0; i < (size_t)codes->across * down; i++) {
        const uint32_t group = codes->map[i] >> 8 & 0xffff;
        if (group > last) last = group;
    }
    return last + 1;
}

uint32_t *sf_vp8l_image(sf_room *room, sf_bits *in, uint32_t width, uint32_t height, int is_main) {
    uint32_t *const out = sf_take(room, (uint64_t)width * height, sizeof *out);
    const sf_mark mark = sf_room_mark(room);
    sf_bits_refill(in);
    const int cache_bits = sf_bits_take(in, 1) ? (int)sf_bits_take(in, 4) : -1;
    if (!cache_bits || cache_bits > CACHE_BITS_MOST)
        sf_vp8l_give_up(room, "its colour cache is of no size that may be");
    choice codes = {0, 0, 0, 0};
    uint32_t groups = 1;
    if (is_main && sf_bits_take(in, 1)) groups = read_map(room, in, width, height, &codes);
    codes.groups = sf_vp8l_groups(room, in, groups, cache_bits > 0 ? cache_bits : 0);
    cache c = {0, 32 - cache_bits};
    if (cache_bits > 0) c.colours = sf_take_zeroed(room, (uint64_t)1 << cache_bits, sizeof *c.colours);
    read_pixels(room, in, width, height, &codes, c, out);
    sf_room_rewind(room, mark);
    return out;
}
