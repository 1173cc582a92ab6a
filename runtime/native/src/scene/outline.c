/* SPDX-License-Identifier: Apache-2.0 */
/* Outlines that bend: what sways moves up to its very edge and takes a little of what lies behind it along. */
#include <string.h>

#include "motion/oscillation.h"
#include "scene/stages.h"

#define SF_SLOPE 0.3f     /* largest change of an amplitude from one sample to the next */
#define SF_STEEPEST 0.5   /* the same of displacements: below 1 nothing folds */
#define SF_LEAST 0.02f    /* field pixels: smaller displacements are none */

/* Where region and classes agree: each sample's value, elsewhere that of the nearest which has one; -1 without any. */
static void continue_ranks(sf_room *room, const uint8_t *where, const uint8_t *values, int h, int w, int32_t *out) {
    const size_t count = (size_t)h * (size_t)w;
    for (size_t i = 0; i < count; i++) out[i] = where[i] ? values[i] + 1 : 0;
    sf_nearest_owner(room, out, h, w, out);
    for (size_t i = 0; i < count; i++) out[i] -= 1;
}

/* What lies behind a region that is cut finer than the motion's classes, and how far it may be bent along. */
static void behind_cut_region(sf_room *room, const sf_motion *motion, const uint8_t *region, uint8_t *over,
                              float *reach) {
    const sf_mark mark = sf_room_mark(room);
    const int h = motion->h, w = motion->w;
    const size_t count = (size_t)h * (size_t)w;
    uint8_t *outside = sf_take(room, count, 1), *inside = sf_take(room, count, 1);
    for (size_t i = 0; i < count; i++) {
        /* Samples that the motion still counts to the swaying thing, but the cut does not, are what is next to them. */
        outside[i] = !region[i] && !sf_is_sway(motion->classes[i]);
        inside[i] = region[i] && sf_is_sway(motion->classes[i]);
    }
    if (sf_any(outside, count)) {
        uint8_t *classes = sf_take(room, count, 1), *order = sf_take(room, count, 1);
        int32_t *ranks = sf_take(room, count, sizeof(int32_t));
        continue_ranks(room, outside, motion->classes, h, w, ranks);
        for (size_t i = 0; i < count; i++) classes[i] = (uint8_t)ranks[i];
        continue_ranks(room, outside, motion->order, h, w, ranks);
        for (size_t i = 0; i < count; i++) order[i] = (uint8_t)ranks[i];
        continue_ranks(room, inside, motion->order, h, w, ranks);
        for (size_t i = 0; i < count; i++)
            if (region[i]) order[i] = (uint8_t)(ranks[i] > 0 ? ranks[i] : 0);
        sf_behind(room, region, classes, order, h, w, over);
        sf_reach_of(classes, h, w, reach);
    } else {
        memset(over, 0, count);
        for (size_t i = 0; i < count; i++) reach[i] = 0;
    }
    sf_room_rewind(room, mark);
}

/* 1 in halo where what is bent along lies, at full size. */
static void halo_of(sf_room *room, const float *bent, const uint8_t *over, int h, int w, int height, int width,
                    uint8_t *halo) {
    const sf_mark mark = sf_room_mark(room);
    const size_t count = (size_t)h * (size_t)w, whole = (size_t)height * (size_t)width;
    float *stretched = sf_take(room, whole, sizeof(float)), *beyond = sf_take(room, count, sizeof(float));
    sf_resize_linear_f32(room, bent, h, w, 1, stretched, height, width);
    for (size_t i = 0; i < whole; i++) halo[i] = stretched[i] > SF_LEAST;
    for (size_t i = 0; i < count; i++) beyond[i] = over[i];
    sf_resize_linear_f32(room, beyond, h, w, 1, stretched, height, width);
    for (size_t i = 0; i < whole; i++) halo[i] = halo[i] && stretched[i] > 0.5f;
    sf_room_rewind(room, mark);
}

/* Widen the second mask by what is bent along, and take that from the first one. */
static void widen(sf_room *room, const sf_motion *motion, const float *bent, const uint8_t *over, uint8_t *flows,
                  uint8_t *sways) {
    const sf_mark mark = sf_room_mark(room);
    const int height = motion->height, width = motion->width;
    const size_t whole = (size_t)height * (size_t)width;
    uint8_t *halo = sf_take(room, whole, 1);
    halo_of(room, bent, over, motion->h, motion->w, height, width, halo);
    for (size_t i = 0; i < whole; i++) halo[i] = halo[i] || sways[i];
    sf_close_u8(room, halo, height, width, 5, sways);
    for (size_t i = 0; i < whole; i++) {
        if (!sways[i]) continue;
        sways[i] = 255;
        flows[i] = 0;
    }
    sf_room_rewind(room, mark);
}

/* Scale every sample's oscillation by a factor and all of them until nothing is steeper than may be. */
static void calm(sf_room *room, const float *factor, int h, int w, sf_oscillation *swaying) {
    const size_t count = (size_t)h * (size_t)w, all = (size_t)swaying->count * count;
    for (size_t i = 0; i < all; i++)
        for (size_t k = 4 * i; k < 4 * i + 4; k++) swaying->coefficients[k] *= factor[i % count];
    const double steep = sf_steepness(room, swaying, h, w), most = SF_STEEPEST / (steep > 1e-6 ? steep : 1e-6);
    const float less = (float)(most < 1 ? most : 1);
    for (size_t k = 0; k < 4 * all; k++) swaying->coefficients[k] *= less;
}

void sf_bend_outlines(sf_room *room, const sf_motion *motion, uint8_t *flows, uint8_t *sways, sf_oscillation *swaying) {
    const int h = motion->h, w = motion->w;
    const size_t count = (size_t)h * (size_t)w, all = 4 * (size_t)motion->sway.count * count;
    *swaying = (sf_oscillation){.count = 0, .channels = 4};
    float *coefficients = sf_take(room, all, sizeof(float));
    const sf_mark mark = sf_room_mark(room);
    uint8_t *region = sf_take(room, count, 1), *over = sf_take(room, count, 1);
    sf_resize_area_u8(room, sways, motion->height, motion->width, 1, region, h, w);
    for (size_t i = 0; i < count; i++) region[i] = region[i] > 127;
    if (motion->sway.count > 0 && sf_any(region, count)) {
        const float unit = (float)(motion->width / 4.0);
        for (size_t k = 0; k < all; k++) coefficients[k] = motion->sway.coefficients[k] * unit;
        *swaying = motion->sway;
        swaying->coefficients = coefficients;
        float *wanted = sf_take(room, count, sizeof(float)), *allowed = sf_take(room, count, sizeof(float));
        float *reach = sf_take(room, count, sizeof(float)), *factor = sf_take(room, count, sizeof(float));
        behind_cut_region(room, motion, region, over, reach);
        sf_envelope(swaying, h, w, wanted);
        sf_held(room, wanted, region, over, h, w, SF_SLOPE, reach, allowed);
        for (size_t i = 0; i < count; i++) {
            const float share = allowed[i] / (wanted[i] > 1e-6f ? wanted[i] : 1e-6f);
            factor[i] = share < 1 ? share : 1;
            if (wanted[i] < allowed[i]) allowed[i] = wanted[i];
        }
        widen(room, motion, allowed, over, flows, sways);
        calm(room, factor, h, w, swaying);
    }
    sf_room_rewind(room, mark);
}
