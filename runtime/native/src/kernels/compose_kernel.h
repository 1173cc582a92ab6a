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

/* Rows of a tile. */
#define SF_BAND 16

/* Planes between two field rows: values at the cells and differences to the next cell. */
typedef struct sf_chunk {
    float value[SF_PLANES][SF_ROOM], slope[SF_PLANES][SF_ROOM];
    float mean[SF_ROOM][4], mean_slope[SF_ROOM][4]; /* R, G, B less SF_PLATE_BIAS, 0 */
} sf_chunk;

typedef struct sf_taps {
    int32_t offset[8]; /* of the first tap, bytes into the plate */
    int32_t across[8], down[8]; /* of the weights, bytes into the table */
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
    const int count = s->lights ? SF_PLANES : SF_PLANES - 1;
    for (int k = 0; k < count; k++) {
        const float *a = top + (size_t)k * plane + first_cell + lead, *b = bottom + (size_t)k * plane + first_cell + lead;
        float *line = chunk->value[k] + lead;
        for (int32_t i = 0; i < inner; i++) line[i] = a[i] + (b[i] - a[i]) * fy;
        if (lead) line[-1] = line[0];
        for (int32_t i = inner; i < cells - lead; i++) line[i] = line[inner - 1];
    }
    /* Differences come after all lines: a load across two stores that are still on their way would wait for both. */
    for (int k = 0; k < count; k++) {
        const float *line = chunk->value[k];
        for (int32_t i = 0; i < cells; i += 8) {
            v8f slope = load8(line + i + 1) - load8(line + i);
            memcpy(chunk->slope[k] + i, &slope, sizeof slope);
        }
    }
    for (int32_t i = 0; i < cells; i++) {
        const v4f bias = {SF_PLATE_BIAS, SF_PLATE_BIAS, SF_PLATE_BIAS, 0};
        store4(chunk->mean[i], (v4f){chunk->value[6][i], chunk->value[7][i], chunk->value[8][i], 0} - bias);
        store4(chunk->mean_slope[i], (v4f){chunk->slope[6][i], chunk->slope[7][i], chunk->slope[8][i], 0});
    }
}

#define SF_STEPS ((v8f){0.125f, 0.375f, 0.625f, 0.875f, 0.125f, 0.375f, 0.625f, 0.875f})

/* Plane k at the 8 pixels of the group whose first cell is i. */
SF_INLINE v8f plane_of(const sf_chunk *chunk, int k, int32_t i) {
    return load_quads(&chunk->value[k][i]) + load_quads(&chunk->slope[k][i]) * SF_STEPS;
}

SF_INLINE void find_taps(const sf_scene *s, v8f x, v8f y, sf_taps *taps) {
    x = clamp8(mirror8(x, (float)(s->width - 1)), 0, (float)(s->width - 1));
    y = clamp8(mirror8(y, (float)(s->height - 1)), 0, (float)(s->height - 1));
    v8i xi = truncate8(x * (float)SF_FRACTIONS + 0.5f), yi = truncate8(y * (float)SF_FRACTIONS + 0.5f);
    v8i offset = (yi >> SF_FRACTION_BITS) * s->plate_stride + (xi >> SF_FRACTION_BITS) * 4;
    v8i across = (xi & (SF_FRACTIONS - 1)) * 16, down = (yi & (SF_FRACTIONS - 1)) * 16;
    memcpy(taps->offset, &offset, sizeof offset);
    memcpy(taps->across, &across, sizeof across);
    memcpy(taps->down, &down, sizeof down);
    SF_IN_MEMORY(*taps);
}

/* What stays the same for all pixels of a call, so that it stays in registers. */
typedef struct sf_plate_rows {
    const uint8_t *rows[4]; /* of the plate, for taps -1..2 */
    const uint8_t *cubic;
    size_t ahead;           /* bytes from the first tap's row to the row that a later call will be first to read */
} sf_plate_rows;

SF_INLINE v8h gather_pixel(const sf_plate_rows *s, const sf_taps *taps, int k) {
    const ptrdiff_t offset = taps->offset[k];
    const uint8_t *down = s->cubic + taps->down[k];
    v16h above = add(scale(load_row(s->rows[0] + offset), load_weight(down, 0)),
                     scale(load_row(s->rows[1] + offset), load_weight(down, 1)));
    v16h below = add(scale(load_row(s->rows[2] + offset), load_weight(down, 2)),
                     scale(load_row(s->rows[3] + offset), load_weight(down, 3)));
    return fold(scale(add(above, below), load_weights_across(s->cubic + taps->across[k])));
}

/* 8 pixels of one source, RGBX, 64 times the value less SF_PLATE_BIAS. */
SF_INLINE void gather(const sf_plate_rows *s, const sf_taps *taps, v8h out[4]) {
    /* The rows below are read next, by the groups below this one; fetching them now hides the way from memory. */
    __builtin_prefetch(s->rows[0] + taps->offset[0] + s->ahead);
    __builtin_prefetch(s->rows[0] + taps->offset[7] + s->ahead);
    out[0] = join_pixels(gather_pixel(s, taps, 0), gather_pixel(s, taps, 1));
    out[1] = join_pixels(gather_pixel(s, taps, 2), gather_pixel(s, taps, 3));
    out[2] = join_pixels(gather_pixel(s, taps, 4), gather_pixel(s, taps, 5));
    out[3] = join_pixels(gather_pixel(s, taps, 6), gather_pixel(s, taps, 7));
}

SF_INLINE int all_zero(v8i bits) {
#if defined(__AVX__)
    return _mm256_testz_si256((__m256i)bits, (__m256i)bits);
#else
    int64_t q[4];
    memcpy(q, &bits, sizeof q);
    return (q[0] | q[1] | q[2] | q[3]) == 0;
#endif
}

SF_INLINE v8i load_ints(const int32_t *p) {
    v8i v;
    memcpy(&v, p, sizeof v);
    return v;
}

SF_INLINE int same_taps(const sf_taps *a, const sf_taps *b) {
    return all_zero((load_ints(a->offset) ^ load_ints(b->offset)) | (load_ints(a->across) ^ load_ints(b->across)) |
                    (load_ints(a->down) ^ load_ints(b->down)));
}

/*
 * A group between the steps of its way. Each step is done for several groups before the next one begins: a group's
 * way is long and each step waits for the one before, so a processor would stand still with one group at a time.
 */
typedef struct sf_plan {
    sf_taps taps[2]; /* of the sources A and B */
    v8f factor_a, factor_b, factor_mean;
    v8h source[2][4];
    int both; /* whether B is read at all, and not from where A is */
} sf_plan;

/* Groups on their way at once. */
#define SF_AHEAD 8

/* Where the sources of pixels x..x+7 lie, of which the chunk's cell i is the first block, and their weights. */
SF_INLINE void plan_group(const sf_scene *s, const sf_chunk *chunk, int32_t x, int32_t y, int32_t i, sf_plan *plan) {
    const v8f column = (v8f){0, 1, 2, 3, 4, 5, 6, 7} + (float)x;
    const float line = (float)y;
    SF_UNROLL
    for (int k = 0; k < 2; k++)
        find_taps(s, column + plane_of(chunk, 2 * k, i), line + plane_of(chunk, 2 * k + 1, i), &plan->taps[k]);
    v8f weight = plane_of(chunk, 4, i), gain = plane_of(chunk, 5, i);
    /* v = mu (1 - g) + g (w A + (1 - w) B), all less the bias; both factors also undo the 64 of the gather. */
    v8f factor = gain * (1 / 64.0f);
    plan->factor_a = weight * factor;
    plan->factor_b = factor - plan->factor_a;
    plan->factor_mean = 1 - gain;
    /* What only sways has one source. */
    plan->both = !all_zero((v8i)plan->factor_b) && !same_taps(&plan->taps[0], &plan->taps[1]);
}

/* The moving layer at the pixels of a plan, two to a vector. */
SF_INLINE void blend_group(const sf_chunk *chunk, const sf_plan *plan, int32_t i, v8f value[4]) {
    const v8h *a = plan->source[0], *b = plan->source[plan->both];
    SF_UNROLL
    for (int k = 0; k < 4; k++) {
        const v8f step = k & 1 ? (v8f){0.625f, 0.625f, 0.625f, 0.625f, 0.875f, 0.875f, 0.875f, 0.875f}
                               : (v8f){0.125f, 0.125f, 0.125f, 0.125f, 0.375f, 0.375f, 0.375f, 0.375f};
        v8f mean = load_twice(chunk->mean[i + k / 2]) + load_twice(chunk->mean_slope[i + k / 2]) * step;
        value[k] = mean * quads_of(plan->factor_mean, k) + widen_halfwords(a[k]) * quads_of(plan->factor_a, k) +
                   (float)SF_PLATE_BIAS;
        value[k] = value[k] + widen_halfwords(b[k]) * quads_of(plan->factor_b, k);
    }
}

/* Let the photo show where the matte is not full; a matte of 1 shows nothing else. */
SF_INLINE void show_photo(const uint8_t pixels[32], const uint8_t mattes[8], v8f value[4]) {
    v8f share = max8(load_bytes(mattes) - 1, splat8(0)) / 254.0f;
    SF_UNROLL
    for (int k = 0; k < 4; k++) {
        v8f still = load_bytes(pixels + 8 * k);
        /* Wide enough never to act on a finite scene; keeps 0 * value a number whatever the planes hold. */
        v8f moving = clamp8(value[k], -1e6f, 1e6f);
        value[k] = still + quads_of(share, k) * (moving - still);
    }
}

/* Brighten or darken a group whose first cell is i, but for pixels that the matte leaves out. */
SF_INLINE void shine(const sf_chunk *chunk, int32_t i, const uint8_t mattes[8], v8f value[4]) {
    v8f touched = min8(load_bytes(mattes), splat8(1));
    v8f light = plane_of(chunk, SF_PLANES - 1, i) * touched + (1 - touched);
    SF_UNROLL
    for (int k = 0; k < 4; k++) value[k] = value[k] * quads_of(light, k);
}

SF_INLINE void store_bytes(const v8f value[4], uint8_t bytes[24]) {
    v16b first = drop_fourth(round_to_bytes(value[0], value[1]));
    v16b last = drop_fourth(round_to_bytes(value[2], value[3]));
    memcpy(bytes, &first, 16);
    memcpy(bytes + 12, &last, 12);
}

/* Eight pixels of a frame from as many of the photo and of the matte; i is the first of their blocks in the chunk. */
SF_INLINE void compose_group(const sf_plan *plan, const sf_chunk *chunk, int32_t i, int lights, const uint8_t photo[24],
                             const uint8_t mattes[8], uint8_t out[24]) {
    v8f value[4];
    blend_group(chunk, plan, i, value);
    uint64_t all;
    memcpy(&all, mattes, 8);
    if (all != ~(uint64_t)0) {
        uint8_t pixels[32];
        load_eight_pixels(photo, pixels);
        show_photo(pixels, mattes, value);
    }
    if (lights) shine(chunk, i, mattes, value);
    store_bytes(value, out);
}

/* Where a group lies partly outside the picture, it is composed apart, with a matte of 0 there. */
typedef struct sf_border {
    uint8_t photo[3 * SF_GROUP], mattes[SF_GROUP], out[3 * SF_GROUP];
} sf_border;

/* Groups begin..end-1 (at most SF_CHUNK) of a row. */
static void compose_chunk(const sf_scene *s, const sf_plate_rows *source, const float *planes, int32_t y, int32_t begin,
                          int32_t end, sf_chunk *chunk, uint8_t *row) {
    fill_chunk(s, planes, y, 2 * begin - 1, 2 * (end - begin) + 1, chunk);
    sf_plan plans[SF_AHEAD];
    for (int32_t from = begin; from < end; from += SF_AHEAD) {
        const int32_t count = end - from < SF_AHEAD ? end - from : SF_AHEAD;
        for (int32_t k = 0; k < count; k++)
            plan_group(s, chunk, (from + k) * SF_GROUP - SF_GROUP_SHIFT, y, 2 * (from + k - begin), &plans[k]);
        for (int32_t k = 0; k < count; k++) {
            for (int b = 0; b <= plans[k].both; b++) gather(source, &plans[k].taps[b], plans[k].source[b]);
        }
        for (int32_t k = 0; k < count; k++) {
            const int32_t x = (from + k) * SF_GROUP - SF_GROUP_SHIFT, skip = x < 0 ? -x : 0;
            const size_t count = (size_t)((x + SF_GROUP > s->width ? s->width - x : SF_GROUP) - skip);
            const size_t at = (size_t)(x + skip), in_picture = (size_t)y * (size_t)s->width + at;
            const uint8_t *photo = s->photo + 3 * in_picture, *mattes = s->matte + in_picture;
            uint8_t *out = row + 3 * at;
            sf_border border;
            if (count < SF_GROUP) {
                memset(&border, 0, sizeof border);
                memcpy(border.photo + 3 * skip, photo, 3 * count);
                memcpy(border.mattes + skip, mattes, count);
                photo = border.photo, mattes = border.mattes, out = border.out;
            }
            compose_group(&plans[k], chunk, 2 * (from + k - begin), s->lights, photo, mattes, out);
            if (count < SF_GROUP) memcpy(row + 3 * at, border.out + 3 * skip, 3 * count);
        }
    }
}

/* Copy what does not move: all of a row that lies outside its groups. */
static void copy_still(const sf_scene *s, int32_t y, uint8_t *row) {
    const uint8_t *photo = s->photo + (size_t)y * (size_t)s->width * 3;
    int32_t done = 0;
    for (uint32_t r = s->groups.start[y]; r < s->groups.start[y + 1]; r++) {
        int32_t left = s->groups.runs[r].begin * SF_GROUP - SF_GROUP_SHIFT;
        int32_t right = s->groups.runs[r].end * SF_GROUP - SF_GROUP_SHIFT;
        if (left > done) memcpy(row + 3 * (size_t)done, photo + 3 * (size_t)done, 3 * (size_t)(left - done));
        done = right < s->width ? right : s->width;
    }
    if (done < s->width) memcpy(row + 3 * (size_t)done, photo + 3 * (size_t)done, 3 * (size_t)(s->width - done));
}

static void compose(const sf_scene *s, const float *planes, int32_t y0, int32_t y1, uint8_t *out,
                    ptrdiff_t out_stride) {
    sf_chunk chunk;
    memset(&chunk, 0, sizeof chunk);
    const size_t stride = (size_t)s->plate_stride;
    const sf_plate_rows source = {{s->plate, s->plate + stride, s->plate + 2 * stride, s->plate + 3 * stride},
                              (const uint8_t *)s->cubic, 6 * stride};
    /* Tiles: a few rows of a few hundred pixels, whose sources stay in the first cache from row to row. */
    for (int32_t top = y0; top < y1; top += SF_BAND) {
        int32_t bottom = y1 - top < SF_BAND ? y1 : top + SF_BAND, left = INT32_MAX, right = 0;
        for (int32_t y = top; y < bottom; y++) {
            copy_still(s, y, out + (ptrdiff_t)(y - y0) * out_stride);
            if (s->groups.start[y] == s->groups.start[y + 1]) continue;
            int32_t first = s->groups.runs[s->groups.start[y]].begin, last = s->groups.runs[s->groups.start[y + 1] - 1].end;
            left = first < left ? first : left;
            right = last > right ? last : right;
        }
        for (int32_t tile = left; tile < right; tile += SF_CHUNK) {
            for (int32_t y = top; y < bottom; y++) {
                for (uint32_t r = s->groups.start[y]; r < s->groups.start[y + 1]; r++) {
                    int32_t begin = s->groups.runs[r].begin, end = s->groups.runs[r].end;
                    if (begin < tile) begin = tile;
                    if (end > tile + SF_CHUNK) end = tile + SF_CHUNK;
                    if (begin < end)
                        compose_chunk(s, &source, planes, y, begin, end, &chunk,
                                      out + (ptrdiff_t)(y - y0) * out_stride);
                }
            }
        }
    }
}

#endif
