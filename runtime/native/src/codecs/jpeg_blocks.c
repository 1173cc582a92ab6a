/* SPDX-License-Identifier: Apache-2.0 */
/* The coefficients of a block: T.81, sections F.2.2 and G.1.2, G.2. */
#include "jpeg.h"

#include <string.h>

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

const uint8_t SF_JPEG_ORDER[64 + 16] = {0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,
                                   12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6,  7,  14, 21, 28,
                                   35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
                                   58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
                                        63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63};

/* Copy entropy-coded bytes up to the next marker; behind each 0xff is a 0 that is left out. Returns their number. */
static size_t unstuff(const uint8_t **next, const uint8_t *end, uint8_t *out) {
    const uint8_t *p = *next;
    size_t done = 0;
    for (;;) {
        const uint8_t *const found = memchr(p, 0xff, (size_t)(end - p)), *const stop = found ? found : end;
        memcpy(out + done, p, (size_t)(stop - p));
        done += (size_t)(stop - p);
        if (end - stop < 2 || stop[1]) {
            *next = stop;
            return done;
        }
        out[done++] = 0xff;
        p = stop + 2;
    }
}

void sf_jpeg_begin_bits(sf_jpeg *j) {
    const size_t size = unstuff(&j->next, j->end, j->plain);
    j->in = (sf_jpeg_bits){j->plain, j->plain + size, 0, 0, 0, 0};
    j->blocks_to_skip = 0;
    for (int i = 0; i < j->components; i++) j->component[i].dc_before = 0;
}

int sf_jpeg_bits_are_bad(const sf_jpeg_bits *in) { return in->is_damaged || in->beyond > in->count; }

static uint64_t eight_bytes(const uint8_t *p) {
    return (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 | (uint64_t)p[2] << 40 | (uint64_t)p[3] << 32 |
           (uint64_t)p[4] << 24 | (uint64_t)p[5] << 16 | (uint64_t)p[6] << 8 | (uint64_t)p[7];
}

/* Near the end. By value: what has an address is not kept in registers. */
static sf_jpeg_bits refilled(sf_jpeg_bits in) {
    for (; in.count <= 56; in.count += 8) {
        if (in.next < in.end) in.bits |= (uint64_t)*in.next++ << (56 - in.count);
        else in.beyond += 8;
    }
    return in;
}

/* At least 56 bits. Always done and not only where it must be: that would be a branch that nobody can predict. */
INLINE void refill(sf_jpeg_bits *in) {
    if (in->end - in->next >= 8) {
        in->bits |= eight_bytes(in->next) >> in->count; /* a part of a byte, too, which will only be repeated */
        in->next += (63 - in->count) >> 3;
        in->count |= 56;
    } else {
        *in = refilled(*in);
    }
}

INLINE void drop(sf_jpeg_bits *in, int n) {
    in->bits <<= n;
    in->count -= n;
}

/* n bits, 1 to 16. */
INLINE int32_t take(sf_jpeg_bits *in, int n) {
    const int32_t value = (int32_t)(in->bits >> (64 - n));
    drop(in, n);
    return value;
}

/* A value of n bits, 1 to 15 (T.81, table F.1). */
INLINE int32_t take_value(sf_jpeg_bits *in, int n) {
    const int32_t value = take(in, n);
    return value >> (n - 1) ? value : value - (1 << n) + 1;
}

/* A code that is longer than the bits of the first look. */
INLINE int take_long_code(sf_jpeg_bits *in, const sf_jpeg_codes *codes) {
    const uint32_t next = (uint32_t)(in->bits >> 48);
    int n = SF_JPEG_LOOK_BITS + 1;
    while (next >= codes->limit[n]) n++;
    if (n > 16) {
        in->is_damaged = 1;
        return 0;
    }
    drop(in, n);
    return codes->symbols[codes->offset[n] + (int32_t)(next >> (16 - n))];
}

INLINE int32_t look(const sf_jpeg_bits *in, const sf_jpeg_codes *codes) {
    return codes->look[in->bits >> (64 - SF_JPEG_LOOK_BITS)];
}

INLINE int take_symbol(sf_jpeg_bits *in, const sf_jpeg_codes *codes) {
    const int32_t entry = look(in, codes);
    if (!(entry & 31)) return take_long_code(in, codes);
    drop(in, entry & 31);
    return entry >> 10 & 255;
}

INLINE int32_t take_dc(sf_jpeg_bits *in, sf_jpeg_component *c) {
    refill(in);
    const int size = take_symbol(in, c->dc); /* 0..15, which was checked when the scan began */
    if (size) c->dc_before = (int16_t)(c->dc_before + take_value(in, size));
    return c->dc_before;
}

/* All coefficients of a sequential block, or those from first on of a progressive one. Returns blocks to skip. */
INLINE uint32_t read_ac(sf_jpeg_bits *shared, const sf_jpeg_codes *codes, int first, int last, int low,
                        int16_t *block) {
    sf_jpeg_bits in = *shared; /* a copy, which the compiler can keep in registers */
    uint32_t skip = 0;
    int k = first;
    while (k <= last) {
        refill(&in);
        int32_t entry = look(&in, codes);
        /* What one look shows has at most 11 bits: four of these, and another look, need no refill in between. */
        for (int i = 0; i < 4 && (entry >> 5 & 31) && k <= last; i++) {
            drop(&in, entry >> 5 & 31);
            k += entry >> 14 & 15;
            block[SF_JPEG_ORDER[k++]] = (int16_t)((entry >> 20) * (1 << low));
            entry = look(&in, codes);
        }
        if (k > last || (entry >> 5 & 31)) continue;
        refill(&in);
        const int symbol = take_symbol(&in, codes), size = symbol & 15, run = symbol >> 4;
        if (size) {
            k += run;
            block[SF_JPEG_ORDER[k++]] = (int16_t)(take_value(&in, size) * (1 << low));
        } else if (run == 15) {
            k = k + 16 > last ? last + 1 : k + 16;
        } else {
            skip = run ? (1u << run) + (uint32_t)take(&in, run) : 1;
            break;
        }
    }
    if (k > last + 1) in.is_damaged = 1;
    *shared = in;
    return skip;
}

INLINE void refine(sf_jpeg_bits *in, int16_t *coefficient, int low) {
    if (!in->count) refill(in);
    if (!take(in, 1)) return;
    *coefficient = (int16_t)(*coefficient + (*coefficient > 0 ? 1 << low : -(1 << low)));
}

/* One more bit of each coefficient that is not 0, and new ones of 1 (T.81, section G.1.2.3). */
static void refine_ac(sf_jpeg *j, const sf_jpeg_codes *codes, int16_t *block) {
    sf_jpeg_bits in = j->in;
    const int last = j->last, low = j->low;
    int k = j->first;
    while (!j->blocks_to_skip && k <= last) {
        refill(&in);
        const int symbol = take_symbol(&in, codes), size = symbol & 15;
        int run = symbol >> 4, value = 0;
        if (size) {
            if (size > 1) in.is_damaged = 1;
            value = take(&in, 1) ? 1 << low : -(1 << low);
        } else if (run < 15) {
            j->blocks_to_skip = (1u << run) + (run ? (uint32_t)take(&in, run) : 0);
            break;
        }
        for (; k <= last; k++) {
            int16_t *const coefficient = block + SF_JPEG_ORDER[k];
            if (*coefficient) refine(&in, coefficient, low);
            else if (--run < 0) break;
        }
        if (k > last) {
            in.is_damaged |= value != 0; /* no place for it */
            break;
        }
        block[SF_JPEG_ORDER[k++]] = (int16_t)value;
    }
    if (j->blocks_to_skip) {
        for (; k <= last; k++)
            if (block[SF_JPEG_ORDER[k]]) refine(&in, block + SF_JPEG_ORDER[k], low);
        j->blocks_to_skip--;
    }
    j->in = in;
}

void sf_jpeg_read_block(sf_jpeg *j, sf_jpeg_component *c, int16_t *block) {
    if (!j->is_progressive) {
        block[0] = (int16_t)take_dc(&j->in, c);
        if (read_ac(&j->in, c->ac, 1, 63, 0, block) > 1) j->in.is_damaged = 1; /* runs are for progressive ones */
    } else if (!j->first) {
        if (!j->high) {
            block[0] = (int16_t)((uint32_t)take_dc(&j->in, c) << j->low);
        } else {
            refill(&j->in);
            block[0] = (int16_t)(block[0] | take(&j->in, 1) << j->low);
        }
    } else if (j->high) {
        refine_ac(j, c->ac, block);
    } else if (j->blocks_to_skip || (j->blocks_to_skip = read_ac(&j->in, c->ac, j->first, j->last, j->low, block))) {
        j->blocks_to_skip--;
    }
}
