/* SPDX-License-Identifier: Apache-2.0 */
/* The prefix codes of lossless WebP: RFC 9649, section 3.7.2.1. */
#include <string.h>

#include "vp8l.h"

#define MAIN_BITS 8
#define ORDERS 19
#define ORDER_BITS 7
#define VALUES 256
#define DISTANCES 40
#define CACHE_BITS_MOST 11
#define SYMBOLS_MOST (VALUES + SF_VP8L_LENGTHS + (1 << CACHE_BITS_MOST))
#define CODES 5

/* Entries of any of these codes: 2704 were counted for the largest alphabet, with 8 bits in the first lookup. */
#define ENTRIES_MOST 4096

/* What is needed while codes are read. */
typedef struct desk {
    uint8_t lengths[SYMBOLS_MOST];
    uint16_t sorted[SYMBOLS_MOST];
    uint32_t entries[CODES][ENTRIES_MOST];
} desk;

void sf_vp8l_give_up(sf_room *room, const char *why) {
    sf_give_up(room, SF_ERROR_FORMAT, SF_WEBP_WHAT, SF_WEBP_FIX, "%s", why);
}

typedef struct shape {
    int entries;
    uint32_t mask;
} shape;

/* Make a table of lengths. The first lookup takes no more bits than the longest code. */
static shape fill(sf_room *room, desk *d, int symbols, int most_bits, uint32_t *entries) {
    int codes = 0, last = 0, longest = 0;
    for (int i = 0; i < symbols; i++) {
        if (!d->lengths[i]) continue;
        codes++;
        last = i;
        if (d->lengths[i] > longest) longest = d->lengths[i];
    }
    if (codes == 1) {
        entries[0] = (uint32_t)last << 16; /* takes no bits */
        return (shape){1, 0};
    }
    const int main_bits = longest < most_bits ? longest : most_bits;
    const sf_prefix prefix = {d->lengths, 0, symbols, main_bits, entries, ENTRIES_MOST, d->sorted};
    shape made = {0, (1u << main_bits) - 1};
    if (!codes || sf_prefix_fill(&prefix, &made.entries) != SF_PREFIX_COMPLETE)
        sf_vp8l_give_up(room, "its prefix codes are damaged");
    return made;
}

/* One symbol, or two. */
static void read_simple_lengths(sf_room *room, sf_bits *in, desk *d, int symbols) {
    const int two = (int)sf_bits_take(in, 1);
    const uint32_t bits = sf_bits_take(in, 1) ? 8 : 1;
    for (int i = 0; i <= two; i++) {
        const uint32_t symbol = sf_bits_take(in, i ? 8 : bits);
        if ((int)symbol >= symbols) sf_vp8l_give_up(room, "its prefix codes are damaged");
        d->lengths[symbol] = 1;
    }
}

/* The lengths themselves are coded. */
static void read_coded_lengths(sf_room *room, sf_bits *in, desk *d, int symbols) {
    static const uint8_t ORDER[ORDERS] = {17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const int orders = 4 + (int)sf_bits_take(in, 4);
    for (int i = 0; i < orders; i++) {
        sf_bits_refill(in);
        d->lengths[ORDER[i]] = (uint8_t)sf_bits_take(in, 3);
    }
    uint32_t entries[1 << ORDER_BITS];
    const shape made = fill(room, d, ORDERS, ORDER_BITS, entries);
    memset(d->lengths, 0, ORDERS);
    sf_bits_refill(in);
    int left = symbols; /* lengths to be read; repeats count as one */
    if (sf_bits_take(in, 1)) {
        const uint32_t bits = 2 + 2 * sf_bits_take(in, 3);
        left = 2 + (int)sf_bits_take(in, bits);
        if (left > symbols) sf_vp8l_give_up(room, "its prefix codes are damaged");
    }
    uint8_t before = 8;
    for (int i = 0; i < symbols && left; left--) {
        sf_bits_refill(in);
        const uint32_t length = sf_vp8l_symbol(in, (sf_vp8l_code){entries, made.mask});
        if (length < 16) {
            d->lengths[i++] = (uint8_t)length;
            if (length) before = (uint8_t)length;
            continue;
        }
        const uint32_t bits = length == 16 ? 2 : length == 17 ? 3 : 7;
        const int again = (length == 18 ? 11 : 3) + (int)sf_bits_take(in, bits);
        if (again > symbols - i) sf_vp8l_give_up(room, "its prefix codes are damaged");
        memset(d->lengths + i, length == 16 ? before : 0, (size_t)again);
        i += again;
    }
}

static shape read_code(sf_room *room, sf_bits *in, desk *d, int symbols, uint32_t *entries) {
    memset(d->lengths, 0, (size_t)symbols);
    sf_bits_refill(in);
    if (sf_bits_take(in, 1)) read_simple_lengths(room, in, d, symbols);
    else read_coded_lengths(room, in, d, symbols);
    if (sf_bits_are_past_the_end(in)) sf_vp8l_give_up(room, "it is cut off");
    return fill(room, d, symbols, MAIN_BITS, entries);
}

/* Codes of a group lie one behind the other, each only as large as it is. */
static void read_group(sf_room *room, sf_bits *in, desk *d, int cache_bits, sf_vp8l_group *group) {
    const int greens = VALUES + SF_VP8L_LENGTHS + (cache_bits ? 1 << cache_bits : 0);
    const int symbols[CODES] = {greens, VALUES, VALUES, VALUES, DISTANCES};
    sf_vp8l_code *const codes[CODES] = {&group->green, &group->red, &group->blue, &group->alpha, &group->distance};
    shape made[CODES];
    int all = 0;
    for (int i = 0; i < CODES; i++) {
        made[i] = read_code(room, in, d, symbols[i], d->entries[i]);
        all += made[i].entries;
    }
    uint32_t *table = sf_take(room, (uint64_t)all, sizeof(uint32_t));
    for (int i = 0; i < CODES; i++) {
        memcpy(table, d->entries[i], sizeof(uint32_t) * (size_t)made[i].entries);
        *codes[i] = (sf_vp8l_code){table, made[i].mask};
        table += made[i].entries;
    }
    group->is_opaque = !group->alpha.mask;
    group->is_constant = group->is_opaque && !group->red.mask && !group->blue.mask;
    group->constant = group->alpha.table[0] >> 16 << 24;
    if (group->is_constant) group->constant |= (group->red.table[0] & 0xff0000) | group->blue.table[0] >> 16;
}

const sf_vp8l_group *sf_vp8l_groups(sf_room *room, sf_bits *in, uint32_t count, int cache_bits) {
    sf_vp8l_group *const groups = sf_take(room, count, sizeof(sf_vp8l_group));
    desk *const d = sf_take(room, 1, sizeof(desk));
    for (uint32_t i = 0; i < count; i++) read_group(room, in, d, cache_bits, groups + i);
    return groups;
}
