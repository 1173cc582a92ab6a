/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables for canonical prefix codes whose bits are read lowest first: deflate's and lossless WebP's.
 *
 * A lookup takes the next main_bits bits as an index. An entry is
 *     bits 0..7    bits to drop: those of the code, and in deflate the extra bits behind it
 *     bits 8..11   bits of the code; of a pointer: bits of the second index
 *     bits 13..15  one of the marks below, or none
 *     bits 16..30  the value; of a pointer: where its second table begins
 *     bit 31       SF_LITERAL, for who decodes
 * Codes longer than main_bits end in a pointer; bits of the code in a second table are those behind main_bits.
 */
#ifndef SF_PREFIX_H
#define SF_PREFIX_H

#include <stdint.h>

#define SF_LITERAL 0x80000000u
#define SF_SPECIAL 0x8000u /* no value: a pointer, the end of a block, or a code that stands for nothing */
#define SF_POINTER 0x4000u
#define SF_END 0x2000u
#define SF_NOTHING (SF_SPECIAL | 1u)

#define SF_CODE_LONGEST 15

typedef enum sf_prefix_fit { SF_PREFIX_BAD = 0, SF_PREFIX_COMPLETE, SF_PREFIX_ONE, SF_PREFIX_EMPTY } sf_prefix_fit;

typedef struct sf_prefix {
    const uint8_t *lengths;  /* of each symbol's code, 0..SF_CODE_LONGEST; 0: the symbol does not occur */
    const uint32_t *entries; /* of each symbol, to which the bits of its code are added; null for symbol << 16 */
    int symbols;
    int main_bits;
    uint32_t *table;
    int capacity; /* entries, at least 1 << main_bits */
    uint16_t *sorted; /* room for all symbols */
} sf_prefix;

/*
 * Fill the table. SF_PREFIX_ONE: a single code, of 1 bit; its other half stands for nothing. SF_PREFIX_EMPTY: no code
 * at all, everything stands for nothing. Other codes must be complete. used may be null.
 */
sf_prefix_fit sf_prefix_fill(const sf_prefix *prefix, int *used);

#endif
