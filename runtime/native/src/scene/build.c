/* SPDX-License-Identifier: Apache-2.0 */
/* Photo and motion to a scene: cut the moving layer, continue it, plan its cycles (stillflow.scene.build_scene). */
#include <math.h>
#include <string.h>

#include "motion/oscillation.h"
#include "scene/making.h"
#include "scene/stages.h"

#define SF_SURELY_KNOWN 0.99f  /* share of a sample that shows the layer and nothing else */
#define SF_FRAMES_MOST 1000000 /* what the kernels and a file allow */

/* Steps of a scene's numbers: docs/sflow.md. */
#define SF_INSIDE_EXPONENT (-10)
#define SF_INSIDE_LEAST (21.0f / 1024)
#define SF_SWAY_EXPONENT (-9)
#define SF_LIGHT_EXPONENT (-12)

/* What the stages hand on; fields are (h, w). */
typedef struct sf_plan {
    const uint8_t *photo;
    const sf_motion *motion;
    const sf_order *order;
    int height, width, h, w;
    int32_t frames;
    size_t count, whole; /* samples of a field, pixels of the picture */
    sf_regions regions;
    uint8_t *owner, *cycles, *flow;
    float *velocity, *inside;
    float *slower, *at_lips, *apart;
} sf_plan;

/* Which part of each sample shows the layer; only those that show nothing else, if there are any. */
static void known_of(sf_room *room, const sf_plan *plan, float *known) {
    const sf_mark mark = sf_room_mark(room);
    uint8_t *bytes = sf_take(room, plan->count, 1);
    int sure = 0;
    sf_resize_area_u8(room, plan->regions.flows, plan->height, plan->width, 1, bytes, plan->h, plan->w);
    for (size_t i = 0; i < plan->count; i++) {
        known[i] = (float)bytes[i] / 255;
        sure |= known[i] > SF_SURELY_KNOWN;
    }
    for (size_t i = 0; i < plan->count; i++)
        if (sure && !(known[i] > SF_SURELY_KNOWN)) known[i] = 0;
    sf_room_rewind(room, mark);
}

/* Speed along each stream: how often it is faded, its lips and feet. velocity becomes what moves, speed its length. */
static void plan_streams(sf_room *room, sf_plan *plan, float *moving, float *speed) {
    const sf_mark mark = sf_room_mark(room);
    const sf_regions *r = &plan->regions;
    const float widths = (float)(plan->order->seconds * plan->width / 4);
    uint8_t *streams = sf_take(room, plan->count, 1);
    float *travel = sf_take(room, plan->count, sizeof(float)), *factor = sf_take(room, plan->count, sizeof(float));
    sf_course course;
    memcpy(moving, plan->motion->velocity, 2 * plan->count * sizeof(float));
    for (size_t i = 0; i < plan->count; i++) {
        speed[i] = sf_hypot(moving[2 * i], moving[2 * i + 1]);
        streams[i] = r->known[i] > 0;
    }
    sf_cycle_plan(room, streams, speed, plan->h, plan->w, plan->order->seconds, plan->cycles, plan->slower);
    for (size_t i = 0; i < plan->count; i++) {
        streams[i] = r->known[i] > 0 ? r->kinds[i] : 0;
        travel[i] = speed[i] * plan->slower[i] * widths / (float)plan->cycles[i];
    }
    sf_follow(room, moving, streams, r->order, plan->h, plan->w, &course);
    sf_settle(room, &course, travel, plan->h, plan->w, factor);
    for (size_t k = 0; k < 2 * plan->count; k++) moving[k] *= factor[k / 2];
    sf_trust_at_lips(&course, plan->h, plan->w, plan->at_lips);
    sf_room_rewind(room, mark);
}

/* Which layer goes on where, and how fast: field pixels a frame. */
static void plan_velocity(sf_room *room, sf_plan *plan) {
    const sf_mark mark = sf_room_mark(room);
    const sf_regions *r = &plan->regions;
    const float unit = (float)(plan->width / 4.0 / plan->order->fps);
    float *moving = sf_take(room, 2 * plan->count, sizeof(float)), *speed = sf_take(room, plan->count, sizeof(float));
    plan_streams(room, plan, moving, speed);
    sf_owners(room, r->kinds, r->known, speed, r->order, plan->h, plan->w, plan->owner);
    sf_continue_values(room, moving, r->known, r->kinds, plan->owner, plan->h, plan->w, 2, plan->velocity);
    for (size_t k = 0; k < 2 * plan->count; k++) plan->velocity[k] = plan->velocity[k] * plan->slower[k / 2] * unit;
    sf_room_rewind(room, mark);
}

/* The layer's colours everywhere, (h, w, 3); curve is null for a photo in colours. */
static void fill_of(sf_room *room, const sf_plan *plan, float (*curve)[3], float *fill) {
    const sf_mark mark = sf_room_mark(room);
    const sf_regions *r = &plan->regions;
    uint8_t *bytes = sf_take(room, 3 * plan->count, 1);
    float *colours = sf_take(room, 3 * plan->count, sizeof(float));
    int any = 0;
    sf_resize_area_u8(room, plan->photo, plan->height, plan->width, 3, bytes, plan->h, plan->w);
    for (size_t k = 0; k < 3 * plan->count; k++) colours[k] = bytes[k];
    for (size_t i = 0; i < plan->count; i++) any |= r->known[i] > 0;
    if (any)
        sf_continue_values(room, colours, r->known, r->kinds, plan->owner, plan->h, plan->w, 3, fill);
    else
        memcpy(fill, colours, 3 * plan->count * sizeof(float));
    if (curve) sf_toned(fill, plan->count, curve);
    sf_room_rewind(room, mark);
}

/* Matte and plate, and the network's say in the plate and in the confidence. */
static void paint(sf_room *room, const sf_network *generator, const sf_rules *rules, const sf_plan *plan,
                  uint8_t *matte, uint8_t *plate) {
    const sf_mark mark = sf_room_mark(room);
    float curve[256][3], (*tone)[3] = sf_tone_curve(plan->photo, plan->height, plan->width, curve) ? curve : 0;
    float *fill = sf_take(room, 3 * plan->count, sizeof(float));
    fill_of(room, plan, tone, fill);
    sf_matte_and_plate(room, &plan->regions, plan->photo, plan->owner, fill, matte, plate);
    if (generator && sf_any(plan->regions.flows, plan->whole)) {
        const sf_layer layer = {plan->height, plan->width, plan->h, plan->w, plan->frames, plan->photo, matte,
                                plan->cycles, plan->regions.known, plan->velocity, plate, plan->inside};
        sf_consult(room, generator, rules, &layer, tone);
        /* The network has seen one layer at a time: what meets another, or begins at a lip, stays doubtful. */
        for (size_t i = 0; i < plan->count; i++) {
            const float doubtful = plan->apart[i] * plan->at_lips[i];
            const float most = doubtful > SF_CONFIDENCE_FLOOR ? doubtful : SF_CONFIDENCE_FLOOR;
            if (plan->inside[i] > most) plan->inside[i] = most;
        }
    }
    sf_room_rewind(room, mark);
}

/* Where light reaches further than motion the matte says no more than that it is touched. */
static void touch(sf_room *room, const sf_oscillation *light, const sf_plan *plan, uint8_t *matte) {
    const sf_mark mark = sf_room_mark(room);
    if (light->count) {
        uint8_t *touched = sf_take(room, plan->whole, 1);
        sf_light_touches(room, light, plan->h, plan->w, plan->height, plan->width, touched);
        for (size_t i = 0; i < plan->whole; i++)
            if (touched[i] && !matte[i]) matte[i] = 1;
    }
    sf_room_rewind(room, mark);
}

/* Velocity's least exponent, floor(log2(2^-7 / frames)), in whole numbers: no logarithm is exact for every count. */
static int32_t velocity_exponent(int32_t frames) {
    int32_t exponent = -7;
    for (int32_t left = frames - 1; left > 0; left >>= 1) exponent--;
    return exponent;
}

static void round_fields(const sf_plan *plan, sf_oscillation *sway, sf_oscillation *light) {
    sf_round_to_steps(plan->velocity, 2 * plan->count, velocity_exponent(plan->frames));
    sf_round_to_steps(plan->inside, plan->count, SF_INSIDE_EXPONENT);
    for (size_t i = 0; i < plan->count; i++)
        if (plan->inside[i] < SF_INSIDE_LEAST) plan->inside[i] = SF_INSIDE_LEAST;
    if (sway->count) sf_round_to_steps(sway->coefficients, 4 * (size_t)sway->count * plan->count, SF_SWAY_EXPONENT);
    if (light->count) sf_round_to_steps(light->coefficients, 2 * (size_t)light->count * plan->count, SF_LIGHT_EXPONENT);
}

/* Everything between the cut and the arrays; masks and fields that only it needs are given back by who calls it. */
static void make(sf_room *room, const sf_network *generator, const sf_rules *rules, sf_plan *plan, uint8_t *matte,
                 uint8_t *plate) {
    const sf_motion *motion = plan->motion;
    float *known = sf_take(room, plan->count, sizeof(float));
    uint8_t *kinds = sf_take(room, plan->count, 1), *ranks = sf_take(room, plan->count, 1);
    plan->regions.known = known;
    plan->regions.kinds = kinds;
    plan->regions.order = motion->order;
    if (!sf_any(motion->order, plan->count)) {
        sf_occlusion_order(room, motion->classes, plan->h, plan->w, ranks);
        plan->regions.order = ranks;
    }
    known_of(room, plan, known);
    sf_flow_kinds(room, motion, plan->photo, kinds);
    plan->owner = sf_take(room, plan->count, 1);
    plan->slower = sf_take(room, plan->count, sizeof(float));
    plan->at_lips = sf_take(room, plan->count, sizeof(float));
    plan->apart = sf_take(room, plan->count, sizeof(float));
    plan_velocity(room, plan);
    sf_flow_samples(room, &plan->regions, plan->flow);
    sf_apart(room, &plan->regions, plan->flow, plan->apart);
    sf_confidence(room, &plan->regions, plan->apart, plan->at_lips, plan->inside);
    paint(room, generator, rules, plan, matte, plate);
}

/*
 * Cut the masks and fit the sway to them. coefficients and periods have room for all of the motion's oscillations; what
 * a loop keeps of them is returned.
 */
static sf_oscillation cut(sf_room *room, const sf_plan *plan, uint8_t *flows, uint8_t *sways, float *coefficients,
                          int32_t *periods) {
    const sf_mark mark = sf_room_mark(room);
    sf_oscillation swaying, sway;
    int32_t *found;
    sf_flow_region(room, plan->motion, plan->photo, flows, sways);
    sf_bend_outlines(room, plan->motion, flows, sways, &swaying);
    sf_in_loop(room, &swaying, plan->h, plan->w, plan->order->seconds, plan->frames, &sway, &found);
    if (sway.count) {
        memcpy(coefficients, sway.coefficients, 4 * (size_t)sway.count * plan->count * sizeof(float));
        memcpy(periods, found, (size_t)sway.count * sizeof(int32_t));
    }
    sf_room_rewind(room, mark);
    sway.coefficients = coefficients;
    return sway;
}

static int32_t frame_count(sf_room *room, const sf_order *order) {
    const double frames = rint(order->seconds * order->fps);
    if (!(order->seconds > 0 && order->fps > 0 && frames <= SF_FRAMES_MOST))
        sf_give_up(room, SF_ERROR_ARGUMENT, "cannot make a loop of that length",
                   "ask for 4 seconds at 30 frames a second",
                   "%g seconds at %g frames a second are not 1 to %d frames", order->seconds, order->fps, SF_FRAMES_MOST);
    return frames > 1 ? (int32_t)frames : 1;
}

void sf_build_scene(sf_room *room, const sf_network *generator, const sf_rules *rules, const sf_order *order,
                    const uint8_t *photo, const sf_motion *motion, sf_scene_arrays *arrays) {
    sf_plan plan = {.photo = photo, .motion = motion, .order = order, .height = motion->height, .width = motion->width,
                    .h = motion->h, .w = motion->w, .frames = frame_count(room, order)};
    plan.count = (size_t)plan.h * (size_t)plan.w;
    plan.whole = (size_t)plan.height * (size_t)plan.width;
    /* First what the arrays keep; below the mark lies what is given back. */
    uint8_t *matte = sf_take(room, plan.whole, 1), *plate = sf_take(room, 3 * plan.whole, 1);
    plan.flow = sf_take(room, plan.count, 1);
    plan.cycles = sf_take(room, plan.count, 1);
    plan.velocity = sf_take(room, 2 * plan.count, sizeof(float));
    plan.inside = sf_take(room, plan.count, sizeof(float));
    float *low = sf_take(room, 3 * plan.count, sizeof(float));
    float *swaying = sf_take(room, 4 * (uint64_t)motion->sway.count * plan.count, sizeof(float));
    int32_t *sway_periods = sf_take(room, (uint64_t)motion->sway.count, sizeof(int32_t)), *light_periods;
    sf_oscillation light;
    sf_in_loop(room, &motion->light, plan.h, plan.w, order->seconds, plan.frames, &light, &light_periods);

    const sf_mark mark = sf_room_mark(room);
    uint8_t *flows = sf_take(room, plan.whole, 1), *sways = sf_take(room, plan.whole, 1);
    sf_oscillation sway = cut(room, &plan, flows, sways, swaying, sway_periods);
    plan.regions = (sf_regions){.height = plan.height, .width = plan.width, .h = plan.h, .w = plan.w,
                                .unit = plan.width / 1280.0, .flows = flows, .sways = sways};
    make(room, generator, rules, &plan, matte, plate);
    sf_room_rewind(room, mark);

    touch(room, &light, &plan, matte);
    round_fields(&plan, &sway, &light);
    sf_local_mean(room, plate, plan.height, plan.width, low);
    *arrays = (sf_scene_arrays){
        .struct_size = sizeof *arrays, .height = plan.height, .width = plan.width, .harmonics = sway.count,
        .frames = plan.frames, .isa = arrays->isa, .photo = photo, .plate = plate, .matte = matte,
        .velocity = plan.velocity, .flow = plan.flow, .cycles = plan.cycles, .inside = plan.inside,
        .sway = sway.count ? swaying : 0, .low = low, .light = light.count ? light.coefficients : 0,
        .lights = light.count, .sway_periods = sway.count ? sway_periods : 0,
        .light_periods = light.count ? light_periods : 0,
    };
}
