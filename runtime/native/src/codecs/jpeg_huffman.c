/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of Huffman codes: T.81, annex C. */
#include <string.h>

#include "jpeg.h"

/* A value of that many bits: the lower half stands for negative ones (T.81, table F.1). */
static int32_t extended(int32_t value, int bits) { return value >> (bits - 1) ? value : value - (1 << bits) + 1; }

/* All entries whose bits begin with a code. */
static void fill_look(sf_jpeg_codes *codes, uint32_t code, int length, int symbol) {
    const int rest = SF_JPEG_LOOK_BITS - length, size = symbol & 15;
    for (int32_t i = 0; i < 1 << rest; i++) {
        int32_t entry = length | symbol << 10;
        if (size && size <= rest) {
            const int32_t value = extended(i >> (rest - size), size);
            entry |= (length + size) << 5 | value * (1 << 20);
        }
        codes->look[(code << rest) + (uint32_t)i] = entry;
    }
}

size_t sf_jpeg_fill_codes(sf_jpeg_codes *codes, const uint8_t *bytes, size_t size) {
    if (size < 16) return 0;
    memset(codes, 0, sizeof *codes);
    for (int n = 0; n < 16; n++) codes->count += bytes[n];
    if (codes->count > 256 || (size_t)codes->count > size - 16) return 0;
    memcpy(codes->symbols, bytes + 16, (size_t)codes->count);
    uint32_t code = 0;
    int place = 0;
    for (int n = 1; n <= 16; n++, code <<= 1) {
        codes->offset[n] = place - (int32_t)code;
        if (code + bytes[n - 1] > 1u << n) return 0;
        for (int i = 0; i < bytes[n - 1]; i++, code++, place++) {
            if (codes->symbols[place] > codes->highest) codes->highest = codes->symbols[place];
            if (n <= SF_JPEG_LOOK_BITS) fill_look(codes, code, n, codes->symbols[place]);
        }
        codes->limit[n] = code << (16 - n);
    }
    codes->limit[17] = UINT32_MAX;
    return 16 + (size_t)codes->count;
}
