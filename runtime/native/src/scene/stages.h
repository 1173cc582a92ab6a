/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stages of a scene, each a file of its own: what moves is cut out, its outlines bend, streams get lips and feet, the
 * layer is continued behind its edge, and a network may repaint that.
 *
 * Sizes: height and width are the picture's, h and w the fields'. Scratch is given back; what a stage returns lies in
 * the caller's arrays or, where it says so, in memory of the room.
 */
#ifndef SF_STAGES_H
#define SF_STAGES_H

#include "motion/motion.h"
#include "raster/raster.h"

#define SF_CONFIDENCE_FLOOR 0.02f /* kernels.reference.CONFIDENCE_FLOOR */

static inline int sf_is_flow(uint8_t class) { return class >= SF_WATER && class <= SF_FIRE; }
static inline int sf_is_sway(uint8_t class) { return class >= SF_FOLIAGE && class <= SF_CLOTH; }
/* Rounded to a byte; what is no number becomes 0. */
static inline uint8_t sf_to_byte(float x) { return x > 0 ? (uint8_t)sf_rint(x < 255 ? x : 255) : 0; }

/* Rounds of a 3 x 3 morphology that reach this many pixels of a 1280-wide picture. */
int sf_rounds(double pixels, double unit);

/* region.flow_region: (height, width) masks of 0 or 255. */
void sf_flow_region(sf_room *room, const sf_motion *motion, const uint8_t *photo, uint8_t *flows, uint8_t *sways);
/* region.flow_kinds: which flow class each sample belongs to, (h, w). */
void sf_flow_kinds(sf_room *room, const sf_motion *motion, const uint8_t *photo, uint8_t *kinds);
/* region.margins: (sides, h, w) shares to (sides, max(1, height / 2), max(1, width / 2)) leads; 2 to 4 sides. */
void sf_margins(sf_room *room, int sides, const float *shares, int h, int w, const uint8_t *photo, int height,
                int width, float *leads);
/* region.inner_ramp: a matte that rises from a region's edge inwards. */
void sf_inner_ramp(sf_room *room, const uint8_t *region, int height, int width, double ramp, uint8_t *matte);

/* outline.bend_outlines: changes the masks in place; swaying is in field pixels, memory of the room. */
void sf_bend_outlines(sf_room *room, const sf_motion *motion, uint8_t *flows, uint8_t *sways, sf_oscillation *swaying);

/* stream.Course: what lies up and down the stream of each sample, (h, w). */
typedef struct sf_course {
    float *up, *down;
    uint8_t *lip, *foot;
} sf_course;

/* stream.follow: the course is memory of the room. */
void sf_follow(sf_room *room, const float *velocity, const uint8_t *layers, const uint8_t *order, int h, int w,
               sf_course *course);
/* stream.doubt: trust in what lies near a lip. */
void sf_trust_at_lips(const sf_course *course, int h, int w, float *trust);
/* stream.settle: factor on the speed along each stream. */
void sf_settle(sf_room *room, const sf_course *course, const float *travel, int h, int w, float *factor);

/* layer.push_pull: (h, w, c) values where known is above 0, continued elsewhere. */
void sf_push_pull(sf_room *room, const float *values, const float *known, int h, int w, int c, float *out);
/* layer.owners: which layer goes on in each sample. */
void sf_owners(sf_room *room, const uint8_t *classes, const float *known, const float *speed, const uint8_t *order,
               int h, int w, uint8_t *owner);
/* layer.continue_values: push-pull for each class on its own. */
void sf_continue_values(sf_room *room, const float *values, const float *known, const uint8_t *classes,
                        const uint8_t *owner, int h, int w, int c, float *out);
/* layer.continue_plate: fill is (h, w, 3), plate (height, width, 3). */
void sf_continue_plate(sf_room *room, const uint8_t *photo, const uint8_t *region, int height, int width,
                       const uint8_t *owner, const float *fill, int h, int w, double reach, uint8_t *plate);

/* tone.tone_curve: 1 where each shade of a photo has one colour, which curve then holds, else 0. */
int sf_tone_curve(const uint8_t *photo, int height, int width, float curve[256][3]);
/* tone.toned, in place. */
void sf_toned(float *colours, size_t count, float curve[256][3]);

/* What a layer's confidence and matte are made from; all (h, w) but flows and sways, which are (height, width). */
typedef struct sf_regions {
    int height, width, h, w;
    double unit; /* pixels of this picture in one of a 1280-wide one */
    const uint8_t *flows, *sways, *kinds, *order;
    const float *known; /* 0..1 where the photo shows the layer */
} sf_regions;

/* scene._flow_samples and scene._apart. */
void sf_flow_samples(sf_room *room, const sf_regions *regions, uint8_t *flow);
void sf_apart(sf_room *room, const sf_regions *regions, const uint8_t *flow, float *apart);
/* scene._confidence_ramp and scene._confidence_behind, with the floor and trust at lips. */
void sf_confidence(sf_room *room, const sf_regions *regions, const float *apart, const float *at_lips, float *inside);
/* scene._soft_outside and scene._matte_and_plate. */
void sf_matte_and_plate(sf_room *room, const sf_regions *regions, const uint8_t *photo, const uint8_t *owner,
                        const float *fill, uint8_t *matte, uint8_t *plate);

/* What the generator is asked about: generator.Layer. plate and inside are changed in place. */
typedef struct sf_layer {
    int height, width, h, w, frames;
    const uint8_t *photo, *matte, *cycles;
    const float *known, *velocity;
    uint8_t *plate;
    float *inside;
} sf_layer;

/* generator.consult; curve is null for a photo in colours. */
void sf_consult(sf_room *room, const sf_network *generator, const sf_rules *rules, const sf_layer *layer,
                float (*curve)[3]);

#endif
