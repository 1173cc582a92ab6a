/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SF_CHANNELS_H
#define SF_CHANNELS_H

#include <stddef.h>
#include <stdint.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* A row of 1 (gray), 3 or 4 channels as one of 1 (the first one), 3 or 4 (alpha 255 where there is none). */
void sf_spread_channels(const uint8_t *row, int channels, uint8_t *out, int wanted, size_t pixels);

#if defined(__SSE2__)
/* Store four pixels of RGBX without their fourth bytes: 12 bytes, and 4 more that mean nothing. */
static inline void sf_store_rgb(uint8_t *out, __m128i pixels) {
    const __m128i even = _mm_and_si128(pixels, _mm_set1_epi64x(0xffffff));
    const __m128i odd = _mm_and_si128(_mm_srli_epi64(pixels, 8), _mm_set1_epi64x(0xffffff000000));
    const __m128i six = _mm_or_si128(even, odd); /* in each half */
    const __m128i all = _mm_or_si128(_mm_move_epi64(six), _mm_slli_si128(_mm_srli_si128(six, 8), 6));
    _mm_storeu_si128((__m128i *)(void *)out, all);
}
#endif

#endif
