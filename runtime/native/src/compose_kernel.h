/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compose step, for one instruction set: gather both sources with cubic weights and blend, in groups of 8 pixels.
 *
 * A group covers two field blocks, so that the planes advance by known fractions in it. Positions of 8 pixels are
 * found at once; each pixel's 4x4 taps are then filtered in int16 (a tap row is one load of 16 bytes); the
 * blend is in floats, two pixels of RGBX at a time.
 */
#ifndef SF_COMPOSE_KERNEL_H
#define SF_COMPOSE_KERNEL_H

#include "scene.h"
#include "simd.h"

/* Groups whose planes are interpolated down the field's rows at once: 256 pixels, 3 kB on the stack. */
#define SF_CHUNK 32
#define SF_CHUNK_CELLS (2 * SF_CHUNK + 1)
#define SF_ROOM (SF_CHUNK_CELLS + 15)

/* Planes between two field rows: values at the cells and differences to the next cell. */
typedef struct sf_chunk {
    float value[6][SF_ROOM], slope[6][SF_ROOM];
    float mean[SF_ROOM][4], mean_slope[SF_ROOM][4]; /* R, G, B less SF_PLATE_BIAS, 0 */
} sf_chunk;

typedef struct sf_taps {
    int32_t offset[8]; /* of the first tap, bytes into the plate */
    int32_t across[8], down[8]; /* of the weights, int16 into the table */
} sf_taps;

static void fill_chunk(const sf_scene *s, const float *planes, int32_t y, int32_t first_cell, int32_t cells,
                       sf_chunk *chunk) {
    const size_t plane = (size_t)s->h * (size_t)s->w;
    float fy = ((float)y - SF_FIELD_OFFSET) / SF_FIELD_SCALE;
    fy = fy < 0 ? 0 : fy > (float)(s->h - 1) ? (float)(s->h - 1) : fy;
    int32_t row = (int32_t)fy, corner = s->h > 1 ? s->h - 2 : 0;
    if (row > corner) row = corner;
    fy -= (float)row;
    const float *top = planes + (size_t)row * (size_t)s->w;
    const float *bottom = top + (row + 1 < s->h ? s->w : 0);
    /* Cells before the first column and after the last repeat it. */
    int32_t lead = first_cell < 0 ? -first_cell : 0;
    int32_t inner = (first_cell + cells > s->w ? s->w - first_cell : cells) - lead;
    for (int k = 0; k < SF_PLANES; k++) {
        float line[SF_ROOM];
        const float *a = top + (size_t)k * plane + first_cell + lead, *b = bottom + (size_t)k * plane + first_cell + lead;
        float *l = line + lead;
        for (int32_t i = 0; i < inner; i++) l[i] = a[i] + (b[i] - a[i]) * fy;
        for (int32_t i = 0; i < lead; i++) line[i] = l[0];
        for (int32_t i = lead + inner; i < cells; i++) line[i] = l[inner - 1];
        if (k < 6) {
            for (int32_t i = 0; i < cells; i++) chunk->value[k][i] = line[i];
            for (int32_t i = 0; i + 1 < cells; i++) chunk->slope[k][i] = line[i + 1] - line[i];
        } else {
            for (int32_t i = 0; i < cells; i++) chunk->mean[i][k - 6] = line[i] - SF_PLATE_BIAS;
            for (int32_t i = 0; i + 1 < cells; i++) chunk->mean_slope[i][k - 6] = line[i + 1] - line[i];
        }
    }
}

#define SF_STEPS ((v8f){0.125f, 0.375f, 0.625f, 0.875f, 0.125f, 0.375f, 0.625f, 0.875f})

/* Plane k at the 8 pixels of the group whose first cell is i. */
SF_INLINE v8f plane_of(const sf_chunk *chunk, int k, int32_t i) {
    return load_quads(&chunk->value[k][i]) + load_quads(&chunk->slope[k][i]) * SF_STEPS;
}

SF_INLINE void find_taps(const sf_scene *s, v8f x, v8f y, sf_taps *taps) {
    x = clamp8(x, 0, (float)(s->width - 1));
    y = clamp8(y, 0, (float)(s->height - 1));
    v8i xi = __builtin_convertvector(x * (float)SF_FRACTIONS + 0.5f, v8i);
    v8i yi = __builtin_convertvector(y * (float)SF_FRACTIONS + 0.5f, v8i);
    v8i offset = (yi >> SF_FRACTION_BITS) * s->plate_stride + (xi >> SF_FRACTION_BITS) * 4;
    v8i across = (xi & (SF_FRACTIONS - 1)) * 8, down = (yi & (SF_FRACTIONS - 1)) * 8;
    memcpy(taps->offset, &offset, sizeof offset);
    memcpy(taps->across, &across, sizeof across);
    memcpy(taps->down, &down, sizeof down);
}

SF_INLINE v8h gather_pixel(const sf_scene *s, const sf_taps *taps, int k) {
    const uint8_t *p = s->plate + taps->offset[k];
    const size_t stride = (size_t)s->plate_stride;
    const int16_t *down = s->cubic + taps->down[k];
    v16h column = scale(load_row(p), load_weight(down, 0));
    column = add(column, scale(load_row(p + stride), load_weight(down, 1)));
    column = add(column, scale(load_row(p + 2 * stride), load_weight(down, 2)));
    column = add(column, scale(load_row(p + 3 * stride), load_weight(down, 3)));
    return fold(scale(column, load_weights_across(s->cubic + taps->across[k])));
}

/* 8 pixels of one source, RGBX, 64 times the value less SF_PLATE_BIAS. */
SF_INLINE void gather(const sf_scene *s, const sf_taps *taps, v8h out[4]) {
    for (int k = 0; k < 4; k++) out[k] = join_pixels(gather_pixel(s, taps, 2 * k), gather_pixel(s, taps, 2 * k + 1));
}

SF_INLINE int all_zero(v8f v) {
    v8i bits = (v8i)v;
#if defined(__AVX__)
    return _mm256_testz_si256((__m256i)bits, (__m256i)bits);
#else
    int64_t q[4];
    memcpy(q, &bits, sizeof q);
    return (q[0] | q[1] | q[2] | q[3]) == 0;
#endif
}

/* Pixels x..x+7, of which the chunk's cell i is the first block; x may be -2, and x + 7 beyond the last column. */
static inline void compose_group(const sf_scene *s, const sf_chunk *chunk, int32_t x, int32_t y, int32_t i,
                                 uint8_t *out) {
    const v8f column = (v8f){0, 1, 2, 3, 4, 5, 6, 7} + (float)x;
    const float line = (float)y;
    sf_taps taps_a, taps_b;
    find_taps(s, column + plane_of(chunk, 0, i), line + plane_of(chunk, 1, i), &taps_a);
    v8f weight = plane_of(chunk, 4, i), gain = plane_of(chunk, 5, i);
    /* v = mu (1 - g) + g (w A + (1 - w) B), all less the bias; both factors also undo the 64 of the gather. */
    float factor_a[8], factor_b[8], factor_mean[8];
    v8f fa = weight * gain * (1 / 64.0f), fb = (1 - weight) * gain * (1 / 64.0f), fm = 1 - gain;
    v8h a[4], b[4] = {{0}, {0}, {0}, {0}};
    gather(s, &taps_a, a);
    if (!all_zero(fb)) {
        find_taps(s, column + plane_of(chunk, 2, i), line + plane_of(chunk, 3, i), &taps_b);
        if (memcmp(&taps_a, &taps_b, sizeof taps_a) == 0)
            memcpy(b, a, sizeof b); /* what only sways has one source */
        else
            gather(s, &taps_b, b);
    }
    memcpy(factor_a, &fa, sizeof fa);
    memcpy(factor_b, &fb, sizeof fb);
    memcpy(factor_mean, &fm, sizeof fm);
    v8f value[4];
    for (int k = 0; k < 4; k++) {
        const v8f step = k & 1 ? (v8f){0.625f, 0.625f, 0.625f, 0.625f, 0.875f, 0.875f, 0.875f, 0.875f}
                               : (v8f){0.125f, 0.125f, 0.125f, 0.125f, 0.375f, 0.375f, 0.375f, 0.375f};
        v8f mean = load_twice(chunk->mean[i + k / 2]) + load_twice(chunk->mean_slope[i + k / 2]) * step;
        value[k] = mean * load_quads(factor_mean + 2 * k) + widen_halfwords(a[k]) * load_quads(factor_a + 2 * k) +
                   widen_halfwords(b[k]) * load_quads(factor_b + 2 * k) + (float)SF_PLATE_BIAS;
    }
    /* The part of the group that lies in the picture. */
    int32_t skip = x < 0 ? -x : 0, count = (x + SF_GROUP > s->width ? s->width - x : SF_GROUP) - skip;
    const uint8_t *matte = s->matte + (size_t)y * (size_t)s->width + x + skip;
    uint64_t mattes = 0;
    memcpy((uint8_t *)&mattes + skip, matte, (size_t)count);
    uint64_t full = ~(uint64_t)0;
    if (count < SF_GROUP) {
        full = 0;
        memset((uint8_t *)&full + skip, 0xff, (size_t)count);
    }
    uint8_t bytes[32];
    if (mattes != full) {
        const uint8_t *photo = s->photo + ((size_t)y * (size_t)s->width + (size_t)(x + skip)) * 3;
        uint8_t pixels[32] = {0};
        for (int32_t k = 0; k < count; k++) memcpy(pixels + 4 * (k + skip), photo + 3 * k, 3);
        float part[8];
        v8f share = load_bytes((const uint8_t *)&mattes) / 255.0f;
        memcpy(part, &share, sizeof part);
        for (int k = 0; k < 4; k++) {
            v8f still = load_bytes(pixels + 8 * k);
            /* Wide enough never to act on a finite scene; keeps 0 * value a number whatever the planes hold. */
            v8f moving = clamp8(value[k], -1e6f, 1e6f);
            value[k] = still + load_quads(part + 2 * k) * (moving - still);
        }
    }
    v16b first = drop_fourth(round_to_bytes(value[0], value[1])), last = drop_fourth(round_to_bytes(value[2], value[3]));
    memcpy(bytes, &first, 16);
    memcpy(bytes + 12, &last, 16);
    if (count == SF_GROUP) {
        memcpy(out + 3 * (ptrdiff_t)x, bytes, 24);
    } else {
        memcpy(out + 3 * (ptrdiff_t)(x + skip), bytes + 3 * skip, 3 * (size_t)count);
    }
}

static void compose(const sf_scene *s, const float *planes, int32_t y0, int32_t y1, uint8_t *out,
                    ptrdiff_t out_stride) {
    sf_chunk chunk;
    memset(&chunk, 0, sizeof chunk);
    for (int32_t y = y0; y < y1; y++) {
        const uint8_t *photo = s->photo + (size_t)y * (size_t)s->width * 3;
        uint8_t *row = out + (ptrdiff_t)y * out_stride;
        int32_t done = 0; /* pixels of the row that are written */
        for (uint32_t r = s->groups.start[y]; r < s->groups.start[y + 1]; r++) {
            int32_t begin = s->groups.runs[r].begin, end = s->groups.runs[r].end;
            int32_t left = begin * SF_GROUP - SF_GROUP_SHIFT, right = end * SF_GROUP - SF_GROUP_SHIFT;
            if (left > done) memcpy(row + 3 * (size_t)done, photo + 3 * (size_t)done, 3 * (size_t)(left - done));
            done = right < s->width ? right : s->width;
            for (int32_t g = begin; g < end; g += SF_CHUNK) {
                int32_t count = end - g < SF_CHUNK ? end - g : SF_CHUNK;
                fill_chunk(s, planes, y, 2 * g - 1, 2 * count + 1, &chunk);
                for (int32_t k = 0; k < count; k++)
                    compose_group(s, &chunk, (g + k) * SF_GROUP - SF_GROUP_SHIFT, y, 2 * k, row);
            }
        }
        if (done < s->width) memcpy(row + 3 * (size_t)done, photo + 3 * (size_t)done, 3 * (size_t)(s->width - done));
    }
}

#endif
