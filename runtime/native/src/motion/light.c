/* SPDX-License-Identifier: Apache-2.0 */
/* stillflow.light in C: flames and what they shine on, lamps, the light on faces; as changes of a logarithm. */
#include <string.h>

#include "motion/breath.h"
#include "motion/oscillation.h"
#include "raster/raster.h"

#define SF_FLAME_MOST 0.14f /* largest change of the logarithm: 15 % */
#define SF_LEAST 0.001f     /* largest change that is nothing: a quarter of a grey level */

#define SF_GLOW 0.6f         /* amplitude next to a flame, in parts of the flame's */
#define SF_GLOW_LENGTH 0.05f /* picture widths over which the glow falls to 1/e */
#define SF_GLOW_REACH 0.14   /* picture widths at which it ends */

#define SF_LAMP_DARKNESS 40.0   /* median luma above which a picture shows no lamps that light anything */
#define SF_LAMP_CONTRAST 110.0f /* grey levels by which a lamp's red stands out from what is around it */
#define SF_LAMP_LARGEST 0.004   /* share of the picture above which a bright spot is no lamp */
#define SF_LAMPS_MOST 0.01      /* share of the picture above which spots are a sky or a sunlit wall */

#define SF_FACE 0.012f     /* amplitude of the light on a face */
#define SF_FACE_LEAST 0.18 /* picture widths: smaller figures have no face that one could see */

/* A face's slow light, then a flame's four frequencies. */
static const float light_hz[SF_OSCILLATIONS] = {0.25f, 1.1f, 1.9f, 3.1f, 4.7f};

/* Amplitudes of flames and of lamps that the motion does not call fire. */
static const float flame[SF_OSCILLATIONS] = {0, 0.045f, 0.036f, 0.024f, 0.015f};
static const float lamp[SF_OSCILLATIONS] = {0, 0.008f, 0.006f, 0.004f, 0};

/* A picture at the size at which light is drawn. */
typedef struct scenery {
    int h, w;
    size_t samples;
    float *photo; /* (h, w, 3) 0..255 */
    uint8_t *classes, *fire, *people;
} scenery;

static float larger_of(float a, float b) { return b > a ? b : a; }

/* Bound of the logarithm at any time. */
static void change(const float *coefficients, int32_t count, size_t samples, float *bound) {
    memset(bound, 0, samples * sizeof *bound);
    for (int32_t k = 0; k < count; k++)
        for (size_t i = 0; i < samples; i++) {
            const float *c = coefficients + ((size_t)k * samples + i) * 2, a = fabsf(c[0]);
            bound[i] += a + sf_hypot(a, c[1]);
        }
}

void sf_light_touches(sf_room *room, const sf_oscillation *light, int h, int w, int height, int width,
                      uint8_t *touched) {
    const size_t samples = (size_t)h * (size_t)w, pixels = (size_t)height * (size_t)width;
    if (!light->count) {
        memset(touched, 0, pixels);
        return;
    }
    const sf_mark mark = sf_room_mark(room);
    float *bound = sf_take(room, samples, sizeof *bound), *large = sf_take(room, pixels, sizeof *large);
    change(light->coefficients, light->count, samples, bound);
    sf_resize_linear_f32(room, bound, h, w, 1, large, height, width);
    for (size_t i = 0; i < pixels; i++) touched[i] = large[i] > SF_LEAST;
    sf_room_rewind(room, mark);
}

/* _flicker: coefficients of sources that flicker half together, each with phases around those of all. */
static void flicker(sf_room *room, sf_draws *draws, const uint8_t *sources, const float *strengths, const scenery *s,
                    float *drawn) {
    const sf_mark mark = sf_room_mark(room);
    int32_t *labels = sf_take(room, s->samples, sizeof *labels);
    float *noise = sf_take(room, s->samples, sizeof *noise);
    const int32_t count = sf_components(room, sources, s->h, s->w, 8, labels, 0);
    double *own = sf_take(room, (uint64_t)count, sizeof *own);
    memset(drawn, 0, SF_OSCILLATIONS * s->samples * 2 * sizeof *drawn);
    for (int k = 1; k < SF_OSCILLATIONS; k++) {
        for (int32_t i = 0; i < count; i++) own[i] = 0.8 * sf_draw_normal(draws);
        /* A large fire does not flicker as one. */
        sf_smooth_noise(room, draws, s->h, s->w, 0.08 * s->w, noise);
        const double turn = sf_draw_between(draws, 0, SF_TAU);
        const float amplitude = strengths[k] * (float)sf_draw_between(draws, 0.8, 1.2);
        float *out = drawn + (size_t)k * s->samples * 2;
        for (size_t i = 0; i < s->samples; i++) {
            if (!sources[i]) continue;
            double phase = own[labels[i]] + (double)(0.9f * noise[i]) + turn;
            out[2 * i] = (float)(amplitude * cos(phase));
            out[2 * i + 1] = (float)(amplitude * sin(phase));
        }
    }
    sf_room_rewind(room, mark);
}

static float mean_of(const float *rgb) { return (rgb[0] + rgb[1] + rgb[2]) / 3; }

/* lit_by_fire: share of a place's light that may come from a flame: warm and not bright, 0..1. */
static void find_lit_by_fire(sf_room *room, const scenery *s, float *lit) {
    const sf_mark mark = sf_room_mark(room);
    float *share = sf_take(room, s->samples, sizeof *share);
    double colour = 0;
    for (size_t i = 0; i < s->samples * 3; i++) colour += fabsf(s->photo[i] - mean_of(s->photo + i / 3 * 3));
    const int gray = colour / (double)(s->samples * 3) < 1;
    for (size_t i = 0; i < s->samples; i++) {
        const float *rgb = s->photo + 3 * i;
        float warm = sf_clamp((rgb[0] - rgb[2]) / larger_of(rgb[0] + rgb[2], 20) * 1.6f, 0, 1);
        float dark = sf_clamp(1.25f - mean_of(rgb) / 160, 0, 1);
        share[i] = gray ? 0.5f * dark : warm * (0.35f + 0.65f * dark);
    }
    /* Light is smooth: what is painted on a wall does not decide how much of a flame's light falls on it. */
    sf_gaussian_f32(room, share, s->h, s->w, 1, 0.035 * s->w, lit);
    sf_room_rewind(room, mark);
}

static void add_flames(sf_room *room, sf_draws *draws, const scenery *s, float *total) {
    if (!memchr(s->fire, 1, s->samples)) return;
    const sf_mark mark = sf_room_mark(room);
    const size_t plane = s->samples * 2;
    float *drawn = sf_take(room, SF_OSCILLATIONS * plane, sizeof *drawn), *soft = sf_take(room, plane, sizeof *soft);
    float *share = sf_take(room, s->samples, sizeof *share), *lit = sf_take(room, s->samples, sizeof *lit);
    sf_distance_to(room, s->fire, s->h, s->w, share);
    find_lit_by_fire(room, s, lit);
    for (size_t i = 0; i < s->samples; i++) {
        float distance = share[i] / (float)s->w, fade = sf_clamp(1 - distance / (float)SF_GLOW_REACH, 0, 1);
        float shine = SF_GLOW * expf(-distance / SF_GLOW_LENGTH) * fade * fade * (3 - 2 * fade) * lit[i];
        share[i] = s->fire[i] ? 1 : distance < (float)SF_GLOW_REACH ? shine : 0;
    }
    /* Each place is lit by all flames around it, so far from them their flicker evens out. */
    flicker(room, draws, s->fire, flame, s, drawn);
    sf_spread(room, drawn, s->fire, SF_OSCILLATIONS, s->h, s->w, 2, 0.05 * s->w, drawn);
    for (size_t k = 1; k < SF_OSCILLATIONS; k++) {
        float *part = drawn + k * plane;
        for (size_t i = 0; i < plane; i++) part[i] *= share[i / 2];
        sf_gaussian_f32(room, part, s->h, s->w, 2, fmax(0.8, 0.004 * s->w), soft);
        for (size_t i = 0; i < plane; i++) total[k * plane + i] += soft[i];
    }
    sf_room_rewind(room, mark);
}

/* Bright, warm spots, looked for at twice the density: lamps are smaller than a sample. */
static void find_spots(sf_room *room, const uint8_t *photo, int height, int width, const scenery *s, uint8_t *spots) {
    const sf_mark mark = sf_room_mark(room);
    const int h = 2 * s->h, w = 2 * s->w;
    const size_t count = s->samples * 4;
    uint8_t *fine = sf_take(room, count * 3, 1), *bright = sf_take(room, count, 1);
    float *red = sf_take(room, count, sizeof *red), *around = sf_take(room, count, sizeof *around);
    sf_resize_area_u8(room, photo, height, width, 3, fine, h, w);
    for (size_t i = 0; i < count; i++) red[i] = fine[3 * i];
    sf_gaussian_f32(room, red, h, w, 1, 0.04 * 2 * s->w, around);
    for (size_t i = 0; i < count; i++)
        bright[i] = fine[3 * i] > 240 && fine[3 * i] - fine[3 * i + 2] > 40 && red[i] - around[i] > SF_LAMP_CONTRAST;
    sf_dilate_u8(room, bright, h, w, 3, 1, bright);
    for (size_t y = 0, i = 0; y < (size_t)s->h; y++)
        for (size_t x = 0; x < (size_t)s->w; x++, i++) spots[i] = bright[2 * y * (size_t)w + 2 * x];
    sf_room_rewind(room, mark);
}

/* Keep the spots that are small, still, and not near a flame, which would light them. Returns how many samples. */
static size_t keep_lamps(sf_room *room, const scenery *s, uint8_t *spots) {
    const sf_mark mark = sf_room_mark(room);
    int32_t *labels = sf_take(room, s->samples, sizeof *labels);
    float *distance = sf_take(room, s->samples, sizeof *distance);
    sf_part *parts;
    size_t kept = 0;
    sf_components(room, spots, s->h, s->w, 8, labels, &parts);
    sf_distance_to(room, s->fire, s->h, s->w, distance);
    for (size_t i = 0; i < s->samples; i++) {
        int small = labels[i] && parts[labels[i]].area <= SF_LAMP_LARGEST * s->h * s->w;
        spots[i] = small && s->classes[i] == SF_STATIC && distance[i] > (float)(SF_GLOW_REACH * s->w);
        kept += spots[i];
    }
    sf_room_rewind(room, mark);
    return kept;
}

static int is_dark(sf_room *room, const scenery *s) {
    const sf_mark mark = sf_room_mark(room);
    float *luma = sf_take(room, s->samples, sizeof *luma);
    for (size_t i = 0; i < s->samples; i++) luma[i] = mean_of(s->photo + 3 * i);
    double median = sf_percentile_f32(room, luma, s->samples, 50);
    sf_room_rewind(room, mark);
    return median <= SF_LAMP_DARKNESS;
}

/* Small, warm, bright spots in a dark picture tremble a little; the sky's and the water's do not. */
static void add_lamps(sf_room *room, sf_draws *draws, const uint8_t *photo, int height, int width, const scenery *s,
                      float *total) {
    if (!is_dark(room, s)) return;
    const sf_mark mark = sf_room_mark(room);
    const size_t plane = s->samples * 2;
    uint8_t *spots = sf_take(room, s->samples, 1);
    float *drawn = sf_take(room, SF_OSCILLATIONS * plane, sizeof *drawn);
    float *share = sf_take(room, s->samples, sizeof *share), *soft = sf_take(room, s->samples, sizeof *soft);
    find_spots(room, photo, height, width, s, spots);
    const size_t kept = keep_lamps(room, s, spots);
    if (kept && (double)kept / (double)s->samples <= SF_LAMPS_MOST) {
        for (size_t i = 0; i < s->samples; i++) share[i] = spots[i];
        sf_gaussian_f32(room, share, s->h, s->w, 1, fmax(0.8, 0.006 * s->w), soft);
        flicker(room, draws, spots, lamp, s, drawn);
        sf_spread(room, drawn, spots, SF_OSCILLATIONS, s->h, s->w, 2, 0.01 * s->w, drawn);
        for (size_t k = 0; k < SF_OSCILLATIONS; k++)
            for (size_t i = 0; i < plane; i++)
                total[k * plane + i] += drawn[k * plane + i] * sf_clamp(2 * soft[i / 2] - 0.1f, 0, 1);
    }
    sf_room_rewind(room, mark);
}

/* The light on one near face, more from one side; added to the first frequency. */
static void add_face(sf_room *room, const uint8_t *figure, double phase, double side, const scenery *s, float *total) {
    const sf_mark mark = sf_room_mark(room);
    const sf_shoulders at = sf_find_shoulders(room, figure, s->h, s->w);
    const double tall = fmax(2, 0.5 * (at.line - at.top)), across = fmax(2, 0.35 * at.wide);
    const float a = (float)cos(phase), b = (float)sin(phase), middle = (float)at.middle;
    float *depth = sf_take(room, s->samples, sizeof *depth);
    uint8_t *around = sf_take(room, s->samples, 1);
    for (size_t i = 0; i < s->samples; i++) around[i] = !figure[i];
    sf_distance_to(room, around, s->h, s->w, depth);
    for (int y = 0; y < s->h; y++)
        for (int x = 0; x < s->w; x++) {
            const size_t i = (size_t)y * (size_t)s->w + (size_t)x;
            if (!figure[i]) continue;
            float dy = ((float)y - (float)((at.top + at.line) / 2.0)) / (float)(1.4 * tall);
            float dx = (float)x - middle, wide = dx / (float)(1.4 * across);
            float near = expf(-(dy * dy) - wide * wide);
            float inward = sf_clamp((depth[i] - 1) / (float)(0.03 * s->w), 0, 1);
            float lean = sf_clamp(1 + (float)side * dx / (float)across, 0, 2);
            float amplitude = SF_FACE * near * inward * lean;
            total[2 * i] += amplitude * a;
            total[2 * i + 1] += amplitude * b;
        }
    sf_room_rewind(room, mark);
}

static void add_faces(sf_room *room, sf_draws *draws, const scenery *s, float *total) {
    const sf_mark mark = sf_room_mark(room);
    int32_t *labels = sf_take(room, s->samples, sizeof *labels);
    uint8_t *mine = sf_take(room, s->samples, 1);
    sf_part *parts;
    const int32_t count = sf_components(room, s->people, s->h, s->w, 8, labels, &parts);
    for (int32_t i = 1; i < count; i++) {
        double phase = sf_draw_between(draws, 0, SF_TAU), side = sf_draw_between(draws, -1, 1);
        if (parts[i].height < SF_FACE_LEAST * s->w) continue;
        for (size_t k = 0; k < s->samples; k++) mine[k] = labels[k] == i;
        add_face(room, mine, phase, side, s, total);
    }
    sf_room_rewind(room, mark);
}

static void shrink(sf_room *room, const uint8_t *photo, int height, int width, const float *matte,
                   const uint8_t *classes, int h, int w, scenery *s) {
    uint8_t *bytes = sf_take(room, s->samples * 3, 1);
    float *share = sf_take(room, s->samples, sizeof *share);
    s->photo = sf_take(room, s->samples * 3, sizeof *s->photo);
    s->classes = sf_take(room, s->samples, 1);
    s->fire = sf_take(room, s->samples, 1);
    s->people = sf_take(room, s->samples, 1);
    sf_resize_area_u8(room, photo, height, width, 3, bytes, s->h, s->w);
    sf_resize_area_f32(room, matte, h, w, 1, share, s->h, s->w);
    sf_resize_nearest(classes, h, w, 1, s->classes, s->h, s->w);
    for (size_t i = 0; i < s->samples * 3; i++) s->photo[i] = bytes[i];
    for (size_t i = 0; i < s->samples; i++) {
        s->fire[i] = share[i] > 0.5f && s->classes[i] == SF_FIRE;
        s->people[i] = share[i] > 0.5f && s->classes[i] == SF_PERSON;
    }
}

/* Everything that shines, never more than FLAME_MOST; returns the largest change anywhere. */
static float draw_scenery(sf_room *room, const uint8_t *photo, int height, int width, const scenery *s, float strength,
                          uint32_t seed, float *total) {
    sf_draws flames, lamps, faces;
    sf_draws_open(&flames, seed, SF_FIRE);
    sf_draws_open(&lamps, seed, 10);
    sf_draws_open(&faces, seed, SF_PERSON);
    add_flames(room, &flames, s, total);
    add_lamps(room, &lamps, photo, height, width, s, total);
    add_faces(room, &faces, s, total);
    const sf_mark mark = sf_room_mark(room);
    float *bound = sf_take(room, s->samples, sizeof *bound), most = 0;
    for (size_t i = 0; i < SF_OSCILLATIONS * s->samples * 2; i++) total[i] *= strength;
    change(total, SF_OSCILLATIONS, s->samples, bound);
    for (size_t k = 0; k < SF_OSCILLATIONS; k++)
        for (size_t i = 0; i < s->samples * 2; i++) {
            float factor = SF_FLAME_MOST / larger_of(bound[i / 2], 1e-6f);
            if (factor < 1) total[k * s->samples * 2 + i] *= factor;
        }
    change(total, SF_OSCILLATIONS, s->samples, bound);
    for (size_t i = 0; i < s->samples; i++) most = larger_of(most, bound[i]);
    sf_room_rewind(room, mark);
    return most;
}

void sf_predict_light(sf_room *room, const uint8_t *photo, int height, int width, const float *matte,
                      const uint8_t *classes, int h, int w, double strength, uint32_t seed, sf_oscillation *light) {
    const double scale = fmin(1, SF_WORKING_SIDE / (h > w ? h : w));
    const size_t plane = (size_t)h * (size_t)w * 2;
    scenery s = {.h = (int)fmax(2, rint(h * scale)), .w = (int)fmax(2, rint(w * scale))};
    s.samples = (size_t)s.h * (size_t)s.w;
    memset(light, 0, sizeof *light);
    light->channels = 2;
    const sf_mark before = sf_room_mark(room);
    float *field = sf_take(room, SF_OSCILLATIONS * plane, sizeof *field);
    const sf_mark mark = sf_room_mark(room);
    float *total = sf_take_zeroed(room, SF_OSCILLATIONS * s.samples * 2, sizeof *total);
    shrink(room, photo, height, width, matte, classes, h, w, &s);
    if (draw_scenery(room, photo, height, width, &s, (float)strength, seed, total) < SF_LEAST) {
        sf_room_rewind(room, before);
        return;
    }
    for (size_t k = 0; k < SF_OSCILLATIONS; k++)
        sf_resize_linear_f32(room, total + k * s.samples * 2, s.h, s.w, 2, field + k * plane, h, w);
    sf_room_rewind(room, mark);
    light->count = SF_OSCILLATIONS;
    light->coefficients = field;
    memcpy(light->hz, light_hz, sizeof light_hz);
}
