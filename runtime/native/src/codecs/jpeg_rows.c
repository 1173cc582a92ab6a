/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From samples to pixels. Chroma of half the width or height goes through a triangle filter: 3/4 of the nearer sample
 * and 1/4 of the farther one in each direction, rounded up and down in turn, as libjpeg does it ("fancy upsampling").
 * Y'CbCr becomes RGB by the factors of JFIF 1.02 in 16 bits behind the point.
 */
#include <string.h>

#include "channels.h"
#include "jpeg.h"

#define PIXELS 16 /* that vectors take at once */

void sf_jpeg_begin_rows(sf_jpeg *j) {
    const uint64_t width = (uint64_t)j->width + 2 * PIXELS;
    j->row = sf_take(j->room, width, 3);
    for (int i = 0; i < 2; i++) j->upsampled[i] = sf_take(j->room, width, 1);
    j->sums = sf_take(j->room, width, sizeof(uint16_t));
}

/*
 * Twice as many samples: 3/4 of one and 1/4 of its left, then of its right neighbour. sums holds count of them, and
 * one more at each end, in units of 1 / 2^(bits - 2).
 */
static void double_width(const uint16_t *sums, int32_t count, int bits, uint8_t *out) {
    const int left_half = bits == 2 ? 1 : 8, right_half = bits == 2 ? 2 : 7;
    int32_t i = 0;
#if defined(__SSE2__)
    const __m128i shift = _mm_cvtsi32_si128(bits);
    const __m128i for_left = _mm_set1_epi16((short)left_half), for_right = _mm_set1_epi16((short)right_half);
    for (; i + 8 <= count; i += 8) {
        const __m128i left = _mm_loadu_si128((const __m128i *)(const void *)(sums + i - 1));
        const __m128i here = _mm_loadu_si128((const __m128i *)(const void *)(sums + i));
        const __m128i right = _mm_loadu_si128((const __m128i *)(const void *)(sums + i + 1));
        const __m128i thrice = _mm_add_epi16(here, _mm_add_epi16(here, here));
        const __m128i even = _mm_srl_epi16(_mm_add_epi16(_mm_add_epi16(thrice, left), for_left), shift);
        const __m128i odd = _mm_srl_epi16(_mm_add_epi16(_mm_add_epi16(thrice, right), for_right), shift);
        _mm_storeu_si128((__m128i *)(void *)(out + 2 * i), _mm_or_si128(even, _mm_slli_epi16(odd, 8)));
    }
#endif
    for (; i < count; i++) {
        out[2 * i] = (uint8_t)((3 * sums[i] + sums[i - 1] + left_half) >> bits);
        out[2 * i + 1] = (uint8_t)((3 * sums[i] + sums[i + 1] + right_half) >> bits);
    }
}

static void weigh(const uint8_t *restrict near, const uint8_t *restrict far, uint16_t *restrict out, int32_t count) {
    for (int32_t i = 0; i < count; i++) out[i] = (uint16_t)(3 * near[i] + far[i]);
}

/* Samples of chroma for row y of the picture, one a pixel. */
static const uint8_t *upsample(const sf_jpeg *j, const sf_jpeg_component *c, int32_t y, uint8_t *out) {
    const int wide = j->h / c->h, high = j->v / c->v;
    const int32_t row = y / high;
    const uint8_t *const near = sf_jpeg_samples(c, row);
    if (wide == 1 && high == 1) return near;
    if (wide == 2 && c->width <= 2) { /* too narrow for the filter: repeated in both directions */
        for (int32_t x = 0; x < j->width; x++) out[x] = near[x / 2];
        return out;
    }
    /* The farther row: above the upper of two rows, below the lower. There is none beyond the picture. */
    int32_t other = row + (y & 1 ? 1 : -1);
    if (other < 0 || other >= c->height) other = row;
    const uint8_t *const far = sf_jpeg_samples(c, other);
    uint16_t *const sums = j->sums + 1;
    if (wide == 1) {
        const int half = y & 1 ? 2 : 1;
        for (int32_t x = 0; x < j->width; x++) out[x] = (uint8_t)((3 * near[x] + far[x] + half) >> 2);
        return out;
    }
    if (high == 2) weigh(near, far, sums, c->width);
    else
        for (int32_t x = 0; x < c->width; x++) sums[x] = near[x];
    sums[-1] = sums[0];
    sums[c->width] = sums[c->width - 1];
    double_width(sums, c->width, high == 2 ? 4 : 2, out);
    return out;
}

#define FACTOR(x) ((int32_t)((x) * 65536 + 0.5))
#define HALF (1 << 15)

static uint8_t clamped(int32_t x) { return (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x); }

static void convert_pixels(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, uint8_t *out, int32_t count) {
    for (int32_t i = 0; i < count; i++, out += 3) {
        const int32_t b = cb[i] - 128, r = cr[i] - 128;
        out[0] = clamped(y[i] + ((FACTOR(1.402) * r + HALF) >> 16));
        out[1] = clamped(y[i] + ((-FACTOR(0.34414) * b - FACTOR(0.71414) * r + HALF) >> 16));
        out[2] = clamped(y[i] + ((FACTOR(1.772) * b + HALF) >> 16));
    }
}

#if defined(__SSE2__)

typedef struct rgb {
    __m128i r, g, b;
} rgb;

/*
 * Eight pixels of 16 bits. The factors are split into whole numbers and what fits into 16 bits; halves are rounded up
 * after 15 of the 16 bits, which is the same.
 */
static inline rgb convert_eight(__m128i y, __m128i cb, __m128i cr) {
    const __m128i one = _mm_set1_epi16(1), middle = _mm_set1_epi16(128);
    const __m128i b = _mm_sub_epi16(cb, middle), r = _mm_sub_epi16(cr, middle);
    const __m128i b2 = _mm_add_epi16(b, b), r2 = _mm_add_epi16(r, r);
    const __m128i of_r = _mm_set1_epi16(FACTOR(1.402) - 65536), of_b = _mm_set1_epi16(FACTOR(1.772) - 2 * 65536);
    const __m128i red = _mm_srai_epi16(_mm_add_epi16(_mm_mulhi_epi16(r2, of_r), one), 1);
    const __m128i blue = _mm_srai_epi16(_mm_add_epi16(_mm_mulhi_epi16(b2, of_b), one), 1);
    const int32_t pair = (int32_t)((uint32_t)(65536 - FACTOR(0.71414)) << 16 | (uint32_t)(uint16_t)-FACTOR(0.34414));
    const __m128i of_g = _mm_set1_epi32(pair), half = _mm_set1_epi32(HALF);
    const __m128i low = _mm_madd_epi16(_mm_unpacklo_epi16(b, r), of_g);
    const __m128i high = _mm_madd_epi16(_mm_unpackhi_epi16(b, r), of_g);
    const __m128i green = _mm_packs_epi32(_mm_srai_epi32(_mm_add_epi32(low, half), 16),
                                          _mm_srai_epi32(_mm_add_epi32(high, half), 16));
    return (rgb){_mm_add_epi16(_mm_add_epi16(y, r), red), _mm_sub_epi16(_mm_add_epi16(y, green), r),
                 _mm_add_epi16(_mm_add_epi16(y, b2), blue)};
}

/* Writes up to 4 bytes beyond the last pixel. */
static inline void convert_sixteen(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, uint8_t *out) {
    const __m128i zero = _mm_setzero_si128();
    const __m128i a = _mm_loadu_si128((const __m128i *)(const void *)y);
    const __m128i b = _mm_loadu_si128((const __m128i *)(const void *)cb);
    const __m128i c = _mm_loadu_si128((const __m128i *)(const void *)cr);
    const rgb low = convert_eight(_mm_unpacklo_epi8(a, zero), _mm_unpacklo_epi8(b, zero), _mm_unpacklo_epi8(c, zero));
    const rgb high = convert_eight(_mm_unpackhi_epi8(a, zero), _mm_unpackhi_epi8(b, zero), _mm_unpackhi_epi8(c, zero));
    const __m128i r = _mm_packus_epi16(low.r, high.r), g = _mm_packus_epi16(low.g, high.g);
    const __m128i blue = _mm_packus_epi16(low.b, high.b);
    const __m128i rg[2] = {_mm_unpacklo_epi8(r, g), _mm_unpackhi_epi8(r, g)};
    const __m128i b0[2] = {_mm_unpacklo_epi8(blue, zero), _mm_unpackhi_epi8(blue, zero)};
    for (int k = 0; k < 2; k++) {
        const __m128i first = _mm_unpacklo_epi16(rg[k], b0[k]), second = _mm_unpackhi_epi16(rg[k], b0[k]);
        sf_store_rgb(out + 24 * k, first);
        sf_store_rgb(out + 24 * k + 12, second);
    }
}

#endif

static void convert_row(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, uint8_t *out, int32_t width) {
    int32_t x = 0;
#if defined(__SSE2__)
    for (; x + PIXELS + 2 <= width; x += PIXELS) convert_sixteen(y + x, cb + x, cr + x, out + 3 * x);
#endif
    convert_pixels(y + x, cb + x, cr + x, out + 3 * x, width - x);
}

/* JFIF knows Y'CbCr only; Adobe says which; else the channels' names tell. */
static int is_rgb(const sf_jpeg *j) {
    if (j->has_jfif) return 0;
    if (j->adobe_transform >= 0) return j->adobe_transform == 0;
    return j->component[0].id == 'R' && j->component[1].id == 'G' && j->component[2].id == 'B';
}

static void interleave(const uint8_t *r, const uint8_t *g, const uint8_t *b, uint8_t *out, int32_t width) {
    for (int32_t x = 0; x < width; x++, out += 3) {
        out[0] = r[x];
        out[1] = g[x];
        out[2] = b[x];
    }
}

void sf_jpeg_write_rows(sf_jpeg *j, int32_t end) {
    if (end > j->height) end = j->height;
    for (; j->rows_done < end; j->rows_done++) {
        const int32_t y = j->rows_done;
        uint8_t *const out = j->out + (size_t)y * (size_t)j->width * (size_t)j->channels;
        const uint8_t *const first = upsample(j, j->component, y, 0);
        if (j->components == 1) {
            sf_spread_channels(first, 1, out, j->channels, (size_t)j->width);
            continue;
        }
        const uint8_t *const second = upsample(j, j->component + 1, y, j->upsampled[0]);
        const uint8_t *const third = upsample(j, j->component + 2, y, j->upsampled[1]);
        uint8_t *const row = j->channels == 3 ? out : j->row;
        if (is_rgb(j)) interleave(first, second, third, row, j->width);
        else convert_row(first, second, third, row, j->width);
        if (row != out) sf_spread_channels(row, 3, out, j->channels, (size_t)j->width);
    }
}
