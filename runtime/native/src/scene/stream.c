/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: speed rises from a flow's lip and sinks towards its foot. A velocity that is constant up to the edge of its
 * region would carry the edge along (stillflow.stream).
 */
#include <math.h>

#include "scene/stages.h"

#define SF_MARCHES 6              /* doublings: a stream is followed for 2^6 samples each way */
#define SF_LIP_SPEED 0.2
#define SF_FOOT_SPEED 0.25
#define SF_RISE 0.6f              /* of the way travelled in one cycle at full speed */
#define SF_MOST_OF_STREAM 0.3f    /* share of a stream's length that is travelled in one cycle at most */
#define SF_LENGTH_SIGMA 0.02      /* picture widths */
#define SF_SHEAR_SIGMA 1.5        /* samples */
#define SF_LIP_BAND 0.02          /* picture widths below a lip in which the photo may show the lip itself */
#define SF_FALLING 0.7f           /* cosine to the vertical from which on a stream may be a fall */
#define SF_FALL_SPEED 0.06f       /* picture widths a second from which on it is one */

/* Where the streams of one class go on: a march's way, and where it ended. */
typedef struct sf_march {
    float *way, *x, *y;
} sf_march;

/* Go along the heading, or against it with sign -1, until the region ends. */
static void march(sf_room *room, const float *heading, float sign, const uint8_t *inside, int h, int w,
                  sf_march *found) {
    const sf_mark mark = sf_room_mark(room);
    const size_t count = (size_t)h * (size_t)w;
    /* Displacement and way together: one lookup composes both. */
    float *state = sf_take(room, 3 * count, sizeof(float)), *there = sf_take(room, 3 * count, sizeof(float));
    for (size_t i = 0; i < count; i++) {
        state[3 * i] = inside[i] ? sign * heading[2 * i] : 0;
        state[3 * i + 1] = inside[i] ? sign * heading[2 * i + 1] : 0;
        state[3 * i + 2] = inside[i];
    }
    for (int k = 0; k <= SF_MARCHES; k++) {
        for (size_t i = 0; i < count; i++) {
            found->x[i] = (float)(i % (size_t)w) + state[3 * i];
            found->y[i] = (float)(i / (size_t)w) + state[3 * i + 1];
        }
        if (k == SF_MARCHES) break;
        sf_remap_linear_f32(room, state, h, w, 3, found->x, found->y, h, w, there);
        for (size_t i = 0; i < 3 * count; i++) state[i] += there[i];
    }
    for (size_t i = 0; i < count; i++) found->way[i] = state[3 * i + 2];
    sf_room_rewind(room, mark);
}

/* What the ends of one class's streams are judged by. */
typedef struct sf_ground {
    const uint8_t *inside, *order, *falls;
    const uint8_t *outside; /* surely: one sample further */
    const uint8_t *around;  /* order of the nearest around what is inside */
    int h, w;
} sf_ground;

/* Set ends where a stream ends in the picture and not behind something nearer. What falls always does. */
static void find_ends(const sf_ground *g, const sf_march *at, uint8_t *ends) {
    const float right = (float)g->w - 1.5f, below = (float)g->h - 1.5f;
    for (size_t i = 0; i < (size_t)g->h * (size_t)g->w; i++) {
        const float x = at->x[i], y = at->y[i];
        if (!g->inside[i] || x < 0.5f || y < 0.5f || x > right || y > below) continue;
        const size_t px = (size_t)sf_clamp(sf_rint(x), 0, (float)(g->w - 1));
        const size_t py = (size_t)sf_clamp(sf_rint(y), 0, (float)(g->h - 1));
        const size_t there = py * (size_t)g->w + px;
        if (g->outside[there] && (g->falls[i] || g->around[there] <= g->order[i])) ends[i] = 1;
    }
}

/* The streams of one class: where another begins, as at a horizon, they end. */
static void follow_one(sf_room *room, const float *heading, const uint8_t *falls, const uint8_t *inside,
                       const uint8_t *order, int h, int w, sf_course *course) {
    const sf_mark mark = sf_room_mark(room);
    const size_t count = (size_t)h * (size_t)w;
    uint8_t *outside = sf_take(room, count, 1), *around = sf_take(room, count, 1);
    sf_erode_u8(room, inside, h, w, 3, 1, outside);
    for (size_t i = 0; i < count; i++) {
        outside[i] = !outside[i];
        around[i] = inside[i] ? 0 : order[i];
    }
    sf_dilate_u8(room, around, h, w, 3, 1, around);
    const sf_ground ground = {inside, order, falls, outside, around, h, w};
    sf_march found = {sf_take(room, count, sizeof(float)), sf_take(room, count, sizeof(float)),
                      sf_take(room, count, sizeof(float))};
    march(room, heading, -1, inside, h, w, &found);
    find_ends(&ground, &found, course->lip);
    for (size_t i = 0; i < count; i++)
        if (inside[i]) course->up[i] = found.way[i];
    march(room, heading, 1, inside, h, w, &found);
    find_ends(&ground, &found, course->foot);
    for (size_t i = 0; i < count; i++)
        if (inside[i]) course->down[i] = found.way[i];
    sf_room_rewind(room, mark);
}

void sf_follow(sf_room *room, const float *velocity, const uint8_t *layers, const uint8_t *order, int h, int w,
               sf_course *course) {
    const size_t count = (size_t)h * (size_t)w;
    *course = (sf_course){sf_take_zeroed(room, count, sizeof(float)), sf_take_zeroed(room, count, sizeof(float)),
                          sf_take_zeroed(room, count, 1), sf_take_zeroed(room, count, 1)};
    const sf_mark mark = sf_room_mark(room);
    float *heading = sf_take(room, 2 * count, sizeof(float));
    uint8_t *falls = sf_take(room, count, 1), *inside = sf_take(room, count, 1), present[256] = {0};
    for (size_t i = 0; i < count; i++) {
        const float speed = sf_hypot(velocity[2 * i], velocity[2 * i + 1]), floor = speed > 1e-9f ? speed : 1e-9f;
        heading[2 * i] = velocity[2 * i] / floor;
        heading[2 * i + 1] = velocity[2 * i + 1] / floor;
        falls[i] = heading[2 * i + 1] > SF_FALLING && speed > SF_FALL_SPEED;
        present[layers[i]] = 1;
    }
    for (int label = 1; label < 256; label++) {
        if (!present[label]) continue;
        for (size_t i = 0; i < count; i++) inside[i] = layers[i] == label;
        follow_one(room, heading, falls, inside, order, h, w, course);
    }
    sf_room_rewind(room, mark);
}

void sf_trust_at_lips(const sf_course *course, int h, int w, float *trust) {
    const double width = SF_LIP_BAND * w;
    const float band = (float)(width > 1 ? width : 1);
    for (size_t i = 0; i < (size_t)h * (size_t)w; i++)
        trust[i] = course->lip[i] ? sf_clamp(course->up[i] / band, 0, 1) : 1;
}

/* Mean length of the streams around each sample that have both ends; infinite where a stream has not. */
static void lengths_of(sf_room *room, const sf_course *course, int h, int w, float *length) {
    const sf_mark mark = sf_room_mark(room);
    const size_t count = (size_t)h * (size_t)w;
    const double sigma = SF_LENGTH_SIGMA * w > 1 ? SF_LENGTH_SIGMA * w : 1;
    float *values = sf_take(room, count, sizeof(float)), *where = sf_take(room, count, sizeof(float));
    float *weight = sf_take(room, count, sizeof(float));
    for (size_t i = 0; i < count; i++) {
        where[i] = course->lip[i] && course->foot[i];
        values[i] = where[i] > 0 ? course->up[i] + course->down[i] : 0;
    }
    sf_gaussian_f32(room, where, h, w, 1, sigma, weight);
    sf_gaussian_f32(room, values, h, w, 1, sigma, length);
    for (size_t i = 0; i < count; i++)
        length[i] = where[i] > 0 ? length[i] / (weight[i] > 1e-6f ? weight[i] : 1e-6f) : INFINITY;
    sf_room_rewind(room, mark);
}

static float slowed(float way, float rise, double least) {
    return (float)least + (float)(1 - least) * sf_clamp(way / rise, 0, 1);
}

void sf_settle(sf_room *room, const sf_course *course, const float *travel, int h, int w, float *factor) {
    const sf_mark mark = sf_room_mark(room);
    const size_t count = (size_t)h * (size_t)w;
    float *length = sf_take(room, count, sizeof(float)), *inside = sf_take(room, count, sizeof(float));
    float *own = sf_take(room, count, sizeof(float)), *weight = sf_take(room, count, sizeof(float));
    lengths_of(room, course, h, w, length);
    for (size_t i = 0; i < count; i++) {
        /* A stream that is short from lip to foot looks different at each of its heights: it is travelled in parts. */
        const float part = SF_MOST_OF_STREAM * length[i] / (travel[i] > 1e-3f ? travel[i] : 1e-3f);
        const float share = part < 1 ? part : 1, way = travel[i] * share * SF_RISE, rise = way > 1 ? way : 1;
        float least = 1;
        if (course->lip[i]) least = fminf(least, slowed(course->up[i], rise, SF_LIP_SPEED));
        if (course->foot[i]) least = fminf(least, slowed(course->down[i], rise, SF_FOOT_SPEED));
        inside[i] = course->up[i] > 0;
        own[i] = least * share * inside[i];
    }
    /* Neighbouring streams may end differently, and would shear what lies across them. */
    sf_gaussian_f32(room, own, h, w, 1, SF_SHEAR_SIGMA, factor);
    sf_gaussian_f32(room, inside, h, w, 1, SF_SHEAR_SIGMA, weight);
    for (size_t i = 0; i < count; i++)
        factor[i] = inside[i] > 0 ? factor[i] / (weight[i] > 0.1f ? weight[i] : 0.1f) : 1;
    sf_room_rewind(room, mark);
}
