/* SPDX-License-Identifier: Apache-2.0 */
/* What was done to the pixels of a lossless WebP before they were coded, undone row by row: RFC 9649, section 3.4. */
#include <string.h>

#include "vp8l.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Add pixels byte by byte. */
static uint32_t add(uint32_t a, uint32_t b) {
    return (((a & 0xff00ff00u) + (b & 0xff00ff00u)) & 0xff00ff00u) | (((a & 0xff00ffu) + (b & 0xff00ffu)) & 0xff00ffu);
}

static void read_palette(sf_room *room, sf_bits *in, sf_vp8l_transform *t) {
    sf_bits_refill(in);
    const uint32_t colours = 1 + sf_bits_take(in, 8);
    t->bits = colours > 16 ? 0 : colours > 4 ? 1 : colours > 2 ? 2 : 3;
    uint32_t *const palette = sf_take_zeroed(room, 256, sizeof(uint32_t)); /* beyond the last colour: transparent */
    t->data = palette;
    const sf_mark mark = sf_room_mark(room);
    const uint32_t *const steps = sf_vp8l_image(room, in, colours, 1, 0);
    uint32_t colour = 0;
    for (uint32_t i = 0; i < colours; i++) palette[i] = colour = add(colour, steps[i]);
    sf_room_rewind(room, mark);
}

uint32_t sf_vp8l_read_transforms(sf_room *room, sf_bits *in, uint32_t width, uint32_t height,
                                 sf_vp8l_transforms *transforms) {
    uint32_t seen = 0;
    transforms->count = 0;
    for (sf_bits_refill(in); sf_bits_take(in, 1); sf_bits_refill(in)) {
        const uint32_t kind = sf_bits_take(in, 2);
        if (seen >> kind & 1) sf_vp8l_give_up(room, "it has the same transform twice");
        seen |= 1u << kind;
        sf_vp8l_transform *const t = transforms->list + transforms->count++;
        *t = (sf_vp8l_transform){(int)kind, 0, width, 0, {0, 0}};
        /* A row more than one pixel longer: predictors look up and to the right. */
        for (int i = 0; i < (kind == SF_VP8L_PREDICT ? 2 : 1); i++)
            t->rows[i] = sf_take(room, (uint64_t)width + 1, sizeof(uint32_t));
        if (kind == SF_VP8L_PREDICT || kind == SF_VP8L_COLOURS) {
            t->bits = 2 + (int)sf_bits_take(in, 3);
            t->data = sf_vp8l_image(room, in, sf_vp8l_blocks(width, t->bits), sf_vp8l_blocks(height, t->bits), 0);
        } else if (kind == SF_VP8L_PALETTE) {
            read_palette(room, in, t);
            width = sf_vp8l_blocks(width, t->bits);
        }
    }
    return width;
}

static void add_green(const uint32_t *restrict row, uint32_t *restrict out, uint32_t width) {
    for (uint32_t x = 0; x < width; x++) {
        const uint32_t green = row[x] >> 8 & 0xff;
        out[x] = (row[x] & 0xff00ff00u) | (((row[x] & 0xff00ffu) + (green << 16 | green)) & 0xff00ffu);
    }
}

static int as_signed(uint32_t byte) { return (int)(byte & 0xff) - (int)((byte & 0x80) << 1); }

/* Both as signed bytes; 1 is 1/32, rounded down. */
static uint32_t share(uint32_t factor, uint32_t colour) {
    return (uint32_t)((as_signed(factor) * as_signed(colour) + (1 << 20)) >> 5);
}

/* factors: of red into blue in red, of green into blue in green, of green into red in blue. */
static uint32_t add_colours(uint32_t pixel, uint32_t factors) {
    const uint32_t green = pixel >> 8;
    const uint32_t red = ((pixel >> 16) + share(factors, green)) & 0xff;
    const uint32_t blue = (pixel + share(factors >> 8, green) + share(factors >> 16, red)) & 0xff;
    return (pixel & 0xff00ff00u) | red << 16 | blue;
}

static void add_colours_to_block(const uint32_t *row, uint32_t *out, uint32_t pixels, uint32_t factors) {
    uint32_t x = 0;
#if defined(__SSE2__)
    /*
     * A byte in the high half of 16 bits, times 8 factors, is their product / 32 in the high 16 bits of 32. In each
     * pixel the low 16 bits hold blue, the high ones red, each below what is of no use here.
     */
    const int of_red = 8 * as_signed(factors >> 16);
    const int to_blue = 8 * as_signed(factors >> 8), to_red = 8 * as_signed(factors);
    const __m128i of_green = _mm_set1_epi32((int)((uint32_t)to_red << 16 | ((uint32_t)to_blue & 0xffff)));
    const __m128i red_to_blue = _mm_set1_epi32((int)((uint32_t)of_red & 0xffff));
    const __m128i low = _mm_set1_epi32(0x00ff00ff), high_of_low = _mm_set1_epi32(0xff00);
    for (; x + 4 <= pixels; x += 4) {
        __m128i p;
        memcpy(&p, row + x, sizeof p);
        __m128i green = _mm_and_si128(p, high_of_low);
        green = _mm_or_si128(green, _mm_slli_epi32(green, 16));
        p = _mm_add_epi8(p, _mm_and_si128(_mm_mulhi_epi16(green, of_green), low));
        const __m128i red = _mm_and_si128(_mm_srli_epi32(p, 8), high_of_low);
        p = _mm_add_epi8(p, _mm_and_si128(_mm_mulhi_epi16(red, red_to_blue), low));
        memcpy(out + x, &p, sizeof p);
    }
#endif
    for (; x < pixels; x++) out[x] = add_colours(row[x], factors);
}

static void add_colours_to_row(const sf_vp8l_transform *t, const uint32_t *row, uint32_t *out, uint32_t y) {
    const uint32_t side = 1u << t->bits;
    const uint32_t *factors = t->data + (size_t)(y >> t->bits) * sf_vp8l_blocks(t->width, t->bits);
    for (uint32_t x = 0; x < t->width; x += side)
        add_colours_to_block(row + x, out + x, t->width - x < side ? t->width - x : side, *factors++);
}

static void look_up(const sf_vp8l_transform *t, const uint32_t *row, uint32_t *out) {
    const uint32_t bits = 8u >> t->bits, mask = (1u << bits) - 1, in_one = (1u << t->bits) - 1;
    uint32_t indices = 0;
    for (uint32_t x = 0; x < t->width; x++, indices >>= bits) {
        if (!(x & in_one)) indices = *row++ >> 8 & 0xff;
        out[x] = t->data[indices & mask];
    }
}

const uint32_t *sf_vp8l_undo(sf_vp8l_transforms *transforms, const uint32_t *row, uint32_t y) {
    for (int i = transforms->count - 1; i >= 0; i--) {
        const sf_vp8l_transform *const t = transforms->list + i;
        uint32_t *out = t->rows[0];
        if (t->kind == SF_VP8L_PREDICT) {
            out = t->rows[y & 1];
            const uint32_t *const modes = t->data + (size_t)(y >> t->bits) * sf_vp8l_blocks(t->width, t->bits);
            sf_vp8l_predict(row, y ? t->rows[~y & 1] : 0, out, t->width, modes, t->bits);
        } else if (t->kind == SF_VP8L_COLOURS) {
            add_colours_to_row(t, row, out, y);
        } else if (t->kind == SF_VP8L_GREEN) {
            add_green(row, out, t->width);
        } else {
            look_up(t, row, out);
        }
        row = out;
    }
    return row;
}
