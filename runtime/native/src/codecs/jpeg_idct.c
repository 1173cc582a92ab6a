/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inverse discrete cosine transform of 8x8 coefficients, by Loeffler, Ligtenberg and Moschytz (ICASSP 1989), with
 * 11 multiplications in a row of 8: first all columns, then all rows. Factors have 13 bits behind the point; columns
 * keep 2 bits more than samples have. Both roundings, and that the sums between are exact, are libjpeg's "islow"; so
 * the samples are the same to the bit.
 *
 * What goes from one step to the next is 16 bits wide: products with the quantisation wrap around, columns saturate.
 * Coefficients of pictures do neither.
 */
#include "jpeg.h"

#include <string.h>

#define BITS 13
#define KEPT 2

/*
 * Cosines times 2^13, rounded. A rotation of (x, y) by three products, as in the paper, is here one by four:
 *     (x a + y b, x c + y d)
 * whose factors are sums of the paper's, rounded before they are summed up.
 */
enum {
    F0_298 = 2446,
    F0_390 = 3196,
    F0_541 = 4433,
    F0_765 = 6270,
    F0_899 = 7373,
    F1_175 = 9633,
    F1_501 = 12299,
    F1_847 = 15137,
    F1_961 = 16069,
    F2_053 = 16819,
    F2_562 = 20995,
    F3_072 = 25172
};

#if defined(__SSE2__)
#include <emmintrin.h>

typedef struct wide {
    __m128i low, high; /* 32 bits each: four columns and four more */
} wide;

static inline wide add(wide a, wide b) {
    return (wide){_mm_add_epi32(a.low, b.low), _mm_add_epi32(a.high, b.high)};
}

static inline wide subtract(wide a, wide b) {
    return (wide){_mm_sub_epi32(a.low, b.low), _mm_sub_epi32(a.high, b.high)};
}

/* x a + y b. */
static inline wide turn(__m128i x, __m128i y, int a, int b) {
    const __m128i factors = _mm_set1_epi32((int)((uint32_t)b << 16 | ((uint32_t)a & 0xffff)));
    return (wide){_mm_madd_epi16(_mm_unpacklo_epi16(x, y), factors), _mm_madd_epi16(_mm_unpackhi_epi16(x, y), factors)};
}

/* x 2^13. */
static inline wide lift(__m128i x) {
    const __m128i zero = _mm_setzero_si128();
    return (wide){_mm_srai_epi32(_mm_unpacklo_epi16(zero, x), 16 - BITS),
                  _mm_srai_epi32(_mm_unpackhi_epi16(zero, x), 16 - BITS)};
}

static inline __m128i round_off(wide x, int bits) {
    const __m128i half = _mm_set1_epi32(1 << (bits - 1));
    return _mm_packs_epi32(_mm_srai_epi32(_mm_add_epi32(x.low, half), bits),
                           _mm_srai_epi32(_mm_add_epi32(x.high, half), bits));
}

/* Eight transforms of 8 at once: r[k] holds coefficient k of each, then sample k. */
static inline void transform(__m128i r[8], int bits) {
    const wide sum = lift(_mm_add_epi16(r[0], r[4])), difference = lift(_mm_sub_epi16(r[0], r[4]));
    const wide a = turn(r[2], r[6], F0_541 + F0_765, F0_541), b = turn(r[2], r[6], F0_541, F0_541 - F1_847);
    const wide even[4] = {add(sum, a), add(difference, b), subtract(difference, b), subtract(sum, a)};
    const __m128i p = _mm_add_epi16(r[7], r[3]), q = _mm_add_epi16(r[5], r[1]);
    const wide s = turn(p, q, F1_175 - F1_961, F1_175), t = turn(p, q, F1_175, F1_175 - F0_390);
    const wide odd[4] = {add(turn(r[1], r[7], F1_501 - F0_899, -F0_899), t),
                         add(turn(r[3], r[5], F3_072 - F2_562, -F2_562), s),
                         add(turn(r[5], r[3], F2_053 - F2_562, -F2_562), t),
                         add(turn(r[7], r[1], F0_298 - F0_899, -F0_899), s)};
    for (int k = 0; k < 4; k++) {
        r[k] = round_off(add(even[k], odd[k]), bits);
        r[7 - k] = round_off(subtract(even[k], odd[k]), bits);
    }
}

static inline void transpose(__m128i r[8]) {
    __m128i a[8], b[8];
    for (int k = 0; k < 4; k++) {
        a[2 * k] = _mm_unpacklo_epi16(r[k], r[k + 4]);
        a[2 * k + 1] = _mm_unpackhi_epi16(r[k], r[k + 4]);
    }
    for (int k = 0; k < 4; k++) {
        b[2 * k] = _mm_unpacklo_epi16(a[k], a[k + 4]);
        b[2 * k + 1] = _mm_unpackhi_epi16(a[k], a[k + 4]);
    }
    for (int k = 0; k < 4; k++) {
        r[2 * k] = _mm_unpacklo_epi16(b[k], b[k + 4]);
        r[2 * k + 1] = _mm_unpackhi_epi16(b[k], b[k + 4]);
    }
}

static inline __m128i load(const void *p) { return _mm_loadu_si128(p); }

void sf_jpeg_idct(const int16_t *block, const uint16_t *quant, uint8_t *out, size_t stride) {
    __m128i r[8], others = _mm_srli_si128(load(block), 2);
    for (int k = 0; k < 8; k++) {
        r[k] = load(block + 8 * k);
        if (k) others = _mm_or_si128(others, r[k]);
    }
    if (_mm_movemask_epi8(_mm_cmpeq_epi8(others, _mm_setzero_si128())) == 0xffff) {
        /* Nothing but the mean. */
        const int mean = (int16_t)((uint32_t)block[0] * quant[0]);
        const int kept = mean * (1 << KEPT), clipped = kept > 32767 ? 32767 : kept < -32768 ? -32768 : kept;
        const int sample = ((clipped + (1 << (KEPT + 2))) >> (KEPT + 3)) + 128;
        for (int k = 0; k < 8; k++) memset(out + (size_t)k * stride, sample < 0 ? 0 : sample > 255 ? 255 : sample, 8);
        return;
    }
    for (int k = 0; k < 8; k++) r[k] = _mm_mullo_epi16(r[k], load(quant + 8 * k));
    transform(r, BITS - KEPT);
    transpose(r);
    transform(r, BITS + KEPT + 3);
    transpose(r);
    const __m128i middle = _mm_set1_epi8((char)0x80);
    for (int k = 0; k < 8; k += 2) {
        const __m128i two = _mm_xor_si128(_mm_packs_epi16(r[k], r[k + 1]), middle);
        _mm_storel_epi64((__m128i *)(void *)(out + (size_t)k * stride), two);
        _mm_storel_epi64((__m128i *)(void *)(out + (size_t)(k + 1) * stride), _mm_srli_si128(two, 8));
    }
}

#else

static int32_t saturated(int32_t x) { return x > 32767 ? 32767 : x < -32768 ? -32768 : x; }

/* Sums of 32 bits that wrap around, as those of vectors do. */
static uint32_t turn(int32_t x, int32_t y, int a, int b) { return (uint32_t)(x * a) + (uint32_t)(y * b); }

static int32_t round_off(uint32_t x, int bits) { return saturated((int32_t)(x + (1u << (bits - 1))) >> bits); }

/* One transform of 8, in place; the coefficients are step apart. */
static void transform(int32_t *r, int step, int bits) {
    int32_t in[8];
    for (int k = 0; k < 8; k++) in[k] = r[k * step];
    const uint32_t sum = (uint32_t)(int16_t)(in[0] + in[4]) << BITS;
    const uint32_t difference = (uint32_t)(int16_t)(in[0] - in[4]) << BITS;
    const uint32_t a = turn(in[2], in[6], F0_541 + F0_765, F0_541), b = turn(in[2], in[6], F0_541, F0_541 - F1_847);
    const uint32_t even[4] = {sum + a, difference + b, difference - b, sum - a};
    const int32_t p = (int16_t)(in[7] + in[3]), q = (int16_t)(in[5] + in[1]);
    const uint32_t s = turn(p, q, F1_175 - F1_961, F1_175), t = turn(p, q, F1_175, F1_175 - F0_390);
    const uint32_t odd[4] = {turn(in[1], in[7], F1_501 - F0_899, -F0_899) + t,
                             turn(in[3], in[5], F3_072 - F2_562, -F2_562) + s,
                             turn(in[5], in[3], F2_053 - F2_562, -F2_562) + t,
                             turn(in[7], in[1], F0_298 - F0_899, -F0_899) + s};
    for (int k = 0; k < 4; k++) {
        r[k * step] = round_off(even[k] + odd[k], bits);
        r[(7 - k) * step] = round_off(even[k] - odd[k], bits);
    }
}

void sf_jpeg_idct(const int16_t *block, const uint16_t *quant, uint8_t *out, size_t stride) {
    int32_t r[64];
    for (int k = 0; k < 64; k++) r[k] = (int16_t)((uint32_t)block[k] * quant[k]);
    for (int k = 0; k < 8; k++) transform(r + k, 8, BITS - KEPT);
    for (int k = 0; k < 8; k++) transform(r + 8 * k, 1, BITS + KEPT + 3);
    for (int k = 0; k < 64; k++) {
        const int32_t sample = r[k] + 128;
        out[(size_t)(k / 8) * stride + (size_t)(k % 8)] = (uint8_t)(sample < 0 ? 0 : sample > 255 ? 255 : sample);
    }
}

#endif
