/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few vector operations the kernels need, over the vector types of gcc and clang.
 *
 * Everything here gives the same bits on every instruction set: no fused multiply-add, no reciprocal estimates, no
 * sums in a different order. Included by the kernels once for each instruction set.
 */
#ifndef SF_SIMD_H
#define SF_SIMD_H

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

typedef float v4f __attribute__((vector_size(16)));
typedef int32_t v4i __attribute__((vector_size(16)));
typedef float v8f __attribute__((vector_size(32)));
typedef int32_t v8i __attribute__((vector_size(32)));
typedef int16_t v8h __attribute__((vector_size(16)));
typedef uint8_t v16b __attribute__((vector_size(16)));

#define SF_INLINE static inline __attribute__((always_inline))

/* Before a loop of two or four turns whose counter chooses the instructions: at -O2 compilers would keep it. */
#if defined(__OPTIMIZE_SIZE__)
#define SF_UNROLL
#elif defined(__clang__)
#define SF_UNROLL _Pragma("unroll")
#else
#define SF_UNROLL _Pragma("GCC unroll 4")
#endif

#if defined(__clang__) || __GNUC__ >= 12
#define SF_SHUFFLE(mask_type, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SF_SHUFFLE(mask_type, a, b, ...) __builtin_shuffle(a, b, (mask_type){__VA_ARGS__})
#endif

/*
 * Make the compiler keep a variable in memory. Without it gcc takes offsets out of vectors one by one, two
 * operations each on the ports that the filter needs; through memory they cost one load each.
 */
#define SF_IN_MEMORY(variable) __asm__("" : "+m"(variable))

SF_INLINE v4f load4(const float *p) {
    v4f v;
    memcpy(&v, p, sizeof v);
    return v;
}

SF_INLINE void store4(float *p, v4f v) { memcpy(p, &v, sizeof v); }

/* Two (x, y) pairs from two places. */
SF_INLINE v4f load_pairs(const float *a, const float *b) {
#if defined(__SSE2__)
    __m128 v = _mm_castpd_ps(_mm_load_sd((const double *)(const void *)a));
    return (v4f)_mm_loadh_pi(v, (const __m64 *)(const void *)b);
#else
    v4f v;
    memcpy(&v, a, 8);
    memcpy((char *)&v + 8, b, 8);
    return v;
#endif
}

SF_INLINE void store_pairs(float *a, float *b, v4f v) {
#if defined(__SSE2__)
    _mm_storel_pi((__m64 *)(void *)a, (__m128)v);
    _mm_storeh_pi((__m64 *)(void *)b, (__m128)v);
#else
    memcpy(a, &v, 8);
    memcpy(b, (const char *)&v + 8, 8);
#endif
}

SF_INLINE v4f splat4(float f) { return (v4f){f, f, f, f}; }
SF_INLINE v8f splat8(float f) { return (v8f){f, f, f, f, f, f, f, f}; }

/* Maximum and minimum whose second argument wins when the first is not a number. */
SF_INLINE v4f max4(v4f a, v4f b) {
#if defined(__SSE2__)
    return (v4f)_mm_max_ps((__m128)a, (__m128)b);
#elif defined(__ARM_NEON) && defined(__aarch64__)
    return (v4f)vmaxnmq_f32((float32x4_t)a, (float32x4_t)b);
#else
    v4i m = a > b;
    return (v4f)((m & (v4i)a) | (~m & (v4i)b));
#endif
}

SF_INLINE v4f min4(v4f a, v4f b) {
#if defined(__SSE2__)
    return (v4f)_mm_min_ps((__m128)a, (__m128)b);
#elif defined(__ARM_NEON) && defined(__aarch64__)
    return (v4f)vminnmq_f32((float32x4_t)a, (float32x4_t)b);
#else
    v4i m = a < b;
    return (v4f)((m & (v4i)a) | (~m & (v4i)b));
#endif
}

typedef union sf_halves {
    v8f whole;
    v4f half[2];
} sf_halves;

/* Two vectors as one. */
SF_INLINE v8f pair8(v4f low, v4f high) {
#if defined(__AVX__)
    return (v8f)_mm256_insertf128_ps(_mm256_castps128_ps256((__m128)low), (__m128)high, 1);
#else
    sf_halves s;
    s.half[0] = low;
    s.half[1] = high;
    return s.whole;
#endif
}

SF_INLINE v4f low_of(v8f v) {
#if defined(__AVX__)
    return (v4f)_mm256_castps256_ps128((__m256)v);
#else
    sf_halves s = {.whole = v};
    return s.half[0];
#endif
}

SF_INLINE v4f high_of(v8f v) {
#if defined(__AVX__)
    return (v4f)_mm256_extractf128_ps((__m256)v, 1);
#else
    sf_halves s = {.whole = v};
    return s.half[1];
#endif
}

/* In each half: two elements of a, then two of b, chosen by the four digits i..l of 0..3. */
#if defined(__SSE2__)
#define SF_PICK4(a, b, i, j, k, l) ((v4f)_mm_shuffle_ps((__m128)(a), (__m128)(b), (i) | (j) << 2 | (k) << 4 | (l) << 6))
#else
#define SF_PICK4(a, b, i, j, k, l) SF_SHUFFLE(v4i, a, b, i, j, 4 + (k), 4 + (l))
#endif
#if defined(__AVX__)
#define SF_PICK8(a, b, i, j, k, l)                                                                                     \
    ((v8f)_mm256_shuffle_ps((__m256)(a), (__m256)(b), (i) | (j) << 2 | (k) << 4 | (l) << 6))
#else
#define SF_PICK8(a, b, i, j, k, l)                                                                                     \
    pair8(SF_PICK4(low_of(a), low_of(b), i, j, k, l), SF_PICK4(high_of(a), high_of(b), i, j, k, l))
#endif

SF_INLINE v8f max8(v8f a, v8f b) {
#if defined(__AVX__)
    return (v8f)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return pair8(max4(low_of(a), low_of(b)), max4(high_of(a), high_of(b)));
#endif
}

SF_INLINE v8f min8(v8f a, v8f b) {
#if defined(__AVX__)
    return (v8f)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return pair8(min4(low_of(a), low_of(b)), min4(high_of(a), high_of(b)));
#endif
}

typedef union sf_int_halves {
    v8i whole;
    v4i half[2];
} sf_int_halves;

/* Towards zero. */
SF_INLINE v8i truncate8(v8f v) {
#if defined(__AVX__)
    return (v8i)_mm256_cvttps_epi32((__m256)v);
#else
    sf_int_halves s;
    s.half[0] = __builtin_convertvector(low_of(v), v4i);
    s.half[1] = __builtin_convertvector(high_of(v), v4i);
    return s.whole;
#endif
}

SF_INLINE v8f float8(v8i v) {
#if defined(__AVX__)
    return (v8f)_mm256_cvtepi32_ps((__m256i)v);
#else
    sf_int_halves s = {.whole = v};
    return pair8(__builtin_convertvector(s.half[0], v4f), __builtin_convertvector(s.half[1], v4f));
#endif
}

SF_INLINE v8f clamp8(v8f v, float low, float high) { return min8(max8(v, splat8(low)), splat8(high)); }

/* Positions beyond 0 or last, mirrored there once. */
SF_INLINE v8f mirror8(v8f v, float last) {
    v8f past = splat8(last) - max8(v, -v);
    return splat8(last) - max8(past, -past);
}

/* p[0] four times, then p[1] four times. */
SF_INLINE v8f load_quads(const float *p) {
#if defined(__AVX2__)
    __m256 both = _mm256_castpd_ps(_mm256_broadcast_sd((const double *)(const void *)p));
    return (v8f)_mm256_permutevar_ps(both, _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1));
#else
    sf_halves s;
    s.half[0] = splat4(p[0]);
    s.half[1] = splat4(p[1]);
    return s.whole;
#endif
}

/* Elements 2 k and 2 k + 1 of v, four times each. */
SF_INLINE v8f quads_of(v8f v, int k) {
#if defined(__AVX2__)
    const __m256i place = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    return (v8f)_mm256_permutevar8x32_ps((__m256)v, _mm256_add_epi32(place, _mm256_set1_epi32(2 * k)));
#else
    v4f half = k < 2 ? low_of(v) : high_of(v);
    return k & 1 ? pair8(SF_PICK4(half, half, 2, 2, 2, 2), SF_PICK4(half, half, 3, 3, 3, 3))
                 : pair8(SF_PICK4(half, half, 0, 0, 0, 0), SF_PICK4(half, half, 1, 1, 1, 1));
#endif
}

/* The four floats at p, twice. */
SF_INLINE v8f load_twice(const float *p) {
#if defined(__AVX__)
    return (v8f)_mm256_broadcast_ps((const __m128 *)(const void *)p);
#else
    sf_halves s;
    s.half[0] = s.half[1] = load4(p);
    return s.whole;
#endif
}

SF_INLINE v8f load8(const float *p) {
    v8f v;
    memcpy(&v, p, sizeof v);
    return v;
}

SF_INLINE v8f widen_halfwords(v8h v) {
#if defined(__AVX2__)
    return (v8f)_mm256_cvtepi32_ps(_mm256_cvtepi16_epi32((__m128i)v));
#elif defined(__SSE2__)
    __m128i x = (__m128i)v;
    sf_halves s;
    s.half[0] = (v4f)_mm_cvtepi32_ps(_mm_srai_epi32(_mm_unpacklo_epi16(x, x), 16));
    s.half[1] = (v4f)_mm_cvtepi32_ps(_mm_srai_epi32(_mm_unpackhi_epi16(x, x), 16));
    return s.whole;
#else
    return __builtin_convertvector(v, v8f);
#endif
}

/* Eight bytes at p as floats. */
SF_INLINE v8f load_bytes(const uint8_t *p) {
#if defined(__AVX2__)
    return (v8f)_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)));
#elif defined(__SSE2__)
    __m128i x = _mm_loadl_epi64((const __m128i *)(const void *)p);
    return widen_halfwords((v8h)_mm_unpacklo_epi8(x, _mm_setzero_si128()));
#else
    typedef uint8_t v8b __attribute__((vector_size(8)));
    v8b b;
    memcpy(&b, p, sizeof b);
    return __builtin_convertvector(b, v8f);
#endif
}

/* Two pixels of RGBX, signed bytes, as floats. */
SF_INLINE v8f load_two_pixels(const uint8_t *p, const uint8_t *q) {
    int32_t a, b;
    memcpy(&a, p, 4);
    memcpy(&b, q, 4);
#if defined(__AVX2__)
    __m128i both = _mm_insert_epi32(_mm_cvtsi32_si128(a), b, 1);
    return (v8f)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(both));
#elif defined(__SSE2__)
    __m128i both = _mm_unpacklo_epi32(_mm_cvtsi32_si128(a), _mm_cvtsi32_si128(b));
    return widen_halfwords((v8h)_mm_srai_epi16(_mm_unpacklo_epi8(both, both), 8));
#else
    typedef int8_t v8c __attribute__((vector_size(8)));
    typedef int32_t v2i __attribute__((vector_size(8)));
    return __builtin_convertvector((v8c)(v2i){a, b}, v8f);
#endif
}

/* Round to the nearest integer (ties to even) and clamp to bytes: 4 pixels of RGBX. */
SF_INLINE v16b round_to_bytes(v8f a, v8f b) {
#if defined(__SSE2__)
    sf_halves s = {.whole = a}, t = {.whole = b};
#if defined(__AVX2__)
    __m256i i = _mm256_cvtps_epi32((__m256)s.whole), j = _mm256_cvtps_epi32((__m256)t.whole);
    __m128i low = _mm_packs_epi32(_mm256_castsi256_si128(i), _mm256_extracti128_si256(i, 1));
    __m128i high = _mm_packs_epi32(_mm256_castsi256_si128(j), _mm256_extracti128_si256(j, 1));
    (void)s, (void)t;
#else
    __m128i low = _mm_packs_epi32(_mm_cvtps_epi32((__m128)s.half[0]), _mm_cvtps_epi32((__m128)s.half[1]));
    __m128i high = _mm_packs_epi32(_mm_cvtps_epi32((__m128)t.half[0]), _mm_cvtps_epi32((__m128)t.half[1]));
#endif
    return (v16b)_mm_packus_epi16(low, high);
#elif defined(__ARM_NEON) && defined(__aarch64__)
    sf_halves s = {.whole = a}, t = {.whole = b};
    int16x8_t low = vcombine_s16(vqmovn_s32(vcvtnq_s32_f32((float32x4_t)s.half[0])),
                                 vqmovn_s32(vcvtnq_s32_f32((float32x4_t)s.half[1])));
    int16x8_t high = vcombine_s16(vqmovn_s32(vcvtnq_s32_f32((float32x4_t)t.half[0])),
                                  vqmovn_s32(vcvtnq_s32_f32((float32x4_t)t.half[1])));
    return (v16b)vcombine_u8(vqmovun_s16(low), vqmovun_s16(high));
#else
    /* Adding 2^23 leaves the rounded integer in the low bits of the float. */
    v8i i = (v8i)(clamp8(a, 0, 255) + 8388608.0f), j = (v8i)(clamp8(b, 0, 255) + 8388608.0f);
    v16b out;
    for (int k = 0; k < 8; k++) {
        out[k] = (uint8_t)i[k];
        out[k + 8] = (uint8_t)j[k];
    }
    return out;
#endif
}

/* Drop the X of 4 pixels; the last 4 bytes are of no use. */
SF_INLINE v16b drop_fourth(v16b v) {
#if defined(__SSE2__) && !defined(__SSSE3__)
    /* No byte shuffle in SSE2: shift pixels 1..3 of each half down and join. */
    __m128i x = (__m128i)v;
    __m128i even = _mm_and_si128(x, _mm_set1_epi64x(0xffffff));
    __m128i odd = _mm_and_si128(_mm_srli_epi64(x, 8), _mm_set1_epi64x(0xffffff000000));
    __m128i six = _mm_or_si128(even, odd);
    __m128i low = _mm_move_epi64(six), high = _mm_srli_si128(six, 8);
    return (v16b)_mm_or_si128(low, _mm_slli_si128(high, 6));
#else
    return SF_SHUFFLE(v16b, v, v, 0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 0, 0, 0, 0);
#endif
}

/* 24 bytes of RGB to 32 bytes of RGBX; the Xs hold anything. */
SF_INLINE void load_eight_pixels(const uint8_t *p, uint8_t out[32]) {
#if defined(__SSSE3__)
    const __m128i spread = _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1);
    __m128i first = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i last = _mm_srli_si128(_mm_loadu_si128((const __m128i *)(const void *)(p + 8)), 4);
    _mm_storeu_si128((__m128i *)(void *)out, _mm_shuffle_epi8(first, spread));
    _mm_storeu_si128((__m128i *)(void *)(out + 16), _mm_shuffle_epi8(last, spread));
#else
    for (int k = 0; k < 8; k++) {
        memcpy(out + 4 * k, p + 3 * k, 3);
        out[4 * k + 3] = 0;
    }
#endif
}

/* A tap row: 4 pixels of RGBX as 16 int16, and the sums that turn 4 rows into a pixel. */
#if defined(__AVX2__)

typedef __m256i v16h;

/* Bytes to the high halves of int16. */
SF_INLINE v16h load_row(const uint8_t *p) {
    const __m256i spread = _mm256_setr_epi8(-1, 0, -1, 1, -1, 2, -1, 3, -1, 4, -1, 5, -1, 6, -1, 7, -1, 8, -1, 9,
                                            -1, 10, -1, 11, -1, 12, -1, 13, -1, 14, -1, 15);
    __m256i twice = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)p));
    return _mm256_shuffle_epi8(twice, spread);
}

/* Weight k of a table entry, in all places. */
SF_INLINE v16h load_weight(const uint8_t *entry, int k) {
    int32_t pair;
    memcpy(&pair, entry + 4 * k, 4);
    return _mm256_set1_epi32(pair);
}

/* w0 of the first pixel's channels, w1 of the second's, ... */
SF_INLINE v16h load_weights_across(const uint8_t *entry) {
    const __m256i spread = _mm256_setr_epi8(0, 1, 0, 1, 0, 1, 0, 1, 4, 5, 4, 5, 4, 5, 4, 5, 8, 9, 8, 9, 8, 9, 8, 9,
                                            12, 13, 12, 13, 12, 13, 12, 13);
    __m256i twice = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(const void *)entry));
    return _mm256_shuffle_epi8(twice, spread);
}

/* (a b + 2^14) >> 15. */
SF_INLINE v16h scale(v16h a, v16h b) { return _mm256_mulhrs_epi16(a, b); }
SF_INLINE v16h add(v16h a, v16h b) { return _mm256_add_epi16(a, b); }

/* Pixels 0 and 1 plus pixels 2 and 3. */
SF_INLINE v8h fold(v16h v) {
    return (v8h)_mm_add_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}

#else

typedef struct v16h {
    v8h half[2];
} v16h;

SF_INLINE v16h load_row(const uint8_t *p) {
    v16b b, zero = {0};
    memcpy(&b, p, sizeof b);
    v16h out;
#if defined(__SSE2__)
    out.half[0] = (v8h)_mm_unpacklo_epi8((__m128i)zero, (__m128i)b);
    out.half[1] = (v8h)_mm_unpackhi_epi8((__m128i)zero, (__m128i)b);
#else
    out.half[0] = (v8h)SF_SHUFFLE(v16b, zero, b, 0, 16, 0, 17, 0, 18, 0, 19, 0, 20, 0, 21, 0, 22, 0, 23);
    out.half[1] = (v8h)SF_SHUFFLE(v16b, zero, b, 0, 24, 0, 25, 0, 26, 0, 27, 0, 28, 0, 29, 0, 30, 0, 31);
#endif
    return out;
}

SF_INLINE v16h load_weight(const uint8_t *entry, int k) {
    int32_t pair;
    memcpy(&pair, entry + 4 * k, 4);
    v8h v = (v8h)(v4i){pair, pair, pair, pair};
    return (v16h){{v, v}};
}

SF_INLINE v16h load_weights_across(const uint8_t *entry) {
    v4i e;
    memcpy(&e, entry, sizeof e);
    return (v16h){{(v8h)SF_SHUFFLE(v4i, e, e, 0, 0, 1, 1), (v8h)SF_SHUFFLE(v4i, e, e, 2, 2, 3, 3)}};
}

SF_INLINE v8h scale_half(v8h a, v8h b) {
#if defined(__SSSE3__)
    return (v8h)_mm_mulhrs_epi16((__m128i)a, (__m128i)b);
#elif defined(__SSE2__)
    /* (high 2^16 + low + 2^14) >> 15 = 2 high + (((low >> 14) + 1) >> 1) */
    __m128i high = _mm_mulhi_epi16((__m128i)a, (__m128i)b), low = _mm_mullo_epi16((__m128i)a, (__m128i)b);
    __m128i carry = _mm_srli_epi16(_mm_add_epi16(_mm_srli_epi16(low, 14), _mm_set1_epi16(1)), 1);
    return (v8h)_mm_add_epi16(_mm_add_epi16(high, high), carry);
#elif defined(__ARM_NEON)
    return (v8h)vqrdmulhq_s16((int16x8_t)a, (int16x8_t)b);
#else
    v8h out;
    for (int k = 0; k < 8; k++) out[k] = (int16_t)(((int32_t)a[k] * b[k] + 0x4000) >> 15);
    return out;
#endif
}

SF_INLINE v16h scale(v16h a, v16h b) {
    return (v16h){{scale_half(a.half[0], b.half[0]), scale_half(a.half[1], b.half[1])}};
}

SF_INLINE v16h add(v16h a, v16h b) { return (v16h){{a.half[0] + b.half[0], a.half[1] + b.half[1]}}; }

SF_INLINE v8h fold(v16h v) { return v.half[0] + v.half[1]; }

#endif

/* Two folded pixels to one vector: the sums of the halves of a, then those of b. */
SF_INLINE v8h join_pixels(v8h a, v8h b) {
#if defined(__SSE2__)
    return (v8h)_mm_add_epi16(_mm_unpacklo_epi64((__m128i)a, (__m128i)b), _mm_unpackhi_epi64((__m128i)a, (__m128i)b));
#else
    return SF_SHUFFLE(v8h, a, b, 0, 1, 2, 3, 8, 9, 10, 11) + SF_SHUFFLE(v8h, a, b, 4, 5, 6, 7, 12, 13, 14, 15);
#endif
}

#endif
