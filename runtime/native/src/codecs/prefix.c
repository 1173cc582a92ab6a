/* SPDX-License-Identifier: Apache-2.0 */
#include "prefix.h"

#include <string.h>

/* The next code of that many bits, which are stored last bit highest. */
static uint32_t next_code(uint32_t code, int bits) {
    uint32_t bit = 1u << (bits - 1);
    while (code & bit) {
        code ^= bit;
        bit >>= 1;
    }
    return bit ? code | bit : 0;
}

/* Bits of the second table that begins with a code of length bits; count holds the codes that are not placed yet. */
static int second_bits(const int count[SF_CODE_LONGEST + 1], int length, int main_bits) {
    int bits = length - main_bits, left = 1 << bits;
    while (length < SF_CODE_LONGEST && left > count[length]) {
        left = (left - count[length]) << 1;
        length++;
        bits++;
    }
    return bits;
}

sf_prefix_fit sf_prefix_fill(const sf_prefix *prefix, int *used) {
    int count[SF_CODE_LONGEST + 1] = {0}, place[SF_CODE_LONGEST + 2] = {0};
    for (int i = 0; i < prefix->symbols; i++) count[prefix->lengths[i]]++;
    const int codes = prefix->symbols - count[0];
    int left = 1;
    for (int n = 1; n <= SF_CODE_LONGEST; n++) {
        left = (left << 1) - count[n];
        if (left < 0) return SF_PREFIX_BAD;
        place[n + 1] = place[n] + count[n];
    }
    const int single = codes == 1 && count[1] == 1;
    if (left && codes && !single) return SF_PREFIX_BAD;
    for (int i = 0; i < prefix->symbols; i++)
        if (prefix->lengths[i]) prefix->sorted[place[prefix->lengths[i]]++] = (uint16_t)i;

    const int main_bits = prefix->main_bits;
    uint32_t *const table = prefix->table;
    const uint32_t main_mask = (1u << main_bits) - 1;
    int end = 1 << main_bits; /* of what is used */
    table[0] = table[1] = SF_NOTHING;
    uint32_t code = 0, begun = UINT32_MAX;
    int second = 0, bits = 0;
    const uint16_t *symbol = prefix->sorted;
    for (int n = 1; n <= SF_CODE_LONGEST; n++) {
        for (; count[n]; count[n]--, symbol++) {
            const uint32_t value = prefix->entries ? prefix->entries[*symbol] : (uint32_t)*symbol << 16;
            if (n <= main_bits) {
                table[code] = value + 0x101u * (uint32_t)n;
            } else {
                if ((code & main_mask) != begun) {
                    begun = code & main_mask;
                    bits = second_bits(count, n, main_bits);
                    second = end;
                    end += 1 << bits;
                    if (end > prefix->capacity) return SF_PREFIX_BAD;
                    table[begun] = SF_SPECIAL | SF_POINTER | (uint32_t)(second << 16 | bits << 8 | main_bits);
                }
                for (int i = (int)(code >> main_bits); i < 1 << bits; i += 1 << (n - main_bits))
                    table[second + i] = value + 0x101u * (uint32_t)(n - main_bits);
            }
            code = next_code(code, n);
        }
        /* What is there repeats for each value of the next bit; longer codes overwrite it where they begin. */
        if (n < main_bits) memcpy(table + (1 << n), table, sizeof(uint32_t) << n);
    }
    if (used) *used = end;
    return single ? SF_PREFIX_ONE : codes ? SF_PREFIX_COMPLETE : SF_PREFIX_EMPTY;
}
