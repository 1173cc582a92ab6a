/* SPDX-License-Identifier: Apache-2.0 */
/* The flow network, run once a photo: stillflow.flow for a photo without guidance. */
#include <string.h>

#include "motion/motion.h"
#include "raster/raster.h"

#define VELOCITY_UNIT 10.0f  /* it speaks of widths a second times 10 */
#define SLOWEST 0.002f       /* widths a second: slower is as good as still */
#define HINTS 6              /* planes of guidance; without any all are 0 but the last, which is the height */
#define ABSURD 1e6f          /* no answer of a network is larger */

enum { CLASSES, MOVES, VELOCITY, SPREAD, EITHER, SUITED, OUTPUTS };

static float sigmoid(float x) { return 1 / (1 + expf(-sf_clamp(x, -30, 30))); }

/* Both inputs of the network, memory of the room. */
static void make_inputs(sf_room *room, const uint8_t *photo, int32_t height, int32_t width, int32_t long_side,
                        sf_tensor inputs[2]) {
    const double most = height > width ? height : width, scale = long_side < most ? long_side / most : 1;
    const int h = sf_network_side(height, scale), w = sf_network_side(width, scale);
    const size_t n = (size_t)h * (size_t)w;
    inputs[0] = (sf_tensor){"photo", {1, 3, h, w}, sf_take(room, n, 3 * sizeof(float))};
    inputs[1] = (sf_tensor){"hints", {1, HINTS, h, w}, sf_take_zeroed(room, n, HINTS * sizeof(float))};
    const sf_mark mark = sf_room_mark(room);
    uint8_t *small = sf_take(room, n, 3);
    sf_resize_area_u8(room, photo, height, width, 3, small, h, w);
    for (size_t c = 0; c < 3; c++)
        for (size_t k = 0; k < n; k++) inputs[0].data[c * n + k] = (float)small[3 * k + c] / 255;
    sf_room_rewind(room, mark);
    float *rows = inputs[1].data + (HINTS - 1) * n;
    const double step = 1.0 / (h - 1);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) rows[(size_t)y * (size_t)w + (size_t)x] = y < h - 1 ? (float)(y * step) : 1;
}

static _Noreturn void refuse(sf_room *room, const char *name, const char *why) {
    sf_give_up(room, SF_ERROR_ENGINE, "cannot use what the flow network says",
               "use a bundle that passes its test vectors", "its output %s %s", name, why);
}

/* Hold an answer to its shape, (1, channels, any, any), and to numbers that mean something. */
static void check(sf_room *room, const sf_tensor *t, int64_t channels) {
    if (!t->data) refuse(room, t->name, "is missing");
    if (t->shape[0] != 1 || t->shape[1] != channels) refuse(room, t->name, "has not the channels of a flow network");
    for (int side = 2; side < 4; side++)
        if (t->shape[side] < 1 || t->shape[side] > 65535) refuse(room, t->name, "has no size, or too large a one");
    const size_t count = (size_t)(channels * t->shape[2] * t->shape[3]);
    for (size_t k = 0; k < count; k++)
        if (!(fabsf(t->data[k]) <= ABSURD)) refuse(room, t->name, "holds what is no number, or an absurd one");
}

static void ask(sf_room *room, const sf_network *flow, const sf_tensor inputs[2], sf_tensor outputs[OUTPUTS]) {
    static const char names[OUTPUTS][9] = {"classes", "moves", "velocity", "spread", "either", "suited"};
    static const int64_t channels[OUTPUTS] = {SF_CLASSES, 1, 2, 1, 1, 1};
    for (int i = 0; i < OUTPUTS; i++) outputs[i] = (sf_tensor){.name = names[i]};
    flow->run(flow->self, room, inputs, 2, outputs, OUTPUTS);
    for (int i = 0; i < OUTPUTS; i++) {
        const int optional = i == EITHER || i == SUITED; /* bundles made before 0.1 lack them */
        if (outputs[i].data || !optional) check(room, &outputs[i], channels[i]);
    }
    if (memcmp(outputs[CLASSES].shape + 2, outputs[MOVES].shape + 2, 2 * sizeof(int64_t)))
        refuse(room, "moves", "is not of the size of its classes");
}

/* One channel of an answer at field size. */
static void to_field(sf_room *room, const sf_tensor *t, int channel, const sf_motion *motion, float *field) {
    const int h = (int)t->shape[2], w = (int)t->shape[3];
    sf_resize_linear_f32(room, t->data + (size_t)channel * (size_t)h * (size_t)w, h, w, 1, field, motion->h, motion->w);
}

static void find_velocity(sf_room *room, const sf_tensor outputs[OUTPUTS], sf_motion *motion) {
    const size_t n = (size_t)motion->h * (size_t)motion->w;
    const sf_mark mark = sf_room_mark(room);
    float *plane = sf_take(room, n, sizeof(float));
    for (int axis = 0; axis < 2; axis++) {
        to_field(room, &outputs[VELOCITY], axis, motion, plane);
        for (size_t k = 0; k < n; k++) motion->velocity[2 * k + (size_t)axis] = plane[k] / VELOCITY_UNIT;
    }
    to_field(room, &outputs[SPREAD], 0, motion, plane);
    for (size_t k = 0; k < n; k++) {
        /* The expected error relative to the speed: an error of the speed's size leaves one half. */
        const float error = expf(sf_clamp(plane[k], -20, 20)) / VELOCITY_UNIT;
        const float speed = sf_hypot(motion->velocity[2 * k], motion->velocity[2 * k + 1]);
        motion->confidence[k] = 1 / (1 + error / (speed + SLOWEST));
    }
    sf_room_rewind(room, mark);
}

/* "moves" decides what moves; the classes only say how: the most probable of those that move, or that stand still. */
static void find_classes(sf_room *room, const float *agreed, const float *moving, int oh, int ow, sf_motion *motion) {
    const size_t n = (size_t)motion->h * (size_t)motion->w, places = (size_t)oh * (size_t)ow;
    const sf_mark mark = sf_room_mark(room);
    float *plane = sf_take(room, n, sizeof(float)), *best = sf_take(room, n, 2 * sizeof(float));
    uint8_t *likely = sf_take(room, n, 2);
    sf_resize_linear_f32(room, moving, oh, ow, 1, plane, motion->h, motion->w);
    for (size_t k = 0; k < n; k++) motion->matte[k] = sigmoid(plane[k]);
    for (int c = 0; c < SF_CLASSES; c++) {
        const int still = c == SF_STATIC || c == SF_SKY, first = c == SF_STATIC || c == SF_WATER;
        float *most = best + (still ? n : 0);
        uint8_t *kind = likely + (still ? n : 0);
        sf_resize_linear_f32(room, agreed + (size_t)c * places, oh, ow, 1, plane, motion->h, motion->w);
        for (size_t k = 0; k < n; k++) {
            if (!first && !(plane[k] > most[k])) continue;
            most[k] = plane[k];
            kind[k] = (uint8_t)c;
        }
    }
    for (size_t k = 0; k < n; k++) motion->classes[k] = motion->matte[k] > 0.5f ? likely[k] : likely[n + k];
    sf_room_rewind(room, mark);
}

void sf_predict_motion(sf_room *room, const sf_network *flow, const sf_rules *rules, const uint8_t *photo,
                       int32_t height, int32_t width, sf_motion *motion) {
    const int h = (height + 3) / 4, w = (width + 3) / 4;
    const size_t n = (size_t)h * (size_t)w;
    *motion = (sf_motion){.height = height, .width = width, .h = h, .w = w, .suitability = NAN};
    motion->velocity = sf_take(room, n, 2 * sizeof(float));
    motion->matte = sf_take(room, n, sizeof(float));
    motion->classes = sf_take(room, n, 1);
    motion->confidence = sf_take(room, n, sizeof(float));
    motion->order = sf_take(room, n, 1);
    motion->doubt = sf_take_zeroed(room, n, sizeof(float));
    const sf_mark mark = sf_room_mark(room);
    sf_tensor inputs[2], outputs[OUTPUTS];
    make_inputs(room, photo, height, width, rules->flow_long_side, inputs);
    ask(room, flow, inputs, outputs);
    const int rows = (int)outputs[MOVES].shape[2], columns = (int)outputs[MOVES].shape[3];
    int oh, ow;
    float *agreed, *moving;
    sf_agree(room, outputs[CLASSES].data, outputs[MOVES].data, rows, columns, photo, height, width, &oh, &ow, &agreed,
             &moving);
    find_velocity(room, outputs, motion);
    find_classes(room, agreed, moving, oh, ow, motion);
    if (outputs[EITHER].data) {
        /* The opposite direction is the true one with half the probability that either would do. */
        to_field(room, &outputs[EITHER], 0, motion, motion->doubt);
        for (size_t k = 0; k < n; k++) motion->doubt[k] = 0.5f * sigmoid(motion->doubt[k]);
    }
    if (outputs[SUITED].data) motion->suitability = sigmoid(outputs[SUITED].data[0]);
    sf_occlusion_order(room, motion->classes, h, w, motion->order);
    sf_room_rewind(room, mark);
}
