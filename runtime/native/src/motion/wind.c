/* SPDX-License-Identifier: Apache-2.0 */
#include "motion/wind.h"

#include <string.h>

#include "motion/oscillation.h"
#include "raster/raster.h"

/* Picture widths: narrower things answer a gust as one plant, a meadow wider than the second sample by sample. */
#define SF_STIFF 0.3
#define SF_LOOSE 1.0

#define SF_TIP 0.024f         /* a plant's amplitude at its tips, in parts of its height */
#define SF_TIP_MOST 0.0042f   /* picture widths */
#define SF_TWIGS 0.00055f     /* likewise, where leaves are of middling size */
#define SF_LEAVES 0.00032f    /* likewise */
#define SF_CLOTH_TIP 0.024f   /* a cloth's amplitude at its free side, in parts of its length */
#define SF_CLOTH_MOST 0.0030f /* picture widths */

static size_t samples_of(int h, int w) { return (size_t)h * (size_t)w; }

/* Begin of the ways: 0 where a region is held, some height at the border, beyond which a plant goes on. */
static void roots(sf_room *room, const uint8_t *region, const uint8_t *over, int h, int w, float *start) {
    const size_t count = samples_of(h, w);
    const sf_mark mark = sf_room_mark(room);
    uint8_t *holds = sf_take(room, count, 1);
    for (size_t i = 0; i < count; i++) holds[i] = !region[i] && !over[i];
    sf_dilate_u8(room, holds, h, w, 3, 1, holds);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            const size_t i = samples_of(y, w) + (size_t)x;
            float at = y == h - 1 ? (float)(0.06 * w) : y == 0 || x == 0 || x == w - 1 ? (float)(0.12 * w) : SF_FAR;
            start[i] = !region[i] ? SF_FAR : holds[i] ? 0 : at;
        }
    sf_room_rewind(room, mark);
}

/* What is held by nothing (a bush before the sky) is held by its foot, its last row. */
static void hold_by_foot(sf_room *room, const int32_t *labels, const sf_part *parts, int32_t count, int h, int w,
                         float *start) {
    const sf_mark mark = sf_room_mark(room);
    uint8_t *fixed = sf_take_zeroed(room, (uint64_t)count, 1);
    for (size_t i = 0; i < samples_of(h, w); i++) fixed[labels[i]] |= start[i] < SF_FAR;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            const size_t i = samples_of(y, w) + (size_t)x;
            const int32_t part = labels[i];
            if (part && !fixed[part] && y == parts[part].top + parts[part].height - 1) start[i] = 0;
        }
    sf_room_rewind(room, mark);
}

/* The height below which 95 % of each part's samples lie, for all its samples. */
static void whole_heights(sf_room *room, const int32_t *labels, const sf_part *parts, int32_t count, size_t samples,
                          const float *height, float *whole) {
    const sf_mark mark = sf_room_mark(room);
    float *sorted = sf_take(room, samples, sizeof *sorted), *of_part = sf_take_zeroed(room, (uint64_t)count,
                                                                                      sizeof *of_part);
    size_t *end = sf_take(room, (uint64_t)count, sizeof *end);
    /* Samples of one part after those of another: end[i] grows from where part i begins to where it ends. */
    end[0] = 0;
    for (int32_t i = 1; i < count; i++) end[i] = i == 1 ? 0 : end[i - 1] + (size_t)parts[i - 1].area;
    for (size_t i = 0; i < samples; i++)
        if (labels[i]) sorted[end[labels[i]]++] = height[i];
    for (int32_t i = 1; i < count; i++) {
        const size_t area = (size_t)parts[i].area;
        of_part[i] = (float)sf_percentile_f32(room, sorted + end[i] - area, area, 95);
    }
    for (size_t i = 0; i < samples; i++) whole[i] = of_part[labels[i]];
    sf_room_rewind(room, mark);
}

void sf_heights(sf_room *room, const uint8_t *region, const uint8_t *over, int h, int w, float *height, float *whole) {
    const size_t samples = samples_of(h, w);
    const sf_mark mark = sf_room_mark(room);
    float *start = sf_take(room, samples, sizeof *start);
    int32_t *labels = sf_take(room, samples, sizeof *labels);
    sf_part *parts;
    roots(room, region, over, h, w, start);
    const int32_t count = sf_components(room, region, h, w, 8, labels, &parts);
    hold_by_foot(room, labels, parts, count, h, w, start);
    sf_geodesic(room, start, region, 4, h, w, height);
    for (size_t i = 0; i < samples; i++) height[i] = region[i] ? height[i] / (float)w : 0;
    whole_heights(room, labels, parts, count, samples, height, whole);
    sf_room_rewind(room, mark);
}

/* Difference of neighbours along an axis, halved where there are two, as numpy.gradient takes it. */
static float slope_at(const float *values, int at, int length, size_t step) {
    const float *here = values + (size_t)at * step;
    if (at == 0) return here[step] - here[0];
    if (at == length - 1) return here[0] - *(here - step);
    return (here[step] - *(here - step)) / 2;
}

/* Which way stems grow: the smoothed slope of the height, (h, w, 2), length 0..1. */
static void stem_directions(sf_room *room, const float *height, const uint8_t *region, int h, int w, float *stems) {
    const size_t samples = samples_of(h, w);
    const sf_mark mark = sf_room_mark(room);
    float *wide = sf_take(room, samples, sizeof *wide), *soft = sf_take(room, samples, sizeof *soft);
    float *slope = sf_take(room, samples * 2, sizeof *slope), *out = slope;
    for (size_t i = 0; i < samples; i++) wide[i] = height[i] * (float)w;
    sf_gaussian_f32(room, wide, h, w, 1, fmax(1, 0.01 * w), soft);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++, out += 2) {
            float gx = slope_at(soft + samples_of(y, w), x, w, 1), gy = slope_at(soft + x, y, h, (size_t)w);
            float length = sqrtf(gx * gx + gy * gy);
            if (length < 1e-3f) length = 1e-3f;
            out[0] = region[samples_of(y, w) + (size_t)x] ? gx / length : 0;
            out[1] = region[samples_of(y, w) + (size_t)x] ? gy / length : 0;
        }
    sf_gaussian_f32(room, slope, h, w, 2, fmax(1, 0.025 * w), stems);
    sf_room_rewind(room, mark);
}

/* When a gust reaches each sample, seconds: one plant answers as a whole. */
static void arrivals(sf_room *room, const uint8_t *region, const sf_wind *wind, float *late) {
    const size_t samples = samples_of(wind->h, wind->w);
    const sf_mark mark = sf_room_mark(room);
    int32_t *labels = sf_take(room, samples, sizeof *labels);
    sf_part *parts;
    const int32_t count = sf_components(room, region, wind->h, wind->w, 8, labels, &parts);
    double *middle = sf_take_zeroed(room, (uint64_t)count, sizeof *middle);
    double *size = sf_take_zeroed(room, (uint64_t)count, sizeof *size);
    for (size_t i = 0; i < samples; i++) {
        middle[labels[i]] += wind->travelled[i];
        size[labels[i]] += wind->leaves[i];
    }
    for (size_t i = 0; i < samples; i++) {
        const int32_t part = labels[i];
        late[i] = wind->travelled[i];
        if (!part) continue;
        double loose = ((double)parts[part].width / wind->w - SF_STIFF) / (SF_LOOSE - SF_STIFF);
        float mean = (float)(middle[part] / parts[part].area), leaves = (float)(size[part] / parts[part].area);
        late[i] = mean + (late[i] - mean) * sf_clamp((float)loose, 0.15f, 1) / (leaves > 0.7f ? leaves : 0.7f);
    }
    sf_room_rewind(room, mark);
}

/* Write amplitude * way * cos(2 pi f t - phase) as coefficients of one sample. */
static void write(float *c, float amplitude, float x, float y, float phase) {
    const float a = cosf(phase), b = sinf(phase);
    c[0] = amplitude * x * a;
    c[1] = amplitude * y * a;
    c[2] = amplitude * x * b;
    c[3] = amplitude * y * b;
}

/* What foliage is drawn with, sample by sample. */
typedef struct plants {
    float *rise, *amplitude, *way, *late, *branches, *twigs, *noise, *loud, *turn;
} plants;

static void stems_and_branches(sf_room *room, sf_draws *draws, const sf_wind *wind, const plants *p, float *drawn) {
    static const float shares[3] = {0.40f, 0.60f, 0.38f}; /* of the gust and of the two branch frequencies */
    static const float of_branches[3] = {0.15f, 0.45f, 0.75f}, of_twigs[3] = {0, 0.1f, 0.25f};
    const size_t samples = samples_of(wind->h, wind->w);
    for (int k = 0; k < 3; k++, drawn += samples * 4) {
        sf_smooth_noise(room, draws, wind->h, wind->w, 0.15 * wind->w, p->noise);
        const float turn = (float)sf_draw_between(draws, 0, SF_TAU), speed = (float)SF_TAU * wind->hz[k];
        for (size_t i = 0; i < samples; i++) {
            float amplitude = p->amplitude[i] * shares[k] * sf_clamp(1 + 0.35f * p->noise[i], 0.3f, 1.7f);
            float phase = speed * p->late[i] + (of_branches[k] * p->branches[i] + of_twigs[k] * p->twigs[i]) + turn;
            if (amplitude > 0) write(drawn + 4 * i, amplitude, p->way[2 * i], p->way[2 * i + 1], phase);
        }
    }
}

static void twigs_and_leaves(sf_room *room, sf_draws *draws, const sf_wind *wind, const plants *p, float *drawn) {
    static const float sizes[2] = {SF_TWIGS, SF_LEAVES};
    static const double lengths[2] = {0.035, 0.018};
    const int h = wind->h, w = wind->w;
    const size_t samples = samples_of(h, w);
    drawn += 3 * samples * 4;
    for (int k = 0; k < 2; k++, drawn += samples * 4) {
        const float speed = (float)SF_TAU * wind->hz[3 + k], quarter = k ? (float)(SF_TAU / 4) : 0;
        sf_smooth_noise(room, draws, h, w, 2 * lengths[k] * w, p->turn);
        sf_smooth_noise(room, draws, h, w, 0.12 * w, p->loud);
        sf_smooth_noise(room, draws, h, w, lengths[k] * w, p->noise);
        for (size_t i = 0; i < samples; i++) {
            float small = sqrtf(p->rise[i]) * wind->leaves[i] * (float)w, angle = 1.5f * p->turn[i] + quarter;
            float amplitude = sizes[k] * small * sf_clamp(1 + 0.5f * p->loud[i], 0.1f, 2);
            float phase = speed * p->late[i] + 1.8f * p->noise[i], sign = wind->direction[0];
            if (amplitude > 0) write(drawn + 4 * i, amplitude, cosf(angle) * sign, sinf(angle) * sign, phase);
        }
    }
}

static float *take_field(sf_room *room, size_t samples) { return sf_take(room, samples, sizeof(float)); }

void sf_draw_foliage(sf_room *room, sf_draws *draws, const uint8_t *region, const uint8_t *over, const sf_wind *wind,
                     float *drawn) {
    const int h = wind->h, w = wind->w;
    const size_t samples = samples_of(h, w);
    const sf_mark mark = sf_room_mark(room);
    float *height = take_field(room, samples), *whole = take_field(room, samples), *stems = take_field(room,
                                                                                                       samples * 2);
    plants p = {take_field(room, samples), take_field(room, samples), take_field(room, samples * 2),
                take_field(room, samples), take_field(room, samples), take_field(room, samples),
                take_field(room, samples), take_field(room, samples), take_field(room, samples)};
    const float sign = (float)((wind->direction[0] > 0) - (wind->direction[0] < 0));
    sf_heights(room, region, over, h, w, height, whole);
    sf_smooth_noise(room, draws, h, w, 0.10 * w, p.branches);
    sf_smooth_noise(room, draws, h, w, 0.04 * w, p.twigs);
    stem_directions(room, height, region, h, w, stems);
    arrivals(room, region, wind, p.late);
    for (size_t i = 0; i < samples; i++) {
        /* A stem that stands upright bends along the wind, a branch that reaches out goes up and down. */
        p.way[2 * i] = 0.8f * wind->direction[0] + 0.35f * (-stems[2 * i + 1] * sign);
        p.way[2 * i + 1] = 0.8f * wind->direction[1] + 0.35f * (stems[2 * i] * sign);
        p.rise[i] = height[i] > 0 ? powf(sf_clamp(height[i] / sf_clamp(whole[i], 0.04f, 0.35f), 0, 1), 1.2f) : 0;
        float tip = p.rise[i] > 0 ? sf_clamp(SF_TIP * whole[i], 0.0002f, SF_TIP_MOST) * powf(wind->leaves[i], 0.7f) : 0;
        p.amplitude[i] = (float)w * tip * p.rise[i];
    }
    stems_and_branches(room, draws, wind, &p, drawn);
    twigs_and_leaves(room, draws, wind, &p, drawn);
    sf_room_rewind(room, mark);
}

void sf_draw_cloth(sf_room *room, sf_draws *draws, const uint8_t *region, const uint8_t *over, const sf_wind *wind,
                   float *drawn) {
    static const float shares[4] = {0.25f, 0.6f, 0.45f, 0.2f};
    const int h = wind->h, w = wind->w;
    const size_t samples = samples_of(h, w);
    const sf_mark mark = sf_room_mark(room);
    float *length = take_field(room, samples), *whole = take_field(room, samples);
    float *along = take_field(room, samples * 2), *noise = take_field(room, samples);
    sf_heights(room, region, over, h, w, length, whole);
    stem_directions(room, length, region, h, w, along);
    for (int k = 0; k < 4; k++, drawn += samples * 4) {
        const float hz = wind->hz[k], turn = (float)sf_draw_between(draws, 0, SF_TAU);
        sf_smooth_noise(room, draws, h, w, 0.15 * w, noise);
        for (size_t i = 0; i < samples; i++) {
            float rise = sf_clamp(length[i] / sf_clamp(whole[i], 0.02f, 0.3f), 0, 1);
            float amplitude = (float)w * sf_clamp(SF_CLOTH_TIP * whole[i], 0.0002f, SF_CLOTH_MOST) * rise * shares[k];
            if (!(amplitude > 0)) continue;
            /* About one wave over the whole length for the main frequency, more for faster ones. */
            float waves = length[i] / (whole[i] > 0.05f ? whole[i] : 0.05f) * hz / wind->hz[1];
            float phase = (float)SF_TAU * (0.7f * waves + 0.3f * hz * wind->travelled[i]) + turn + 0.5f * noise[i];
            float x = -along[2 * i + 1] * 0.8f + 0.35f * wind->direction[0], y = along[2 * i] * 0.8f + 0.35f * wind->direction[1];
            write(drawn + 4 * i, amplitude, x, y, phase);
        }
    }
    sf_room_rewind(room, mark);
}
