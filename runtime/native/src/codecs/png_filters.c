/* SPDX-License-Identifier: Apache-2.0 */
#include "png_filters.h"

#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

static void add_row(const uint8_t *restrict row, const uint8_t *restrict above, uint8_t *restrict out, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) out[i] = (uint8_t)(row[i] + above[i]);
}

/* Byte by byte: where there are no vectors, and faster than these for a single channel. */

INLINE void left_bytes(const uint8_t *row, uint8_t *out, size_t pixels, int n) {
    for (int c = 0; c < n; c++) {
        uint8_t left = 0;
        for (size_t i = (size_t)c; i < pixels * (size_t)n; i += (size_t)n) out[i] = left = (uint8_t)(left + row[i]);
    }
}

INLINE void mean_bytes(const uint8_t *row, const uint8_t *above, uint8_t *out, size_t pixels, int n) {
    for (int c = 0; c < n; c++) {
        uint8_t left = 0;
        for (size_t i = (size_t)c; i < pixels * (size_t)n; i += (size_t)n)
            out[i] = left = (uint8_t)(row[i] + ((left + above[i]) >> 1));
    }
}

INLINE int magnitude(int x) { return x < 0 ? -x : x; }

#define PLAIN 16

INLINE int is_plain(const uint8_t *row, const uint8_t *above) {
    uint64_t added[2], up[2], corner[2];
    memcpy(added, row, PLAIN);
    memcpy(up, above, PLAIN);
    memcpy(corner, above - 1, PLAIN);
    return !(added[0] | added[1] | (up[0] ^ corner[0]) | (up[1] ^ corner[1]));
}

INLINE void paeth_bytes(const uint8_t *row, const uint8_t *above, uint8_t *out, size_t pixels, int n) {
    int left[4] = {0}, corner[4] = {0};
    for (size_t i = 0; i < pixels; i++, row += n, above += n, out += n) {
        /* A matte is plain almost everywhere: nothing is added, the row above stays as it is, and so this one does. */
        if (n == 1 && i % PLAIN == 1 && pixels - i >= PLAIN && is_plain(row, above)) {
            memset(out, left[0], PLAIN);
            i += PLAIN - 1, row += PLAIN - 1, above += PLAIN - 1, out += PLAIN - 1;
            corner[0] = *above;
            continue;
        }
        for (int c = 0; c < n; c++) {
            const int up = above[c], to_left = up - corner[c], to_up = left[c] - corner[c];
            const int d = magnitude(to_left), e = magnitude(to_up), f = magnitude(to_left + to_up);
            const int nearest = d <= e && d <= f ? left[c] : e <= f ? up : corner[c];
            out[c] = (uint8_t)(row[c] + nearest);
            left[c] = out[c];
            corner[c] = up;
        }
    }
}

#if defined(__SSE2__)

/* A pixel in the lowest bytes. Three bytes go one by one: gcc copies them through memory, where a load has to wait. */
INLINE __m128i load_pixel(const uint8_t *p, int channels) {
    int32_t pixel;
    if (channels == 4) memcpy(&pixel, p, 4);
    else pixel = p[0] | p[1] << 8 | p[2] << 16;
    return _mm_cvtsi32_si128(pixel);
}

INLINE void store_pixel(uint8_t *p, int channels, __m128i pixel) {
    const int32_t bytes = _mm_cvtsi128_si32(pixel);
    if (channels == 4) {
        memcpy(p, &bytes, 4);
        return;
    }
    p[0] = (uint8_t)bytes;
    p[1] = (uint8_t)(bytes >> 8);
    p[2] = (uint8_t)(bytes >> 16);
}

INLINE void left_row(const uint8_t *row, uint8_t *out, size_t pixels, int n) {
    __m128i left = _mm_setzero_si128();
    for (size_t i = 0; i < pixels; i++, row += n, out += n) {
        left = _mm_add_epi8(left, load_pixel(row, n));
        store_pixel(out, n, left);
    }
}

INLINE void mean_row(const uint8_t *row, const uint8_t *above, uint8_t *out, size_t pixels, int n) {
    const __m128i one = _mm_set1_epi8(1);
    __m128i left = _mm_setzero_si128();
    for (size_t i = 0; i < pixels; i++, row += n, above += n, out += n) {
        const __m128i up = load_pixel(above, n);
        /* The instruction rounds up, the filter down. */
        const __m128i odd = _mm_and_si128(_mm_xor_si128(left, up), one);
        left = _mm_add_epi8(_mm_sub_epi8(_mm_avg_epu8(left, up), odd), load_pixel(row, n));
        store_pixel(out, n, left);
    }
}

INLINE __m128i distance(__m128i x) { return _mm_max_epi16(x, _mm_sub_epi16(_mm_setzero_si128(), x)); }

INLINE __m128i choose(__m128i mask, __m128i yes, __m128i no) {
    return _mm_or_si128(_mm_and_si128(mask, yes), _mm_andnot_si128(mask, no));
}

INLINE void paeth_row(const uint8_t *row, const uint8_t *above, uint8_t *out, size_t pixels, int n) {
    const __m128i zero = _mm_setzero_si128(), low = _mm_set1_epi16(255);
    __m128i left = zero, corner = zero; /* 16 bits a channel, as all here */
    for (size_t i = 0; i < pixels; i++, row += n, above += n, out += n) {
        const __m128i up = _mm_unpacklo_epi8(load_pixel(above, n), zero);
        const __m128i to_left = _mm_sub_epi16(up, corner), to_up = _mm_sub_epi16(left, corner);
        const __m128i d = distance(to_left), e = distance(to_up), f = distance(_mm_add_epi16(to_left, to_up));
        const __m128i least = _mm_min_epi16(f, _mm_min_epi16(d, e));
        const __m128i nearest = choose(_mm_cmpeq_epi16(d, least), left, choose(_mm_cmpeq_epi16(e, least), up, corner));
        left = _mm_and_si128(_mm_add_epi16(nearest, _mm_unpacklo_epi8(load_pixel(row, n), zero)), low);
        store_pixel(out, n, _mm_packus_epi16(left, left));
        corner = up;
    }
}

#endif

/* Once for each number of channels, which so is a constant inside. */
INLINE void unfilter(int filter, const uint8_t *row, const uint8_t *above, uint8_t *out, size_t pixels, int n) {
#if defined(__SSE2__)
    if (n > 1) {
        if (filter == 1) left_row(row, out, pixels, n);
        else if (filter == 3) mean_row(row, above, out, pixels, n);
        else paeth_row(row, above, out, pixels, n);
        return;
    }
#endif
    if (filter == 1) left_bytes(row, out, pixels, n);
    else if (filter == 3) mean_bytes(row, above, out, pixels, n);
    else paeth_bytes(row, above, out, pixels, n);
}

void sf_png_unfilter(int filter, const uint8_t *row, const uint8_t *above, uint8_t *out, size_t pixels, int channels) {
    if (filter == 0) memcpy(out, row, pixels * (size_t)channels);
    else if (filter == 2) add_row(row, above, out, pixels * (size_t)channels);
    else if (channels == 1) unfilter(filter, row, above, out, pixels, 1);
    else if (channels == 3) unfilter(filter, row, above, out, pixels, 3);
    else unfilter(filter, row, above, out, pixels, 4);
}
