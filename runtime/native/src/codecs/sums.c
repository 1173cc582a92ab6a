/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32 (ISO 3309) by tables of nibbles, and Adler-32 (RFC 1950, section 8.2). */
#include <string.h>

#include "bytes.h"
#include "codecs.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/*
 * A sum is linear in its bits: the entry of a nibble is the xor of the entries of its bits, which are the parameters
 * here. All 64 of them are one sequence, the powers x^32, x^33 ... x^95 modulo the polynomial, bits reversed.
 */
#define ENTRY(i, a, b, c, d) (((i) & 1 ? a : 0u) ^ ((i) & 2 ? b : 0u) ^ ((i) & 4 ? c : 0u) ^ ((i) & 8 ? d : 0u))
#define FOUR(i, ...)                                                                                                   \
    ENTRY(i, __VA_ARGS__), ENTRY(i + 1, __VA_ARGS__), ENTRY(i + 2, __VA_ARGS__), ENTRY(i + 3, __VA_ARGS__)
#define NIBBLE(...)                                                                                                    \
    {FOUR(0, __VA_ARGS__), FOUR(4, __VA_ARGS__), FOUR(8, __VA_ARGS__), FOUR(12, __VA_ARGS__)}

/* CRC[2 k + 1][b >> 4] ^ CRC[2 k][b & 15]: the sum of byte b followed by k bytes of 0. 1 kB; whole bytes would be 8. */
static const uint32_t CRC[16][16] = {
    NIBBLE(0x77073096, 0xee0e612c, 0x076dc419, 0x0edb8832), NIBBLE(0x1db71064, 0x3b6e20c8, 0x76dc4190, 0xedb88320),
    NIBBLE(0x191b3141, 0x32366282, 0x646cc504, 0xc8d98a08), NIBBLE(0x4ac21251, 0x958424a2, 0xf0794f05, 0x3b83984b),
    NIBBLE(0x01c26a37, 0x0384d46e, 0x0709a8dc, 0x0e1351b8), NIBBLE(0x1c26a370, 0x384d46e0, 0x709a8dc0, 0xe1351b80),
    NIBBLE(0xb8bc6765, 0xaa09c88b, 0x8f629757, 0xc5b428ef), NIBBLE(0x5019579f, 0xa032af3e, 0x9b14583d, 0xed59b63b),
    NIBBLE(0x3d6029b0, 0x7ac05360, 0xf580a6c0, 0x30704bc1), NIBBLE(0x60e09782, 0xc1c12f04, 0x58f35849, 0xb1e6b092),
    NIBBLE(0xcb5cd3a5, 0x4dc8a10b, 0x9b914216, 0xec53826d), NIBBLE(0x03d6029b, 0x07ac0536, 0x0f580a6c, 0x1eb014d8),
    NIBBLE(0xa6770bb4, 0x979f1129, 0xf44f2413, 0x33ef4e67), NIBBLE(0x67de9cce, 0xcfbd399c, 0x440b7579, 0x8816eaf2),
    NIBBLE(0xccaa009e, 0x4225077d, 0x844a0efa, 0xd3e51bb5), NIBBLE(0x7cbb312b, 0xf9766256, 0x299dc2ed, 0x533b85da),
};

/* The sum of four bytes, the first lowest, followed by k bytes of 0. */
static uint32_t sum_of_four(uint32_t four, int k) {
    const uint32_t(*at)[16] = CRC + 2 * k;
    return (at[7][four >> 4 & 15] ^ at[6][four & 15]) ^ (at[5][four >> 12 & 15] ^ at[4][four >> 8 & 15]) ^
           (at[3][four >> 20 & 15] ^ at[2][four >> 16 & 15]) ^ (at[1][four >> 28] ^ at[0][four >> 24 & 15]);
}

uint32_t sf_crc32(const void *bytes, size_t size) {
    const uint8_t *p = bytes;
    uint32_t sum = 0xffffffffu;
    for (; size >= 8; size -= 8, p += 8)
        sum = sum_of_four(sum ^ sf_le32(p), 4) ^ sum_of_four(sf_le32(p + 4), 0);
    for (; size; size--, p++) sum = sum >> 8 ^ CRC[0][(sum ^ *p) & 15] ^ CRC[1][((sum ^ *p) >> 4) & 15];
    return ~sum;
}

#define MODULUS 65521u
#define UNREDUCED 5552 /* the most bytes, 16 at a time, after which both sums still fit into 32 bits */

/* Add 16 count bytes, count * 16 <= UNREDUCED. a: 1 + the sum of all bytes; b: the sum of all values of a. */
static void add_sixteens(const uint8_t *p, size_t count, uint32_t *a, uint32_t *b) {
#if defined(__SSE2__)
    const __m128i zero = _mm_setzero_si128();
    const __m128i high = _mm_setr_epi16(16, 15, 14, 13, 12, 11, 10, 9), low = _mm_setr_epi16(8, 7, 6, 5, 4, 3, 2, 1);
    __m128i sums = zero, before = zero, weighted = zero;
    for (size_t i = 0; i < count; i++, p += 16) {
        const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
        before = _mm_add_epi32(before, sums);
        sums = _mm_add_epi32(sums, _mm_sad_epu8(x, zero));
        weighted = _mm_add_epi32(weighted, _mm_madd_epi16(_mm_unpacklo_epi8(x, zero), high));
        weighted = _mm_add_epi32(weighted, _mm_madd_epi16(_mm_unpackhi_epi8(x, zero), low));
    }
    uint32_t s[4], t[4], w[4];
    memcpy(s, &sums, 16);
    memcpy(t, &before, 16);
    memcpy(w, &weighted, 16);
    *b += 16 * ((uint32_t)count * *a + t[0] + t[2]) + w[0] + w[1] + w[2] + w[3];
    *a += s[0] + s[2];
#else
    for (size_t i = 0; i < 16 * count; i++) {
        *a += p[i];
        *b += *a;
    }
#endif
}

uint32_t sf_adler32(const void *bytes, size_t size) {
    const uint8_t *p = bytes;
    uint32_t a = 1, b = 0;
    while (size >= 16) {
        const size_t part = size < UNREDUCED ? size / 16 * 16 : UNREDUCED;
        add_sixteens(p, part / 16, &a, &b);
        p += part;
        size -= part;
        a %= MODULUS;
        b %= MODULUS;
    }
    for (; size; size--, p++) {
        a += *p;
        b += a;
    }
    return b % MODULUS << 16 | a % MODULUS;
}
