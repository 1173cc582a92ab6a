/* SPDX-License-Identifier: Apache-2.0 */
/* stillflow.sway in C: what sways in one wind, held where it is held, never steeper than what would fold. */
#include <string.h>

#include "motion/breath.h"
#include "motion/oscillation.h"
#include "motion/wind.h"
#include "raster/raster.h"

#define SF_SLOPE 0.2f       /* largest change of an amplitude from one sample to the next */
#define SF_STEEPEST 0.42    /* likewise of a displacement */
#define SF_GUST_SPEED 0.35f /* picture widths a second */

static const float sway_hz[SF_OSCILLATIONS] = {0.25f, 0.5f, 0.75f, 1.25f, 2.0f};

static size_t samples_of(int h, int w) { return (size_t)h * (size_t)w; }

/* Where the wind blows: to the left or the right, a little up or down. */
static void blow(sf_room *room, sf_draws *draws, int h, int w, sf_wind *wind) {
    float *travelled = sf_take(room, samples_of(h, w), sizeof *travelled);
    double angle = sf_draw_between(draws, -0.3, 0.3);
    if (sf_draw(draws) < 0.5) angle += SF_TAU / 2;
    wind->direction[0] = (float)cos(angle);
    wind->direction[1] = (float)sin(angle);
    sf_smooth_noise(room, draws, h, w, 0.25 * w, travelled);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            float *at = travelled + samples_of(y, w) + x;
            float across = (float)x / (float)w * wind->direction[0], down = (float)y / (float)w * wind->direction[1];
            *at = (across + down + 0.08f * *at) / SF_GUST_SPEED;
        }
    wind->travelled = travelled;
}

/* Energy of what a level shows and the next coarser one does not, smoothed, (h, w). The coarser one replaces level. */
static void octave(sf_room *room, float *level, int *lh, int *lw, int h, int w, float *energy) {
    const size_t count = samples_of(*lh, *lw);
    const int ch = (*lh + 1) / 2, cw = (*lw + 1) / 2;
    const sf_mark mark = sf_room_mark(room);
    float *coarse = sf_take(room, samples_of(ch, cw), sizeof *coarse), *fine = sf_take(room, count, sizeof *fine);
    float *small = sf_take(room, samples_of(h, w), sizeof *small);
    sf_pyr_down_f32(room, level, *lh, *lw, coarse);
    sf_resize_linear_f32(room, coarse, ch, cw, 1, fine, *lh, *lw);
    for (size_t i = 0; i < count; i++) {
        float detail = level[i] - fine[i];
        fine[i] = detail * detail;
    }
    if (*lw > w)
        sf_resize_area_f32(room, fine, *lh, *lw, 1, small, h, w);
    else
        sf_resize_linear_f32(room, fine, *lh, *lw, 1, small, h, w);
    sf_gaussian_f32(room, small, h, w, 1, 0.04 * w, energy);
    memcpy(level, coarse, samples_of(ch, cw) * sizeof *level);
    *lh = ch;
    *lw = cw;
    sf_room_rewind(room, mark);
}

/* detail_scale: size of a picture's details relative to the usual, (h, w), near leaves 2, far woods 0.4. */
static void measure_details(sf_room *room, const uint8_t *photo, int height, int width, int h, int w, float *scale) {
    const size_t samples = samples_of(h, w), fine = samples * 16;
    const sf_mark mark = sf_room_mark(room);
    float *total = sf_take(room, samples, sizeof *total), *weighed = sf_take(room, samples, sizeof *weighed);
    float *energy = sf_take(room, samples, sizeof *energy), *level = sf_take(room, fine, sizeof *level);
    uint8_t *gray = sf_take(room, samples_of(height, width), 1), *bytes = sf_take(room, fine, 1);
    sf_gray_u8(photo, samples_of(height, width), gray);
    sf_resize_area_u8(room, gray, height, width, 1, bytes, 4 * h, 4 * w);
    for (size_t i = 0; i < fine; i++) level[i] = bytes[i];
    for (size_t i = 0; i < samples; i++) {
        total[i] = 1e-3f;
        weighed[i] = total[i] * 2;
    }
    /* A smaller field is a smaller picture, whose octaves begin at coarser details. */
    const double first = log2(640 / (4.0 * w));
    for (int i = 0, lh = 4 * h, lw = 4 * w; i < 5; i++) {
        octave(room, level, &lh, &lw, h, w, energy);
        for (size_t s = 0; s < samples; s++) {
            total[s] += energy[s];
            weighed[s] += energy[s] * (float)(i + first);
        }
        if (lh < 8 || lw < 8) break;
    }
    for (size_t i = 0; i < samples; i++) {
        float size = exp2f(weighed[i] / total[i] - 2.1f);
        scale[i] = size < 0.4f ? 0.4f : size > 2 ? 2 : size;
    }
    sf_room_rewind(room, mark);
}

/* anchored: add what was drawn in a region to the total, 0 where it is held and falling off beyond its outline. */
static void add_anchored(sf_room *room, float *drawn, const uint8_t *region, const uint8_t *over, const float *reach,
                         int h, int w, float *total) {
    const size_t samples = samples_of(h, w);
    const sf_mark mark = sf_room_mark(room);
    float *distance = sf_take(room, samples, sizeof *distance), *wanted = sf_take(room, samples, sizeof *wanted);
    float *allowed = sf_take(room, samples, sizeof *allowed);
    sf_oscillation wide = {SF_OSCILLATIONS, 4, {0}, drawn};
    sf_spread(room, drawn, region, SF_OSCILLATIONS, h, w, 4, fmax(1.3, 0.012 * w), drawn);
    sf_distance_to(room, region, h, w, distance);
    for (size_t i = 0; i < samples; i++) {
        /* A little further than the outline bends: the region is cut anew along the photo's own edges. */
        if (distance[i] <= reach[i] + (float)(0.012 * w) + 1) continue;
        for (size_t k = 0; k < SF_OSCILLATIONS; k++) memset(drawn + (k * samples + i) * 4, 0, 4 * sizeof *drawn);
    }
    sf_envelope(&wide, h, w, wanted);
    sf_held(room, wanted, region, over, h, w, SF_SLOPE, reach, allowed);
    for (size_t i = 0; i < samples; i++) {
        float factor = allowed[i] / (wanted[i] > 1e-6f ? wanted[i] : 1e-6f);
        for (size_t k = 0; k < SF_OSCILLATIONS; k++)
            for (size_t c = 0; c < 4; c++) {
                const size_t at = (k * samples + i) * 4 + c;
                total[at] += drawn[at] * (factor < 1 ? factor : 1);
            }
    }
    sf_room_rewind(room, mark);
}

/* Everything that sways, at the size at which it is drawn. */
typedef struct scenery {
    int h, w;
    uint8_t *moving, *classes, *order, *region, *over;
    float *reach, *drawn;
    sf_wind wind;
} scenery;

static void shrink(sf_room *room, const float *matte, const uint8_t *classes, const uint8_t *order, int h, int w,
                   scenery *s) {
    const size_t samples = samples_of(s->h, s->w);
    float *share = sf_take(room, samples, sizeof *share);
    s->moving = sf_take(room, samples, 1);
    s->classes = sf_take(room, samples, 1);
    s->order = sf_take(room, samples, 1);
    sf_resize_area_f32(room, matte, h, w, 1, share, s->h, s->w);
    sf_resize_nearest(classes, h, w, 1, s->classes, s->h, s->w);
    sf_resize_nearest(order, h, w, 1, s->order, s->h, s->w);
    for (size_t i = 0; i < samples; i++) s->moving[i] = share[i] > 0.5f;
}

static int has(const scenery *s, uint8_t kind) {
    for (size_t i = 0; i < samples_of(s->h, s->w); i++)
        if (s->moving[i] && s->classes[i] == kind) return 1;
    return 0;
}

/* Draw what is of one kind into the total. */
static void draw_kind(sf_room *room, scenery *s, uint8_t kind, float strength, uint32_t seed, float *total) {
    const size_t samples = samples_of(s->h, s->w), all = SF_OSCILLATIONS * samples * 4;
    sf_draws draws;
    sf_draws_open(&draws, seed, kind);
    for (size_t i = 0; i < samples; i++) s->region[i] = s->moving[i] && s->classes[i] == kind;
    sf_behind(room, s->region, s->classes, s->order, s->h, s->w, s->over);
    memset(s->drawn, 0, all * sizeof *s->drawn);
    if (kind == SF_FOLIAGE)
        sf_draw_foliage(room, &draws, s->region, s->over, &s->wind, s->drawn);
    else if (kind == SF_CLOTH)
        sf_draw_cloth(room, &draws, s->region, s->over, &s->wind, s->drawn);
    else
        sf_breathe(room, &draws, s->region, s->h, s->w, kind == SF_PERSON, s->drawn);
    for (size_t i = 0; i < all; i++) s->drawn[i] *= strength;
    add_anchored(room, s->drawn, s->region, s->over, s->reach, s->h, s->w, total);
}

static void draw_scenery(sf_room *room, const uint8_t *photo, int height, int width, scenery *s, float strength,
                         uint32_t seed, float *total) {
    const size_t samples = samples_of(s->h, s->w);
    float *leaves = sf_take(room, samples, sizeof *leaves);
    s->region = sf_take(room, samples, 1);
    s->over = sf_take(room, samples, 1);
    s->reach = sf_take(room, samples, sizeof *s->reach);
    s->drawn = sf_take(room, SF_OSCILLATIONS * samples * 4, sizeof *s->drawn);
    s->wind = (sf_wind){s->h, s->w, {0, 0}, 0, leaves, sway_hz};
    sf_draws draws;
    sf_draws_open(&draws, seed, 0);
    blow(room, &draws, s->h, s->w, &s->wind);
    measure_details(room, photo, height, width, s->h, s->w, leaves);
    sf_reach_of(s->classes, s->h, s->w, s->reach);
    for (uint8_t kind = SF_FOLIAGE; kind <= SF_CLOTH; kind++)
        if (has(s, kind)) draw_kind(room, s, kind, strength, seed, total);
    sf_oscillation drawn = {SF_OSCILLATIONS, 4, {0}, total};
    memcpy(drawn.hz, sway_hz, sizeof sway_hz);
    double steepness = sf_steepness(room, &drawn, s->h, s->w);
    float factor = (float)fmin(1, SF_STEEPEST / fmax(steepness, 1e-6));
    for (size_t i = 0; i < SF_OSCILLATIONS * samples * 4; i++) total[i] *= factor;
}

void sf_predict_sway(sf_room *room, const uint8_t *photo, int height, int width, const float *matte,
                     const uint8_t *classes, const uint8_t *order, int h, int w, double strength, uint32_t seed,
                     sf_oscillation *sway) {
    const double scale = fmin(1, SF_WORKING_SIDE / (h > w ? h : w));
    const size_t samples = samples_of(h, w);
    scenery s = {.h = (int)fmax(2, rint(h * scale)), .w = (int)fmax(2, rint(w * scale))};
    memset(sway, 0, sizeof *sway);
    sway->channels = 4;
    const sf_mark before = sf_room_mark(room);
    float *field = sf_take(room, SF_OSCILLATIONS * samples * 4, sizeof *field);
    const sf_mark mark = sf_room_mark(room);
    shrink(room, matte, classes, order, h, w, &s);
    const int any = has(&s, SF_FOLIAGE) || has(&s, SF_PERSON) || has(&s, SF_ANIMAL) || has(&s, SF_CLOTH);
    if (!any || strength == 0) {
        sf_room_rewind(room, before);
        return;
    }
    float *total = sf_take_zeroed(room, SF_OSCILLATIONS * samples_of(s.h, s.w) * 4, sizeof *total);
    draw_scenery(room, photo, height, width, &s, (float)strength, seed, total);
    for (size_t k = 0; k < SF_OSCILLATIONS; k++)
        sf_resize_linear_f32(room, total + k * samples_of(s.h, s.w) * 4, s.h, s.w, 4, field + k * samples * 4, h, w);
    for (size_t i = 0; i < SF_OSCILLATIONS * samples * 4; i++) field[i] /= (float)s.w;
    sf_room_rewind(room, mark);
    sway->count = SF_OSCILLATIONS;
    sway->coefficients = field;
    memcpy(sway->hz, sway_hz, sizeof sway_hz);
}
