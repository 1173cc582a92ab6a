/* SPDX-License-Identifier: Apache-2.0 */
/* The predictors of lossless WebP: RFC 9649, section 4.1. */
#include <string.h>

#include "vp8l.h"

#define BLACK 0xff000000u

/*
 * One pixel, or four where there is SSE2 and its left neighbour is not asked for. Loads of one fill the rest with 0,
 * and everything below keeps it 0.
 */
#if defined(__SSE2__)
#include <emmintrin.h>

typedef __m128i pixels;
#define AT_ONCE 4

static inline pixels load_one(const uint32_t *p) {
    int32_t pixel;
    memcpy(&pixel, p, sizeof pixel);
    return _mm_cvtsi32_si128(pixel);
}

static inline void store_one(uint32_t *p, pixels x) { *p = (uint32_t)_mm_cvtsi128_si32(x); }

static inline pixels load_all(const uint32_t *p) { return _mm_loadu_si128((const __m128i *)(const void *)p); }

static inline void store_all(uint32_t *p, pixels x) { _mm_storeu_si128((__m128i *)(void *)p, x); }

static inline pixels black(void) { return _mm_set1_epi32((int)BLACK); }

static inline pixels add(pixels a, pixels b) { return _mm_add_epi8(a, b); }

/* Rounded down; the instruction rounds up. */
static inline pixels mean(pixels a, pixels b) {
    return _mm_sub_epi8(_mm_avg_epu8(a, b), _mm_and_si128(_mm_xor_si128(a, b), _mm_set1_epi8(1)));
}

/* Whichever of left and up is nearer to left + up - corner, summed over the channels. */
static inline pixels nearer(pixels left, pixels up, pixels corner) {
    const __m128i to_left = _mm_sad_epu8(up, corner), to_up = _mm_sad_epu8(left, corner);
    const __m128i is_left = _mm_cmpgt_epi32(to_up, to_left); /* in the one pixel that there is */
    return _mm_or_si128(_mm_and_si128(is_left, left), _mm_andnot_si128(is_left, up));
}

/* left + up - corner, between 0 and 255. */
static inline pixels slope(pixels left, pixels up, pixels corner) {
    const __m128i zero = _mm_setzero_si128();
    const __m128i step = _mm_sub_epi16(_mm_unpacklo_epi8(up, zero), _mm_unpacklo_epi8(corner, zero));
    return _mm_packus_epi16(_mm_add_epi16(_mm_unpacklo_epi8(left, zero), step), zero);
}

/* middle + (middle - corner) / 2, the half towards 0, between 0 and 255. */
static inline pixels half_slope(pixels middle, pixels corner) {
    const __m128i zero = _mm_setzero_si128(), m = _mm_unpacklo_epi8(middle, zero);
    const __m128i step = _mm_sub_epi16(m, _mm_unpacklo_epi8(corner, zero));
    const __m128i half = _mm_srai_epi16(_mm_add_epi16(step, _mm_srli_epi16(step, 15)), 1);
    return _mm_packus_epi16(_mm_add_epi16(m, half), zero);
}

#else

typedef uint32_t pixels;
#define AT_ONCE 1

static inline pixels load_one(const uint32_t *p) { return *p; }
static inline void store_one(uint32_t *p, pixels x) { *p = x; }
static inline pixels load_all(const uint32_t *p) { return *p; }
static inline void store_all(uint32_t *p, pixels x) { *p = x; }
static inline pixels black(void) { return BLACK; }

static inline pixels add(pixels a, pixels b) {
    return (((a & 0xff00ff00u) + (b & 0xff00ff00u)) & 0xff00ff00u) | (((a & 0xff00ffu) + (b & 0xff00ffu)) & 0xff00ffu);
}

static inline pixels mean(pixels a, pixels b) { return (((a ^ b) & 0xfefefefeu) >> 1) + (a & b); }

static inline int channel(pixels x, int shift) { return (int)(x >> shift & 0xff); }

static inline pixels clamped(int x, int shift) { return (uint32_t)(x < 0 ? 0 : x > 255 ? 255 : x) << shift; }

static inline pixels nearer(pixels left, pixels up, pixels corner) {
    int to_left = 0, to_up = 0;
    for (int s = 0; s < 32; s += 8) {
        const int c = channel(corner, s), d = channel(up, s) - c, e = channel(left, s) - c;
        to_left += d < 0 ? -d : d;
        to_up += e < 0 ? -e : e;
    }
    return to_left < to_up ? left : up;
}

static inline pixels slope(pixels left, pixels up, pixels corner) {
    pixels out = 0;
    for (int s = 0; s < 32; s += 8) out |= clamped(channel(left, s) + channel(up, s) - channel(corner, s), s);
    return out;
}

static inline pixels half_slope(pixels middle, pixels corner) {
    pixels out = 0;
    for (int s = 0; s < 32; s += 8) {
        const int m = channel(middle, s);
        out |= clamped(m + (m - channel(corner, s)) / 2, s);
    }
    return out;
}

#endif

typedef void predictor(const uint32_t *row, const uint32_t *above, uint32_t *out, uint32_t count);

/* A predictor that looks at the pixel on the left, whose value must be known first. */
#define FROM_LEFT(name, prediction)                                                                                    \
    static void name(const uint32_t *row, const uint32_t *above, uint32_t *out, uint32_t count) {                      \
        pixels left = load_one(out - 1), corner = load_one(above - 1), up = load_one(above);                           \
        for (uint32_t i = 0; i < count; i++) {                                                                         \
            const pixels right = load_one(above + i + 1);                                                              \
            left = add(load_one(row + i), prediction);                                                                 \
            store_one(out + i, left);                                                                                  \
            corner = up;                                                                                               \
            up = right;                                                                                                \
        }                                                                                                              \
        (void)corner;                                                                                                  \
    }

/* A predictor that looks at the row above only. The last few go one by one, as nothing may be read beyond the row. */
#define FROM_ABOVE(name, prediction)                                                                                   \
    static void name(const uint32_t *row, const uint32_t *above, uint32_t *out, uint32_t count) {                      \
        uint32_t i = 0;                                                                                                \
        (void)above;                                                                                                   \
        for (; i + AT_ONCE <= count; i += AT_ONCE) store_all(out + i, add(load_all(row + i), prediction(load_all)));   \
        for (; i < count; i++) store_one(out + i, add(load_one(row + i), prediction(load_one)));                       \
    }

#define BLACK_OF(load) black()
#define UP_OF(load) load(above + i)
#define RIGHT_OF(load) load(above + i + 1)
#define CORNER_OF(load) load(above + i - 1)
#define CORNER_UP_OF(load) mean(load(above + i - 1), load(above + i))
#define UP_RIGHT_OF(load) mean(load(above + i), load(above + i + 1))

FROM_ABOVE(predict_0, BLACK_OF)
FROM_LEFT(predict_1, left)
FROM_ABOVE(predict_2, UP_OF)
FROM_ABOVE(predict_3, RIGHT_OF)
FROM_ABOVE(predict_4, CORNER_OF)
FROM_LEFT(predict_5, mean(mean(left, right), up))
FROM_LEFT(predict_6, mean(left, corner))
FROM_LEFT(predict_7, mean(left, up))
FROM_ABOVE(predict_8, CORNER_UP_OF)
FROM_ABOVE(predict_9, UP_RIGHT_OF)
FROM_LEFT(predict_10, mean(mean(left, corner), mean(up, right)))
FROM_LEFT(predict_11, nearer(left, up, corner))
FROM_LEFT(predict_12, slope(left, up, corner))
FROM_LEFT(predict_13, half_slope(mean(left, up), corner))

/* 14 and 15 have no meaning in the standard; there they are as 0. */
static predictor *const PREDICTORS[16] = {predict_0,  predict_1,  predict_2,  predict_3, predict_4,  predict_5,
                                          predict_6,  predict_7,  predict_8,  predict_9, predict_10, predict_11,
                                          predict_12, predict_13, predict_0, predict_0};

void sf_vp8l_predict(const uint32_t *row, uint32_t *above, uint32_t *out, uint32_t width, const uint32_t *modes,
                     int bits) {
    if (!above) { /* from the left alone */
        store_one(out, add(load_one(row), load_one(&(const uint32_t){BLACK})));
        for (uint32_t x = 1; x < width; x++) store_one(out + x, add(load_one(row + x), load_one(out + x - 1)));
        return;
    }
    store_one(out, add(load_one(row), load_one(above)));
    above[width] = out[0]; /* what is up and to the right of the last pixel */
    const uint32_t side = 1u << bits;
    for (uint32_t x = 1, next; x < width; x = next) {
        next = (x | (side - 1)) + 1;
        if (next > width) next = width;
        PREDICTORS[modes[x >> bits] >> 8 & 15](row + x, above + x, out + x, next - x);
    }
}
