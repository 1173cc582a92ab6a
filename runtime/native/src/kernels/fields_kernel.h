/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields step, for one instruction set: both traces, weights, local means and gain.
 *
 * Cells are taken two at a time and sources A (back) and B (forward) together: a vector holds (xA, yA, xB, yB) of
 * one cell, then of the next. The order of operations is the reference's, so that displacements have the same bits
 * as NumPy's. A run of odd length ends with a pair that repeats a cell: everything here may be done twice.
 */
#ifndef SF_FIELDS_KERNEL_H
#define SF_FIELDS_KERNEL_H

#include <math.h>

#include "scene.h"
#include "simd.h"

typedef struct sf_bounds {
    v8f last;    /* (w - 1, h - 1): where positions are clamped */
    v8f corner;  /* the last cell that has a right and a lower neighbour */
    v8f strides; /* (1, cell_stride) */
} sf_bounds;

/* The cells that four positions lie in (elements 0, 2, 4, 6) and where in them. */
typedef struct sf_spots {
    int32_t at[8];
    v8f f;
} sf_spots;

/* The two cells of a pair: columns, and indices by cell_stride. */
typedef struct sf_pair {
    int32_t x0, x1;
    size_t at0, at1;
    v8f base;
} sf_pair;

SF_INLINE v8f alternate(float x, float y) { return (v8f){x, y, x, y, x, y, x, y}; }

SF_INLINE sf_bounds bounds_of(const sf_scene *s) {
    return (sf_bounds){alternate((float)(s->w - 1), (float)(s->h - 1)),
                       alternate((float)(s->w > 1 ? s->w - 2 : 0), (float)(s->h > 1 ? s->h - 2 : 0)),
                       alternate(1, (float)s->cell_stride)};
}

SF_INLINE sf_pair pair_at(const sf_scene *s, sf_run run, int32_t x, int32_t y) {
    sf_pair p;
    p.x0 = x + 1 == run.end && x > run.begin ? x - 1 : x;
    p.x1 = p.x0 + 1 < run.end ? p.x0 + 1 : p.x0;
    size_t row = (size_t)y * (size_t)s->cell_stride;
    p.at0 = row + (size_t)p.x0;
    p.at1 = row + (size_t)p.x1;
    float x0 = (float)p.x0, x1 = (float)p.x1, line = (float)y;
    p.base = (v8f){x0, line, x0, line, x1, line, x1, line};
    return p;
}

/* Cell indices are computed in floats, exact below 2^24 cells: there is no fast integer product in SSE2. */
SF_INLINE void locate(v8f p, const sf_bounds *q, sf_spots *spots) {
    p = min8(max8(p, splat8(0)), q->last);
    v8f whole = float8(truncate8(min8(p, q->corner)));
    v8f index = whole * q->strides;
    index = index + SF_PICK8(index, index, 1, 0, 3, 2);
    v8i at = truncate8(index);
    memcpy(spots->at, &at, sizeof at);
    SF_IN_MEMORY(spots->at);
    spots->f = p - whole;
}

SF_INLINE v8f load_displacements(const float *a, const float *b, const sf_pair *p) {
    return pair8(load_pairs(a + 2 * p->at0, b + 2 * p->at0), load_pairs(a + 2 * p->at1, b + 2 * p->at1));
}

SF_INLINE void store_displacements(float *a, float *b, const sf_pair *p, v8f d) {
    store_pairs(a + 2 * p->at0, b + 2 * p->at0, low_of(d));
    store_pairs(a + 2 * p->at1, b + 2 * p->at1, high_of(d));
}

/* Read two fields of (x, y), bilinear. */
SF_INLINE v8f read_pairs(const float *a, const float *b, const sf_spots *spots, size_t stride) {
    const float *a0 = a + 2 * (size_t)spots->at[0], *b0 = b + 2 * (size_t)spots->at[2];
    const float *a1 = a + 2 * (size_t)spots->at[4], *b1 = b + 2 * (size_t)spots->at[6];
    v8f top_a = pair8(load4(a0), load4(a1)), bottom_a = pair8(load4(a0 + 2 * stride), load4(a1 + 2 * stride));
    v8f top_b = pair8(load4(b0), load4(b1)), bottom_b = pair8(load4(b0 + 2 * stride), load4(b1 + 2 * stride));
    v8f left_a = SF_PICK8(top_a, bottom_a, 0, 1, 0, 1), right_a = SF_PICK8(top_a, bottom_a, 2, 3, 2, 3);
    v8f left_b = SF_PICK8(top_b, bottom_b, 0, 1, 0, 1), right_b = SF_PICK8(top_b, bottom_b, 2, 3, 2, 3);
    v8f f = spots->f;
    v8f row_a = left_a + (right_a - left_a) * SF_PICK8(f, f, 0, 0, 0, 0);
    v8f row_b = left_b + (right_b - left_b) * SF_PICK8(f, f, 2, 2, 2, 2);
    v8f top = SF_PICK8(row_a, row_b, 0, 1, 0, 1), bottom = SF_PICK8(row_a, row_b, 2, 3, 2, 3);
    return top + (bottom - top) * SF_PICK8(f, f, 1, 1, 3, 3);
}

/* Read a field of four channels at one position of each cell. */
SF_INLINE v8f read_four(const float *field, size_t at0, size_t at1, size_t stride, v8f fx, v8f fy) {
    const float *p = field + 4 * at0, *q = field + 4 * at1;
    v8f top = pair8(load4(p), load4(q)), bottom = pair8(load4(p + 4 * stride), load4(q + 4 * stride));
    top = top + (pair8(load4(p + 4), load4(q + 4)) - top) * fx;
    bottom = bottom + (pair8(load4(p + 4 * stride + 4), load4(q + 4 * stride + 4)) - bottom) * fx;
    return top + (bottom - top) * fy;
}

/* Bits of reach that all four lookups have in common. */
SF_INLINE uint32_t reach_of(const sf_scene *s, const sf_spots *spots) {
    return (uint32_t)(s->reach[spots->at[0]] & s->reach[spots->at[2]] & s->reach[spots->at[4]] & s->reach[spots->at[6]]);
}

/* One RK2 step of both traces: d = s v(x + s/2 v(x)). */
static void first_step(const sf_scene *s, const sf_phase *phases, const sf_runs *cells, float *da, float *db) {
    const sf_bounds bounds = bounds_of(s);
    const float *velocity = s->velocity;
    const size_t stride = (size_t)s->cell_stride;
    for (int32_t y = 0; y < s->h; y++) {
        for (uint32_t r = cells->start[y]; r < cells->start[y + 1]; r++) {
            const sf_run run = cells->runs[r];
            for (int32_t x = run.begin; x < run.end; x += 2) {
                const sf_pair p = pair_at(s, run, x, y);
                v8f step = pair8(load4(phases[s->cycles[p.at0]].step), load4(phases[s->cycles[p.at1]].step));
                sf_spots spots;
                locate(p.base + load_displacements(velocity, velocity, &p) * (step * 0.5f), &bounds, &spots);
                store_displacements(da, db, &p, read_pairs(velocity, velocity, &spots, stride) * step);
            }
        }
    }
}

/* d <- d + d(x + d). */
static uint32_t doubling(const sf_scene *s, const sf_runs *cells, float *const from[2], float *const to[2]) {
    const sf_bounds bounds = bounds_of(s);
    const float *from_a = from[0], *from_b = from[1];
    float *to_a = to[0], *to_b = to[1];
    const size_t stride = (size_t)s->cell_stride;
    uint32_t reached = 0xff;
    for (int32_t y = 0; y < s->h; y++) {
        for (uint32_t r = cells->start[y]; r < cells->start[y + 1]; r++) {
            const sf_run run = cells->runs[r];
            for (int32_t x = run.begin; x < run.end; x += 2) {
                const sf_pair p = pair_at(s, run, x, y);
                v8f d = load_displacements(from_a, from_b, &p);
                sf_spots spots;
                locate(p.base + d, &bounds, &spots);
                reached &= reach_of(s, &spots);
                store_displacements(to_a, to_b, &p, d + read_pairs(from_a, from_b, &spots, stride));
            }
        }
    }
    return reached;
}

static uint32_t trace(const sf_scene *s, const sf_phase *phases, const sf_scratch *scratch, const sf_runs *levels,
                      int top) {
    uint32_t reached = 0xff;
    first_step(s, phases, &levels[0], scratch->d[0][0], scratch->d[0][1]);
    for (int k = 1; k <= top; k++) {
        /* A level that was left makes the next one read what was never written; stop there. */
        uint32_t now = doubling(s, &levels[k], scratch->d[(k - 1) & 1], scratch->d[k & 1]);
        reached &= now | ~(1u << (k - 1));
        if (levels != s->everywhere && !(reached >> (k - 1) & 1)) break;
    }
    return reached;
}

/* e^x for |x| <= 8, relative error below 2e-7: 2^round(x / ln 2) times a polynomial of the rest. */
SF_INLINE float exponential(float x) {
    float n = x * 1.44269504f;
    n = (n + 12582912.0f) - 12582912.0f;
    float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = (p * r * r + r) + 1.0f;
    int32_t bits = ((int32_t)n + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

SF_INLINE float larger(float a, float b) { return a > b ? a : b; }
SF_INLINE float smaller(float a, float b) { return a < b ? a : b; }

/* Move the logit of a weight by the generator's coefficients; u = 0 leaves w = 1 what it is. */
static float steer(float w, const sf_phase *phase, const float *blend) {
    float shift = smaller(larger(phase->sin1 * blend[0] + phase->sin2 * blend[1], -8), 8);
    float odds = exponential(shift);
    return phase->share[2] == 0 ? 1 : w * odds / larger(w * odds + (1 - w), 1e-6f);
}

/* Weight of source A in all elements of a cell, from both confidences (cA, cA, cB, cB). */
SF_INLINE v8f weights_of(const sf_scene *s, const sf_phase *phases, const sf_pair *p, int32_t y, v8f confidence) {
    const sf_phase *phase0 = phases + s->cycles[p->at0], *phase1 = phases + s->cycles[p->at1];
    v8f part = confidence * pair8(load4(phase0->share), load4(phase1->share));
    v8f sum = part + SF_PICK8(part, part, 2, 3, 0, 1);
    v8f w = part / max8(sum, splat8(1e-6f));
    if (s->blend) {
        const float *row = s->blend + 2 * (size_t)y * (size_t)s->w;
        float w0 = steer(w[0], phase0, row + 2 * p->x0), w1 = steer(w[4], phase1, row + 2 * p->x1);
        return pair8(splat4(w0), splat4(w1));
    }
    return SF_PICK8(w, w, 0, 0, 0, 0);
}

/* Displacement of what oscillates, the same for both sources. */
SF_INLINE v8f sway_of(const sf_scene *s, const float *swing, const sf_pair *p, int32_t y) {
    const size_t plane = 4 * (size_t)s->h * (size_t)s->w, row = 4 * (size_t)y * (size_t)s->w;
    v8f sway = splat8(0);
    for (int32_t k = 0; k < s->harmonics; k++) {
        const float *c = s->sway + (size_t)k * plane + row;
        const float cosine = swing[2 * k], sine = swing[2 * k + 1];
        v8f m = pair8(load4(c + 4 * p->x0), load4(c + 4 * p->x1)) *
                (v8f){cosine, cosine, sine, sine, cosine, cosine, sine, sine};
        sway = sway + (m + SF_PICK8(m, m, 2, 3, 0, 1));
    }
    return SF_PICK8(sway, sway, 0, 1, 0, 1);
}

/* Brightness of the cells of one row: e to the power of the sum of its harmonics. */
static void light_row(const sf_scene *s, const float *swing, int32_t y, float *planes) {
    const size_t plane = (size_t)s->h * (size_t)s->w, row = (size_t)y * (size_t)s->w;
    float *out = planes + (SF_PLANES - 1) * plane + row;
    const sf_runs *cells = &s->blend_cells;
    for (uint32_t r = cells->start[y]; r < cells->start[y + 1]; r++) {
        for (int32_t x = cells->runs[r].begin; x < cells->runs[r].end; x++) {
            const float *c = s->light + 2 * (row + (size_t)x);
            float sum = 0;
            for (int32_t k = 0; k < s->lights; k++, c += 2 * plane)
                sum = sum + (c[0] * swing[2 * k] + c[1] * swing[2 * k + 1]);
            out[x] = exponential(smaller(larger(sum, -8), 8));
        }
    }
}

/* Write element 2 i of both cells to one plane and element 2 i + 1 to the next (i = 0 or 1). */
SF_INLINE void store_planes(float *out, size_t plane, const sf_pair *p, v8f v, int count) {
    v4f a = low_of(v), b = high_of(v);
    if (p->x1 == p->x0) {
        for (int k = 0; k < count; k++) out[(size_t)k * plane + (size_t)p->x0] = a[k];
        return;
    }
    v4f first = SF_SHUFFLE(v4i, a, b, 0, 4, 1, 5), second = SF_SHUFFLE(v4i, a, b, 2, 6, 3, 7);
    out += p->x0;
    store_pairs(out, out + plane, first);
    if (count == 4)
        store_pairs(out + 2 * plane, out + 3 * plane, second);
    else
        memcpy(out + 2 * plane, &second, 8);
}

SF_INLINE float same_layer(const sf_scene *s, size_t own, size_t other) {
    return s->layer[other] && s->layer[other] != s->layer[own] ? 0.0f : 1.0f;
}

/* 0 where a source lies in another layer than its cell (clouds must not come down into the sea), else 1. */
SF_INLINE v8f own_layers(const sf_scene *s, const sf_pair *p, const sf_spots *spots) {
    float a0 = same_layer(s, (size_t)p->at0, (size_t)spots->at[0]), b0 = same_layer(s, (size_t)p->at0, (size_t)spots->at[2]);
    float a1 = same_layer(s, (size_t)p->at1, (size_t)spots->at[4]), b1 = same_layer(s, (size_t)p->at1, (size_t)spots->at[6]);
    return (v8f){a0, a0, b0, b0, a1, a1, b1, b1};
}

/* Where the pixel nearest to a field position lies in the plate. */
SF_INLINE const uint8_t *plate_pixel(const sf_scene *s, const int32_t *xy) {
    return s->plate + (size_t)(xy[1] + SF_PLATE_BEFORE) * (size_t)s->plate_stride + (size_t)(xy[0] + SF_PLATE_BEFORE) * 4;
}

/* Sources, weights and means of the cells of one row; products of the textures go to the ring. */
static uint32_t source_row(const sf_scene *s, const sf_phase *phases, const float *swing, const sf_scratch *scratch,
                           int32_t y, float *planes) {
    const sf_bounds bounds = bounds_of(s);
    const sf_runs *cells = &s->levels[SF_DOUBLINGS];
    const float *from_a = scratch->d[(SF_DOUBLINGS - 1) & 1][0], *from_b = scratch->d[(SF_DOUBLINGS - 1) & 1][1];
    const size_t plane = (size_t)s->h * (size_t)s->w, stride = (size_t)s->cell_stride;
    float *products = scratch->ring + (size_t)(y % (2 * SF_STATISTICS_RADIUS + 1)) * (size_t)scratch->ring_row;
    float *out = planes + (size_t)y * (size_t)s->w;
    const v8f picture = alternate((float)(s->width - 1), (float)(s->height - 1));
    const v8f luma = {SF_LUMA_R, SF_LUMA_G, SF_LUMA_B, 0, SF_LUMA_R, SF_LUMA_G, SF_LUMA_B, 0};
    const float bias = SF_PLATE_BIAS;
    uint32_t reached = 0xff;
    for (uint32_t r = cells->start[y]; r < cells->start[y + 1]; r++) {
        const sf_run run = cells->runs[r];
        for (int32_t x = run.begin; x < run.end; x += 2) {
            const sf_pair p = pair_at(s, run, x, y);
            const int flow0 = s->reach[p.at0] & SF_FLOWS, flow1 = s->reach[p.at1] & SF_FLOWS;
            v8f d = splat8(0), weight = splat8(1), low_a = splat8(0), low_b = splat8(0);
            sf_spots spots;
            if (flow0 | flow1) {
                if (s->flows) {
                    d = load_displacements(from_a, from_b, &p);
                    locate(p.base + d, &bounds, &spots);
                    uint32_t reach = reach_of(s, &spots);
                    d = d + read_pairs(from_a, from_b, &spots, stride);
                    if (flow0 && flow1) reached &= reach;
                    else /* only one of them was traced */
                        reached &= (uint32_t)(s->reach[spots.at[flow0 ? 0 : 4]] & s->reach[spots.at[flow0 ? 2 : 6]]);
                }
                v8f at = p.base + d;
                v8f beyond = max8(max8(splat8(0) - at, at - bounds.last), splat8(0));
                beyond = max8(beyond, SF_PICK8(beyond, beyond, 1, 0, 3, 2));
                v8f ramp = max8(splat8(1) - beyond * (1 / SF_EDGE_RAMP), splat8(0));
                locate(at, &bounds, &spots);
                v8f f = spots.f;
                low_a = read_four(s->low, (size_t)spots.at[0], (size_t)spots.at[4], stride,
                                  SF_PICK8(f, f, 0, 0, 0, 0), SF_PICK8(f, f, 1, 1, 1, 1));
                low_b = read_four(s->low, (size_t)spots.at[2], (size_t)spots.at[6], stride,
                                  SF_PICK8(f, f, 2, 2, 2, 2), SF_PICK8(f, f, 3, 3, 3, 3));
                v8f inside = SF_PICK8(low_a, low_b, 3, 3, 3, 3);
                if (s->many_layers) inside = inside * own_layers(s, &p, &spots);
                weight = weights_of(s, phases, &p, y, max8(inside * ramp, splat8(SF_CONFIDENCE_FLOOR)));
                if (!flow0) d = pair8(splat4(0), high_of(d)), weight = pair8(splat4(1), high_of(weight));
                if (!flow1) d = pair8(low_of(d), splat4(0)), weight = pair8(low_of(weight), splat4(1));
            }
            /* What does not flow may still sway; the velocity there only carries the traces of its neighbours on. */
            if (s->harmonics) d = d + sway_of(s, swing, &p, y);
            v8f at = p.base + d;
            if (s->harmonics || !flow0 || !flow1) {
                locate(at, &bounds, &spots);
                v8f f = spots.f;
                low_a = read_four(s->low, (size_t)spots.at[0], (size_t)spots.at[4], stride,
                                  SF_PICK8(f, f, 0, 0, 0, 0), SF_PICK8(f, f, 1, 1, 1, 1));
                low_b = read_four(s->low, (size_t)spots.at[2], (size_t)spots.at[6], stride,
                                  SF_PICK8(f, f, 2, 2, 2, 2), SF_PICK8(f, f, 3, 3, 3, 3));
            }
            v8f pixel = at * (float)SF_FIELD_SCALE + SF_FIELD_OFFSET + 0.5f;
            v8i whole = truncate8(min8(max8(pixel, splat8(0)), picture));
            int32_t xy[8];
            memcpy(xy, &whole, sizeof xy);
            SF_IN_MEMORY(xy);
            v8f texture_a = load_two_pixels(plate_pixel(s, xy), plate_pixel(s, xy + 4)) + bias - low_a;
            v8f texture_b = load_two_pixels(plate_pixel(s, xy + 2), plate_pixel(s, xy + 6)) + bias - low_b;
            texture_a = texture_a * luma;
            texture_b = texture_b * luma;
            v8f sum = SF_PICK8(texture_a, texture_b, 0, 2, 0, 2) + SF_PICK8(texture_a, texture_b, 1, 3, 1, 3);
            v8f both = sum + SF_PICK8(sum, sum, 1, 0, 3, 2); /* (rA, rA, rB, rB) */
            v8f product = both * SF_PICK8(both, both, 0, 2, 2, 2);
            store4(products + 4 * p.x0, low_of(product));
            store4(products + 4 * p.x1, high_of(product));
            v8f mean = weight * low_a + (1 - weight) * low_b;
            store_planes(out, plane, &p, d * (float)SF_FIELD_SCALE, 4);
            out[4 * plane + (size_t)p.x0] = weight[0];
            out[4 * plane + (size_t)p.x1] = weight[4];
            store_planes(out + 6 * plane, plane, &p, mean, 3);
        }
    }
    return reached;
}

#define SF_WINDOW (2 * SF_STATISTICS_RADIUS + 1)

SF_INLINE v8f sum_of_nine(v8f a, v8f b, v8f c, v8f d, v8f e, v8f f, v8f g, v8f h, v8f i) {
    return (((a + b) + (c + d)) + ((e + f) + (g + h))) + i;
}

/* Gain of the cells of one row, from the products of the rows around it. */
static void gain_row(const sf_scene *s, const sf_scratch *scratch, int32_t y, float *planes) {
    const size_t plane = (size_t)s->h * (size_t)s->w;
    const float *weight = planes + 4 * plane + (size_t)y * (size_t)s->w;
    float *gain = planes + 5 * plane + (size_t)y * (size_t)s->w;
    const float *rows[SF_WINDOW];
    for (int32_t k = 0; k < SF_WINDOW; k++) {
        int32_t row = y + k - SF_STATISTICS_RADIUS;
        row = row < 0 ? 0 : row > s->h - 1 ? s->h - 1 : row;
        rows[k] = scratch->ring + (size_t)(row % SF_WINDOW) * (size_t)scratch->ring_row;
    }
    /* sums[4 (x + radius)] is column x, so that columns beyond the border have a place. */
    float *sums = scratch->columns + 4 * SF_STATISTICS_RADIUS, *boxes = scratch->columns + scratch->ring_row;
    const sf_runs *cells = &s->blend_cells;
    for (uint32_t r = cells->start[y]; r < cells->start[y + 1]; r++) {
        const int32_t begin = cells->runs[r].begin, end = cells->runs[r].end;
        const int32_t from = begin - SF_STATISTICS_RADIUS, to = end + SF_STATISTICS_RADIUS;
        const int32_t first = from < 0 ? 0 : from, last = to > s->w ? s->w : to;
        /* Both loops may do one cell more than there is: rows of the ring and of columns have room for it. */
        for (int32_t i = 4 * first; i < 4 * last; i += 8) {
            v8f sum = sum_of_nine(load8(rows[0] + i), load8(rows[1] + i), load8(rows[2] + i), load8(rows[3] + i),
                                  load8(rows[4] + i), load8(rows[5] + i), load8(rows[6] + i), load8(rows[7] + i),
                                  load8(rows[8] + i));
            memcpy(sums + i, &sum, sizeof sum);
        }
        for (int32_t x = from; x < 0; x++) store4(sums + 4 * x, load4(sums));
        for (int32_t x = s->w; x < to; x++) store4(sums + 4 * x, load4(sums + 4 * (s->w - 1)));
        for (int32_t i = 4 * begin; i < 4 * end; i += 8) {
            const float *c = sums + i;
            v8f sum = sum_of_nine(load8(c - 16), load8(c - 12), load8(c - 8), load8(c - 4), load8(c), load8(c + 4),
                                  load8(c + 8), load8(c + 12), load8(c + 16));
            sum = sum * (1.0f / (SF_WINDOW * SF_WINDOW)) + SF_VARIANCE_FLOOR;
            memcpy(boxes + i, &sum, sizeof sum);
        }
        for (int32_t x = begin; x < end; x++) {
            float rho = boxes[4 * x + 1] / sqrtf(boxes[4 * x] * boxes[4 * x + 2]);
            rho = rho > 0 ? rho : 0;
            rho = rho < 1 ? rho : 1;
            float w = weight[x], v = 1 - w;
            gain[x] = 1 / sqrtf(w * w + v * v + 2 * w * v * rho);
        }
    }
}

_Static_assert(SF_WINDOW == 9, "gain_row is written out for nine rows and columns");

static uint32_t finish(const sf_scene *s, const sf_phase *phases, const sf_swing *swing, const sf_scratch *scratch,
                       float *planes) {
    uint32_t reached = 0xff;
    for (int32_t y = 0; y < s->h + SF_STATISTICS_RADIUS; y++) {
        if (y < s->h) reached &= source_row(s, phases, swing->sway, scratch, y, planes);
        if (y < s->h && s->lights) light_row(s, swing->light, y, planes);
        if (y >= SF_STATISTICS_RADIUS) gain_row(s, scratch, y - SF_STATISTICS_RADIUS, planes);
    }
    return reached | ~(1u << (SF_DOUBLINGS - 1));
}

#endif
