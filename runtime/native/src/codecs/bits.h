/* SPDX-License-Identifier: Apache-2.0 */
/* Bits of bytes, lowest first: what deflate and lossless WebP read. After the end come bits of 0, and are noticed. */
#ifndef SF_BITS_H
#define SF_BITS_H

#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "prefix.h"

typedef struct sf_bits {
    const uint8_t *next, *end;
    uint64_t bits; /* those above count are 0, or the first bits of what follows in next */
    int count;
    int beyond; /* bytes of 0 that were read after the end */
} sf_bits;

/* Near the end. By value: what has an address is not kept in registers. */
static inline sf_bits sf_bits_refilled(sf_bits in) {
    for (; in.count < 56; in.count += 8) {
        if (in.next < in.end) in.bits |= (uint64_t)*in.next++ << in.count;
        else in.beyond++;
    }
    return in;
}

/* After it there are at least 56 bits. */
static inline void sf_bits_refill(sf_bits *in) {
    if (in->end - in->next >= 8) {
        in->bits |= sf_le64(in->next) << in->count;
        in->next += (63 - in->count) >> 3;
        in->count |= 56;
    } else {
        *in = sf_bits_refilled(*in);
    }
}

static inline int sf_bits_are_past_the_end(const sf_bits *in) { return 8 * (int64_t)in->beyond > in->count; }

static inline void sf_bits_drop(sf_bits *in, uint32_t n) {
    in->bits >>= n;
    in->count -= (int)n;
}

/* At most as many bits as are there. */
static inline uint32_t sf_bits_take(sf_bits *in, uint32_t n) {
    const uint32_t value = (uint32_t)(in->bits & (((uint64_t)1 << n) - 1));
    sf_bits_drop(in, n);
    return value;
}

/* The entry of the code that is next. Nothing is dropped but the first bits of codes that end in a second table. */
static inline uint32_t sf_bits_look(sf_bits *in, const uint32_t *table, uint32_t main_mask) {
    uint32_t entry = table[in->bits & main_mask];
    if (entry & SF_POINTER) {
        sf_bits_drop(in, entry & 63);
        entry = table[(entry >> 16) + (in->bits & ((1u << (entry >> 8 & 15)) - 1))];
    }
    return entry;
}

#endif
