/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From composed rows to what a caller wants, for one instruction set: other formats, other sizes.
 *
 * Y'CbCr is that of stillflow/video/colour.py to the byte: OpenCV's ten bits of fraction, then means that are rounded
 * one after the other. Lines, rows on their way to another size, are int16 with 7 bits of fraction.
 */
#ifndef SF_OUTPUT_KERNEL_H
#define SF_OUTPUT_KERNEL_H

#include "scene.h"
#include "simd.h"

#if defined(__SSSE3__) || !defined(__SSE2__)
#define SF_BYTE_SHUFFLE
#endif

static void to_four(const uint8_t *rgb, int32_t pixels, int swapped, uint8_t *out) {
    int32_t x = 0;
#if defined(SF_BYTE_SHUFFLE)
    /* Four pixels a load, of 16 bytes of which 12 count: so the last six are left to the loop below. */
    const v16b full = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    for (; x + 6 <= pixels; x += 4) {
        v16b v;
        memcpy(&v, rgb + 3 * (size_t)x, sizeof v);
        v = swapped ? (v16b)SF_SHUFFLE(v16b, v, full, 2, 1, 0, 16, 5, 4, 3, 16, 8, 7, 6, 16, 11, 10, 9, 16)
                    : (v16b)SF_SHUFFLE(v16b, v, full, 0, 1, 2, 16, 3, 4, 5, 16, 6, 7, 8, 16, 9, 10, 11, 16);
        memcpy(out + 4 * (size_t)x, &v, sizeof v);
    }
#endif
    const int first = swapped ? 2 : 0;
    for (; x < pixels; x++) {
        const uint8_t *p = rgb + 3 * (size_t)x;
        uint8_t *q = out + 4 * (size_t)x;
        q[0] = p[first];
        q[1] = p[1];
        q[2] = p[2 - first];
        q[3] = 255;
    }
}

static void to_plate(const uint8_t *rgb, int32_t pixels, uint8_t *out) {
    int32_t x = 0;
#if defined(SF_BYTE_SHUFFLE)
    const v16b bias = {SF_PLATE_BIAS, SF_PLATE_BIAS, SF_PLATE_BIAS, SF_PLATE_BIAS, SF_PLATE_BIAS, SF_PLATE_BIAS,
                       SF_PLATE_BIAS, SF_PLATE_BIAS, SF_PLATE_BIAS, SF_PLATE_BIAS, SF_PLATE_BIAS, SF_PLATE_BIAS,
                       SF_PLATE_BIAS, SF_PLATE_BIAS, SF_PLATE_BIAS, SF_PLATE_BIAS};
    for (; x + 6 <= pixels; x += 4) {
        v16b v;
        memcpy(&v, rgb + 3 * (size_t)x, sizeof v);
        v = (v16b)SF_SHUFFLE(v16b, v, bias, 0, 1, 2, 16, 3, 4, 5, 16, 6, 7, 8, 16, 9, 10, 11, 16) ^ bias;
        memcpy(out + 4 * (size_t)x, &v, sizeof v);
    }
#endif
    for (; x < pixels; x++) {
        for (size_t k = 0; k < 3; k++) out[4 * (size_t)x + k] = rgb[3 * (size_t)x + k] ^ SF_PLATE_BIAS;
        out[4 * (size_t)x + 3] = 0;
    }
}

/* Products of the low halves plus products of the high halves of each element, as signed 16 bits. */
SF_INLINE v8i multiply_pairs(v8i a, v8i b) {
#if defined(__AVX2__)
    return (v8i)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    sf_int_halves s = {.whole = a}, t = {.whole = b};
    s.half[0] = (v4i)_mm_madd_epi16((__m128i)s.half[0], (__m128i)t.half[0]);
    s.half[1] = (v4i)_mm_madd_epi16((__m128i)s.half[1], (__m128i)t.half[1]);
    return s.whole;
#else
    /* Halves of a are bytes here, and those of b are constants. */
    return (a & 0xffff) * (b << 16 >> 16) + (a >> 16) * (b >> 16);
#endif
}

/* Elements within 0..32767 to 16 bits. */
SF_INLINE v8h narrow8(v8i v) {
#if defined(__AVX2__)
    return (v8h)_mm_packs_epi32(_mm256_castsi256_si128((__m256i)v), _mm256_extracti128_si256((__m256i)v, 1));
#elif defined(__SSE2__)
    sf_int_halves s = {.whole = v};
    return (v8h)_mm_packs_epi32((__m128i)s.half[0], (__m128i)s.half[1]);
#else
    return __builtin_convertvector(v, v8h);
#endif
}

/* Elements within 0..255 to 8 bytes. */
SF_INLINE void store_bytes8(v8h v, uint8_t *out) {
#if defined(__SSE2__)
    _mm_storel_epi64((__m128i *)(void *)out, _mm_packus_epi16((__m128i)v, (__m128i)v));
#else
    for (int k = 0; k < 8; k++) out[k] = (uint8_t)v[k];
#endif
}

#define SF_COLOUR_BITS 10
#define SF_PAIR(low, high) ((int32_t)(((uint32_t)(high) << 16) | ((uint32_t)(low) & 0xffff)))

/* One of Y, Cb, Cr of 8 pixels: weights are 1024 times stillflow.video.colour.RGB_TO_YCBCR, rounded. */
SF_INLINE v8h colour8(v8i red_blue, v8i green, int red, int green_weight, int blue, int offset) {
    const v8i weights = (v8i){0} + SF_PAIR(red, blue), weight = (v8i){0} + SF_PAIR(green_weight, 0);
    v8i sum = multiply_pairs(red_blue, weights) + multiply_pairs(green, weight);
    return narrow8((sum + ((offset << SF_COLOUR_BITS) + (1 << (SF_COLOUR_BITS - 1)))) >> SF_COLOUR_BITS);
}

/* Eight pixels, red lowest; the highest byte holds anything. Not by way of memory: narrow stores would hold up the load. */
SF_INLINE v8i load_pixels8(const uint8_t *p) {
    sf_int_halves s;
#if defined(SF_BYTE_SHUFFLE)
    v16b first, last;
    memcpy(&first, p, sizeof first);
    memcpy(&last, p + 8, sizeof last);
    s.half[0] = (v4i)(v16b)SF_SHUFFLE(v16b, first, first, 0, 1, 2, 0, 3, 4, 5, 0, 6, 7, 8, 0, 9, 10, 11, 0);
    s.half[1] = (v4i)(v16b)SF_SHUFFLE(v16b, last, last, 4, 5, 6, 0, 7, 8, 9, 0, 10, 11, 12, 0, 13, 14, 15, 0);
#else
    int32_t word[8];
    for (int k = 0; k < 7; k++) memcpy(&word[k], p + 3 * k, 4);
    memcpy(&word[7], p + 20, 4);
    s.half[0] = (v4i){word[0], word[1], word[2], word[3]};
    s.half[1] = (v4i){word[4], word[5], word[6], word[7] >> 8};
#endif
#if defined(__AVX2__)
    return (v8i)_mm256_inserti128_si256(_mm256_castsi128_si256((__m128i)s.half[0]), (__m128i)s.half[1], 1);
#else
    return s.whole;
#endif
}

typedef struct sf_colours {
    v8h y, cb, cr;
} sf_colours;

SF_INLINE sf_colours colours_of(const uint8_t *rgb) {
    const v8i pixels = load_pixels8(rgb);
    const v8i red_blue = pixels & 0x00ff00ff, green = (pixels >> 8) & 0xff;
    return (sf_colours){colour8(red_blue, green, 187, 629, 63, 16), colour8(red_blue, green, -103, -347, 450, 128),
                        colour8(red_blue, green, 450, -409, -41, 128)};
}

/* Columns whose chroma is summed at once, and a place before them for the column on their left. */
#define SF_NV12_COLUMNS 128
#define SF_NV12_BEFORE 8

SF_INLINE v8h load_halfwords(const int16_t *p) {
    v8h v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Elements 0, 2, 4... of 16, and elements 1, 3, 5... */
SF_INLINE v8h evens_of(v8h a, v8h b) { return (v8h)SF_SHUFFLE(v8h, a, b, 0, 2, 4, 6, 8, 10, 12, 14); }
SF_INLINE v8h odds_of(v8h a, v8h b) { return (v8h)SF_SHUFFLE(v8h, a, b, 1, 3, 5, 7, 9, 11, 13, 15); }

/*
 * Chroma of 8 even columns from the sums of two rows: means of two columns and two rows, to the right of the column and
 * to its left; then theirs, ties to even.
 */
SF_INLINE v8h chroma8(const int16_t *sums) {
    const v8h a = load_halfwords(sums), b = load_halfwords(sums + 8);
    const v8h left = evens_of(load_halfwords(sums - 1), load_halfwords(sums + 7)), middle = evens_of(a, b);
    const v8h sum = ((middle + odds_of(a, b) + 2) >> 2) + ((left + middle + 2) >> 2);
    return (sum + (sum >> 1 & 1)) >> 1;
}

static void to_nv12(const uint8_t *const rows[2], int32_t width, uint8_t *const luma[2], uint8_t *chroma) {
    int16_t cb[SF_NV12_BEFORE + SF_NV12_COLUMNS] = {0}, cr[SF_NV12_BEFORE + SF_NV12_COLUMNS] = {0};
    for (int32_t from = 0; from < width; from += SF_NV12_COLUMNS) {
        const int32_t count = width - from < SF_NV12_COLUMNS ? width - from : SF_NV12_COLUMNS;
        for (int32_t i = 0; i < count; i += 8) {
            const int whole = i + 8 <= count;
            sf_colours two[2];
            for (int k = 0; k < 2; k++) {
                const uint8_t *rgb = rows[k] + 3 * (size_t)(from + i);
                uint8_t few[24];
                if (!whole) {
                    /* The last pixel is repeated. */
                    for (int32_t p = 0; p < 8; p++)
                        memcpy(few + 3 * p, rgb + 3 * (i + p < count ? p : count - 1 - i), 3);
                    rgb = few;
                }
                two[k] = colours_of(rgb);
                if (whole) {
                    store_bytes8(two[k].y, luma[k] + from + i);
                } else {
                    uint8_t bytes[8];
                    store_bytes8(two[k].y, bytes);
                    memcpy(luma[k] + from + i, bytes, (size_t)(count - i + (count & 1)));
                }
            }
            const v8h blue = two[0].cb + two[1].cb, red = two[0].cr + two[1].cr;
            memcpy(cb + SF_NV12_BEFORE + i, &blue, sizeof blue);
            memcpy(cr + SF_NV12_BEFORE + i, &red, sizeof red);
        }
        int16_t *b = cb + SF_NV12_BEFORE, *r = cr + SF_NV12_BEFORE;
        if (from == 0) b[-1] = b[0], r[-1] = r[0];
        for (int32_t i = 0; i < count; i += 16) {
            const v8h pairs = chroma8(b + i) | chroma8(r + i) << 8;
            if (i + 16 <= count) memcpy(chroma + from + i, &pairs, sizeof pairs);
            else memcpy(chroma + from + i, &pairs, (size_t)(count - i + (count & 1)));
        }
        b[-1] = b[SF_NV12_COLUMNS - 1];
        r[-1] = r[SF_NV12_COLUMNS - 1];
    }
}

#define SF_LINE_BITS 7
#define SF_SHARE_BITS 15

static void mix_rows(const uint8_t *a, const uint8_t *b, int32_t count, int32_t share, int16_t *out) {
    const int16_t part = (int16_t)share;
    for (int32_t i = 0; i < count; i++) {
        const int16_t from = (int16_t)(a[i] << SF_LINE_BITS), step = (int16_t)((b[i] << SF_LINE_BITS) - from);
        /* Rounded; written so that compilers see the one instruction that it is. */
        out[i] = (int16_t)(from + (int16_t)(((((int32_t)step * part) >> (SF_SHARE_BITS - 1)) + 1) >> 1));
    }
}

static void add_row_part(const uint8_t *row, int32_t count, float part, float *sums) {
    for (int32_t i = 0; i < count; i++) sums[i] += (float)row[i] * part;
}

static void end_sums(const float *sums, int32_t count, float factor, int16_t *out) {
    for (int32_t i = 0; i < count; i++) out[i] = (int16_t)(int32_t)(sums[i] * factor + 0.5f);
}

/* Two pixels, 4 int16 of which the last is of no use, from two places. */
SF_INLINE v8h load_two(const int16_t *p, const int16_t *q) {
    v8h v;
#if defined(__SSE2__)
    __m128i low = _mm_loadl_epi64((const __m128i *)(const void *)p), high = _mm_loadl_epi64((const __m128i *)(const void *)q);
    v = (v8h)_mm_unpacklo_epi64(low, high);
#else
    memcpy(&v, p, 8);
    memcpy((char *)&v + 8, q, 8);
#endif
    return v;
}

SF_INLINE v8h scale_line(v8h a, v8h b) {
#if defined(__SSSE3__)
    return (v8h)_mm_mulhrs_epi16((__m128i)a, (__m128i)b);
#elif defined(__ARM_NEON)
    return (v8h)vqrdmulhq_s16((int16x8_t)a, (int16x8_t)b);
#elif defined(__SSE2__)
    return scale_half(a, b);
#else
    v8h out;
    for (int k = 0; k < 8; k++) out[k] = (int16_t)(((int32_t)a[k] * b[k] + 0x4000) >> 15);
    return out;
#endif
}

SF_INLINE v8h stretch_two(const int16_t *line, const int32_t *at, const int16_t *share) {
    const int16_t *p = line + at[0], *q = line + at[1];
    const v8h left = load_two(p, q), right = load_two(p + 3, q + 3);
    const int16_t s = share[0], t = share[1];
    const v8h shares = {s, s, s, s, t, t, t, t};
    return (left + scale_line(right - left, shares) + (1 << (SF_LINE_BITS - 1))) >> SF_LINE_BITS;
}

static void stretch(const int16_t *line, const int32_t *at, const int16_t *share, int32_t pixels, uint8_t *out) {
    int32_t x = 0;
    /* Four pixels make 12 bytes of a store of 16. */
    for (; x + 6 <= pixels; x += 4) {
        const v8h a = stretch_two(line, at + x, share + x), b = stretch_two(line, at + x + 2, share + x + 2);
#if defined(__SSE2__)
        v16b bytes = (v16b)_mm_packus_epi16((__m128i)a, (__m128i)b);
#else
        v16b bytes;
        for (int k = 0; k < 8; k++) bytes[k] = (uint8_t)a[k], bytes[k + 8] = (uint8_t)b[k];
#endif
        bytes = drop_fourth(bytes);
        memcpy(out + 3 * (size_t)x, &bytes, sizeof bytes);
    }
    for (; x < pixels; x++) {
        const int32_t two[2] = {at[x], at[x]};
        const int16_t shares[2] = {share[x], share[x]};
        const v8h v = stretch_two(line, two, shares);
        for (int k = 0; k < 3; k++) out[3 * (size_t)x + (size_t)k] = (uint8_t)v[k];
    }
}

#endif
