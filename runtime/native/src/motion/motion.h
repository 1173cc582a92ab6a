/* SPDX-License-Identifier: Apache-2.0 */
/* Photo to motion: the Python modules flow, consensus, order, sway, light, futures and assess, in C. */
#ifndef SF_MOTION_H
#define SF_MOTION_H

#include <math.h>

#include "room.h"

#define SF_CLASSES 10
#define SF_OSCILLATIONS 5 /* most harmonics that sway or light are drawn with */
#define SF_TAU 6.283185307179586476925286766559

typedef enum sf_class {
    SF_STATIC, SF_WATER, SF_CLOUD, SF_SMOKE, SF_FIRE, SF_FOLIAGE, SF_PERSON, SF_ANIMAL, SF_CLOTH, SF_SKY
} sf_class;

/* Coefficients of `count` frequencies: (count, h, w, channels) with 4 channels (sway) or 2 (light). */
typedef struct sf_oscillation {
    int32_t count, channels;
    float hz[SF_OSCILLATIONS];
    float *coefficients; /* null when count is 0 */
} sf_oscillation;

/* stillflow.motion.Motion: fields of (h, w), in the same units. */
typedef struct sf_motion {
    int32_t height, width, h, w;
    float *velocity;  /* (h, w, 2) picture widths a second */
    float *matte;     /* (h, w) 0..1 */
    uint8_t *classes; /* (h, w) sf_class */
    float *confidence; /* (h, w) */
    uint8_t *order;   /* (h, w) */
    float *doubt;     /* (h, w) */
    sf_oscillation sway, light;
    float suitability; /* NaN when the network does not say */
    double chance;     /* of a good loop (sf_chance) */
    double strength;   /* factor on every speed that was used */
} sf_motion;

/* One array on its way into or out of a network: float32, NCHW; sides that it has not are 1s at the end. */
typedef struct sf_tensor {
    const char *name;
    int64_t shape[4];
    float *data;
} sf_tensor;

/* A side of a network's input: the picture's at a scale, as a multiple of 32, which is halved five times. */
static inline int sf_network_side(int side, double scale) {
    const int whole = (int)rint(side * scale / 32) * 32;
    return whole > 32 ? whole : 32;
}

/*
 * A network that can be asked. run writes shape and data (memory of the room) of each of the outputs that are named;
 * an output that the graph lacks has data null afterwards. It gives up where the engine fails.
 */
typedef struct sf_network {
    void (*run)(void *self, sf_room *room, const sf_tensor *inputs, int32_t input_count, sf_tensor *outputs,
                int32_t output_count);
    void *self;
} sf_network;

/* What the bundle's manifest says of how its networks are used. */
typedef struct sf_rules {
    int32_t flow_long_side;     /* sizes.flow_long_side */
    int32_t plate_network;      /* outputs.plate is "network" */
    int32_t blend_network;      /* outputs.blend is "network" */
} sf_rules;

/* What is asked of a loop, all values given (sf_wish with its zeros filled in). */
typedef struct sf_order {
    double seconds, fps, strength;
    int32_t adaptive; /* strength was not given: lowered where the photo asks for it */
    int32_t strict;   /* give up with SF_ERROR_UNSUITED where the loop cannot be good */
    uint32_t seed;
} sf_order;

/*
 * Animator.animate as far as the motion, without guidance: prediction, futures, the strength that suits the photo.
 * photo is (height, width, 3) RGB. Everything in motion is memory of the room.
 */
void sf_make_motion(sf_room *room, const sf_network *flow, const sf_rules *rules, const sf_order *order,
                    const uint8_t *photo, int32_t height, int32_t width, sf_motion *motion);

/*
 * predict_motion without sway and light, at strength 1: what the network says, brought to field size. Gives up where an
 * answer is missing, misshapen or not finite.
 */
void sf_predict_motion(sf_room *room, const sf_network *flow, const sf_rules *rules, const uint8_t *photo,
                       int32_t height, int32_t width, sf_motion *motion);

/* The parts of it, each of a Python function of that name; fields are (h, w). */
void sf_agree(sf_room *room, const float *classes, const float *moves, int h, int w, const uint8_t *photo, int height,
              int width, int *oh, int *ow, float **agreed, float **moving);
void sf_occlusion_order(sf_room *room, const uint8_t *classes, int h, int w, uint8_t *order);
void sf_predict_sway(sf_room *room, const uint8_t *photo, int height, int width, const float *matte,
                     const uint8_t *classes, const uint8_t *order, int h, int w, double strength, uint32_t seed, sf_oscillation *sway);
void sf_predict_light(sf_room *room, const uint8_t *photo, int height, int width, const float *matte,
                      const uint8_t *classes, int h, int w, double strength, uint32_t seed, sf_oscillation *light);
void sf_draw_future(sf_room *room, sf_motion *motion, uint32_t seed);
/* NormalDist().inv_cdf: the standard normal deviate below which a share p of all lies, 0 < p < 1. */
double sf_normal_deviate(double p);
/* stillflow.assess: the chance that a photo makes a good loop; NaN where something moves and the network does not say. */
double sf_chance(const sf_motion *motion);
/* stillflow.assess as far as the strength that suits a motion, 0.4..1; what the photo looks like has no say in it. */
double sf_suited_strength(sf_room *room, const sf_motion *motion, double seconds);
/* stillflow.cycles.cycle_plan: cross-fade cycles >= 1 and a factor on the speed for each connected region, (h, w). */
void sf_cycle_plan(sf_room *room, const uint8_t *region, const float *speed, int h, int w, double seconds,
                   uint8_t *cycles, float *slower);

/* np.hypot of floats: the root of the sum in double, rounded once. */
static inline float sf_hypot(float x, float y) { return (float)sqrt((double)x * x + (double)y * y); }

#endif
