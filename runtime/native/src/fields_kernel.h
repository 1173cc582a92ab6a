/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields step, for one instruction set: both traces, weights, local means and gain.
 *
 * Sources A (back) and B (forward) are handled together: a vector holds (xA, yA, xB, yB). The order of operations
 * is the reference's, so that displacements have the same bits as NumPy's.
 */
#ifndef SF_FIELDS_KERNEL_H
#define SF_FIELDS_KERNEL_H

#include <math.h>

#include "scene.h"
#include "simd.h"

typedef struct sf_bounds {
    v4f last;    /* (w - 1, h - 1) twice: where positions are clamped */
    v4f corner;  /* the last cell that has a right and a lower neighbour */
    v4f strides; /* (1, cell_stride) twice */
} sf_bounds;

/* The cells that two positions lie in, and where in them. */
typedef struct sf_spot {
    int32_t a, b;
    v4f f;
} sf_spot;

SF_INLINE sf_bounds bounds_of(const sf_scene *s) {
    float x = (float)(s->w - 1), y = (float)(s->h - 1);
    float cx = (float)(s->w > 1 ? s->w - 2 : 0), cy = (float)(s->h > 1 ? s->h - 2 : 0);
    float stride = (float)s->cell_stride;
    return (sf_bounds){{x, y, x, y}, {cx, cy, cx, cy}, {1, stride, 1, stride}};
}

/* Cell indices are computed in floats, exact below 2^24 cells: there is no fast integer product in SSE2. */
SF_INLINE sf_spot locate(v4f p, const sf_bounds *q) {
    p = min4(max4(p, splat4(0)), q->last);
    v4i cell = __builtin_convertvector(min4(p, q->corner), v4i);
    v4f whole = __builtin_convertvector(cell, v4f);
    v4f index = whole * q->strides;
    index = index + SF_SHUFFLE(v4i, index, index, 1, 0, 3, 2);
    v4i at = __builtin_convertvector(index, v4i);
    return (sf_spot){at[0], at[2], p - whole};
}

/* Read two fields of (x, y) pairs, bilinear. */
SF_INLINE v4f read_pairs(const float *a, const float *b, sf_spot spot, int32_t stride) {
    const float *pa = a + 2 * (size_t)spot.a, *pb = b + 2 * (size_t)spot.b;
    v4f top_a = load4(pa), bottom_a = load4(pa + 2 * (size_t)stride);
    v4f top_b = load4(pb), bottom_b = load4(pb + 2 * (size_t)stride);
    v4f left_a = SF_SHUFFLE(v4i, top_a, bottom_a, 0, 1, 4, 5), right_a = SF_SHUFFLE(v4i, top_a, bottom_a, 2, 3, 6, 7);
    v4f left_b = SF_SHUFFLE(v4i, top_b, bottom_b, 0, 1, 4, 5), right_b = SF_SHUFFLE(v4i, top_b, bottom_b, 2, 3, 6, 7);
    v4f fxa = SF_SHUFFLE(v4i, spot.f, spot.f, 0, 0, 0, 0), fxb = SF_SHUFFLE(v4i, spot.f, spot.f, 2, 2, 2, 2);
    v4f row_a = left_a + (right_a - left_a) * fxa, row_b = left_b + (right_b - left_b) * fxb;
    v4f top = SF_SHUFFLE(v4i, row_a, row_b, 0, 1, 4, 5), bottom = SF_SHUFFLE(v4i, row_a, row_b, 2, 3, 6, 7);
    return top + (bottom - top) * SF_SHUFFLE(v4i, spot.f, spot.f, 1, 1, 3, 3);
}

/* Read a field of four channels at one position. */
SF_INLINE v4f read_four(const float *p, int32_t stride, float fx, float fy) {
    v4f x = splat4(fx);
    const float *q = p + 4 * (size_t)stride;
    v4f top = load4(p) + (load4(p + 4) - load4(p)) * x;
    v4f bottom = load4(q) + (load4(q + 4) - load4(q)) * x;
    return top + (bottom - top) * splat4(fy);
}

SF_INLINE float read_one(const float *p, int32_t stride, float fx, float fy) {
    float top = p[0] + (p[1] - p[0]) * fx;
    float bottom = p[stride] + (p[stride + 1] - p[stride]) * fx;
    return top + (bottom - top) * fy;
}

#define SF_BASE(x, y) ((v4f){(float)(x), (float)(y), (float)(x), (float)(y)})
#define SF_NEXT ((v4f){1, 0, 1, 0})

/* One RK2 step of both traces: d = s v(x + s/2 v(x)). */
static void first_step(const sf_scene *s, const sf_phase *phases, const sf_runs *cells, float *da, float *db) {
    const sf_bounds bounds = bounds_of(s);
    for (int32_t y = 0; y < s->h; y++) {
        for (uint32_t r = cells->start[y]; r < cells->start[y + 1]; r++) {
            size_t at = (size_t)y * (size_t)s->cell_stride + cells->runs[r].begin;
            v4f base = SF_BASE(cells->runs[r].begin, y);
            for (int32_t n = cells->runs[r].end - cells->runs[r].begin; n > 0; n--, at++, base += SF_NEXT) {
                const sf_phase *phase = phases + s->cycles[at];
                v4f step = {phase->step_a, phase->step_a, phase->step_b, phase->step_b};
                v4f half = load_pairs(s->velocity + 2 * at, s->velocity + 2 * at) * (step * splat4(0.5f));
                sf_spot spot = locate(base + half, &bounds);
                store_pairs(da + 2 * at, db + 2 * at, read_pairs(s->velocity, s->velocity, spot, s->cell_stride) * step);
            }
        }
    }
}

/* d <- d + d(x + d). */
static uint32_t doubling(const sf_scene *s, const sf_runs *cells, float *const from[2], float *const to[2]) {
    const sf_bounds bounds = bounds_of(s);
    uint32_t reached = 0xff;
    for (int32_t y = 0; y < s->h; y++) {
        for (uint32_t r = cells->start[y]; r < cells->start[y + 1]; r++) {
            size_t at = (size_t)y * (size_t)s->cell_stride + cells->runs[r].begin;
            v4f base = SF_BASE(cells->runs[r].begin, y);
            for (int32_t n = cells->runs[r].end - cells->runs[r].begin; n > 0; n--, at++, base += SF_NEXT) {
                v4f d = load_pairs(from[0] + 2 * at, from[1] + 2 * at);
                sf_spot spot = locate(base + d, &bounds);
                reached &= (uint32_t)s->reach[spot.a] & s->reach[spot.b];
                store_pairs(to[0] + 2 * at, to[1] + 2 * at, d + read_pairs(from[0], from[1], spot, s->cell_stride));
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

/* Weight of source A from its phase, both confidences and the generator's coefficients. */
SF_INLINE float weight_of(const sf_phase *phase, float ca, float cb, const float *blend) {
    float u = phase->u;
    if (u == 0) return 1;
    float a = (1 - u) * ca, b = u * cb;
    float w = a / larger(a + b, 1e-6f);
    if (blend) {
        float shift = smaller(larger(phase->sin1 * blend[0] + phase->sin2 * blend[1], -8), 8);
        float odds = exponential(shift);
        w = w * odds / larger(w * odds + (1 - w), 1e-6f);
    }
    return w;
}

/* Luma of the plate's pixel nearest to a field position. */
SF_INLINE float plate_luma(const sf_scene *s, float x, float y) {
    const uint8_t *p = s->plate + (size_t)((int32_t)y + SF_PLATE_BEFORE) * (size_t)s->plate_stride +
                       (size_t)((int32_t)x + SF_PLATE_BEFORE) * 4;
    return (float)(p[0] ^ SF_PLATE_BIAS) * SF_LUMA_R + (float)(p[1] ^ SF_PLATE_BIAS) * SF_LUMA_G +
           (float)(p[2] ^ SF_PLATE_BIAS) * SF_LUMA_B;
}

/* Sources, weights and means of the cells of one row; products of the textures go to the ring. */
static uint32_t source_row(const sf_scene *s, const sf_phase *phases, const float *swing, const sf_scratch *scratch,
                           int32_t y, float *planes) {
    const sf_bounds bounds = bounds_of(s);
    const sf_runs *cells = &s->levels[SF_DOUBLINGS];
    const float *from_a = scratch->d[(SF_DOUBLINGS - 1) & 1][0], *from_b = scratch->d[(SF_DOUBLINGS - 1) & 1][1];
    const size_t plane = (size_t)s->h * (size_t)s->w;
    const int32_t slot = y % (2 * SF_STATISTICS_RADIUS + 1);
    float *products = scratch->ring + (size_t)(slot * 3) * (size_t)scratch->ring_row;
    const v4f picture = {(float)(s->width - 1), (float)(s->height - 1), (float)(s->width - 1), (float)(s->height - 1)};
    uint32_t reached = 0xff;
    for (uint32_t r = cells->start[y]; r < cells->start[y + 1]; r++) {
        int32_t x = cells->runs[r].begin;
        v4f base = SF_BASE(x, y);
        for (; x < cells->runs[r].end; x++, base += SF_NEXT) {
            size_t at = (size_t)y * (size_t)s->cell_stride + (size_t)x, dense = (size_t)y * (size_t)s->w + (size_t)x;
            v4f d = {0, 0, 0, 0};
            float weight = 1;
            sf_spot spot;
            /* What does not flow may still sway; the velocity there only carries the traces of its neighbours on. */
            if (s->reach[at] & SF_FLOWS) {
                if (s->flows) {
                    d = load_pairs(from_a + 2 * at, from_b + 2 * at);
                    spot = locate(base + d, &bounds);
                    reached &= (uint32_t)s->reach[spot.a] & s->reach[spot.b];
                    d = d + read_pairs(from_a, from_b, spot, s->cell_stride);
                }
                v4f p = base + d;
                spot = locate(p, &bounds);
                v4f beyond = max4(max4(splat4(0) - p, p - bounds.last), splat4(0));
                beyond = max4(beyond, SF_SHUFFLE(v4i, beyond, beyond, 1, 0, 3, 2));
                v4f ramp = max4(splat4(1) - beyond / splat4(SF_EDGE_RAMP), splat4(0));
                float ca = read_one(s->inside + spot.a, s->cell_stride, spot.f[0], spot.f[1]) * ramp[0];
                float cb = read_one(s->inside + spot.b, s->cell_stride, spot.f[2], spot.f[3]) * ramp[2];
                /* What lies in another layer is no source: clouds must not come down into the sea. */
                if (s->layer[spot.a] && s->layer[spot.a] != s->layer[at]) ca = 0;
                if (s->layer[spot.b] && s->layer[spot.b] != s->layer[at]) cb = 0;
                weight = weight_of(phases + s->cycles[at], larger(ca, SF_CONFIDENCE_FLOOR),
                                   larger(cb, SF_CONFIDENCE_FLOOR), s->blend ? s->blend + 2 * dense : 0);
            }
            if (s->harmonics) {
                v4f sway = {0, 0, 0, 0};
                for (int32_t k = 0; k < s->harmonics; k++) {
                    v4f c = load4(s->sway + 4 * ((size_t)k * plane + dense));
                    v4f m = c * (v4f){swing[2 * k], swing[2 * k], swing[2 * k + 1], swing[2 * k + 1]};
                    sway = sway + (m + SF_SHUFFLE(v4i, m, m, 2, 3, 0, 1));
                }
                d = d + SF_SHUFFLE(v4i, sway, sway, 0, 1, 0, 1);
            }
            v4f p = base + d;
            spot = locate(p, &bounds);
            v4f low_a = read_four(s->low + 4 * (size_t)spot.a, s->cell_stride, spot.f[0], spot.f[1]);
            v4f low_b = read_four(s->low + 4 * (size_t)spot.b, s->cell_stride, spot.f[2], spot.f[3]);
            v4f pixel = p * splat4(SF_FIELD_SCALE) + splat4(SF_FIELD_OFFSET) + splat4(0.5f);
            pixel = min4(max4(pixel, splat4(0)), picture);
            float ra = plate_luma(s, pixel[0], pixel[1]) - low_a[3], rb = plate_luma(s, pixel[2], pixel[3]) - low_b[3];
            products[x] = ra * rb;
            products[x + scratch->ring_row] = ra * ra;
            products[x + 2 * scratch->ring_row] = rb * rb;
            v4f mean = splat4(weight) * low_a + splat4(1 - weight) * low_b;
            d = d * splat4(SF_FIELD_SCALE);
            float *out = planes + dense;
            for (int k = 0; k < 4; k++) out[(size_t)k * plane] = d[k];
            out[4 * plane] = weight;
            for (int k = 0; k < 3; k++) out[(size_t)(6 + k) * plane] = mean[k];
        }
    }
    return reached;
}

#define SF_WINDOW (2 * SF_STATISTICS_RADIUS + 1)

/* Gain of the cells of one row, from the products of the rows around it. */
static void gain_row(const sf_scene *s, const sf_scratch *scratch, int32_t y, float *planes) {
    const size_t plane = (size_t)s->h * (size_t)s->w;
    const float *weight = planes + 4 * plane + (size_t)y * (size_t)s->w;
    float *gain = planes + 5 * plane + (size_t)y * (size_t)s->w;
    const float *rows[SF_WINDOW];
    for (int32_t k = 0; k < SF_WINDOW; k++) {
        int32_t row = y + k - SF_STATISTICS_RADIUS;
        row = row < 0 ? 0 : row > s->h - 1 ? s->h - 1 : row;
        rows[k] = scratch->ring + (size_t)(row % SF_WINDOW * 3) * (size_t)scratch->ring_row;
    }
    const sf_runs *cells = &s->blend_cells;
    for (uint32_t r = cells->start[y]; r < cells->start[y + 1]; r++) {
        int32_t begin = cells->runs[r].begin, end = cells->runs[r].end;
        int32_t from = begin - SF_STATISTICS_RADIUS, to = end + SF_STATISTICS_RADIUS;
        int32_t first = from < 0 ? 0 : from, last = to > s->w ? s->w : to;
        for (int32_t q = 0; q < 3; q++) {
            /* sums[x + radius] is column x, so that columns beyond the border have a place. */
            float *restrict sums = scratch->columns + (size_t)q * (size_t)scratch->ring_row + SF_STATISTICS_RADIUS;
            size_t o = (size_t)q * (size_t)scratch->ring_row;
            const float *r0 = rows[0] + o, *r1 = rows[1] + o, *r2 = rows[2] + o, *r3 = rows[3] + o, *r4 = rows[4] + o,
                        *r5 = rows[5] + o, *r6 = rows[6] + o, *r7 = rows[7] + o, *r8 = rows[8] + o;
            for (int32_t x = first; x < last; x++)
                sums[x] = ((r0[x] + r1[x]) + (r2[x] + r3[x])) + ((r4[x] + r5[x]) + (r6[x] + r7[x])) + r8[x];
            for (int32_t x = from; x < 0; x++) sums[x] = sums[0];
            for (int32_t x = s->w; x < to; x++) sums[x] = sums[s->w - 1];
        }
        const float *c0 = scratch->columns, *c1 = c0 + scratch->ring_row, *c2 = c1 + scratch->ring_row;
        const float area = 1.0f / (SF_WINDOW * SF_WINDOW);
        for (int32_t x = begin; x < end; x++) {
#define SF_SUM9(c)                                                                                                     \
    ((((c)[x] + (c)[x + 1]) + ((c)[x + 2] + (c)[x + 3])) + (((c)[x + 4] + (c)[x + 5]) + ((c)[x + 6] + (c)[x + 7])) +   \
     (c)[x + 8])
            float covariance = SF_SUM9(c0) * area + SF_VARIANCE_FLOOR;
            float variance_a = SF_SUM9(c1) * area + SF_VARIANCE_FLOOR;
            float variance_b = SF_SUM9(c2) * area + SF_VARIANCE_FLOOR;
            float rho = covariance / sqrtf(variance_a * variance_b);
            rho = rho > 0 ? rho : 0;
            rho = rho < 1 ? rho : 1;
            float w = weight[x], v = 1 - w;
            gain[x] = 1 / sqrtf(w * w + v * v + 2 * w * v * rho);
        }
    }
}

_Static_assert(SF_WINDOW == 9, "gain_row and SF_SUM9 are written out for nine rows and columns");

static uint32_t finish(const sf_scene *s, const sf_phase *phases, const float *swing, const sf_scratch *scratch,
                       float *planes) {
    uint32_t reached = 0xff;
    for (int32_t y = 0; y < s->h + SF_STATISTICS_RADIUS; y++) {
        if (y < s->h) reached &= source_row(s, phases, swing, scratch, y, planes);
        if (y >= SF_STATISTICS_RADIUS) gain_row(s, scratch, y - SF_STATISTICS_RADIUS, planes);
    }
    return reached | ~(1u << (SF_DOUBLINGS - 1));
}

#endif
