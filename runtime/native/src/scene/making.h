/* SPDX-License-Identifier: Apache-2.0 */
/* Motion to scene: the Python modules region, outline, stream, layer, tone, generator and scene, in C. */
#ifndef SF_MAKING_H
#define SF_MAKING_H

#include "motion/motion.h"

/*
 * build_scene: fill arrays (all but isa) with memory of the room; photo is used in place. Fields are rounded to the
 * steps of docs/sflow.md. generator may be null.
 */
void sf_build_scene(sf_room *room, const sf_network *generator, const sf_rules *rules, const sf_order *order,
                    const uint8_t *photo, const sf_motion *motion, sf_scene_arrays *arrays);

#define SF_BLOCK 4 /* pixels that a field sample covers, each way */

/* A local mean whose plate comes row by row. */
typedef struct sf_mean {
    int32_t height, width, h, w;
    const uint8_t *rows[SF_BLOCK]; /* of the blocks that have begun */
    uint16_t *columns;             /* sums of them */
    float *low;
} sf_mean;

/* Begin with low, (h, w, 3). Rows come from top to bottom; each is still there when the next three come. */
void sf_mean_begin(sf_mean *mean, sf_room *room, int32_t height, int32_t width, float *low);
void sf_mean_row(sf_mean *mean, int32_t y, const uint8_t *row);
void sf_mean_end(sf_mean *mean, sf_room *room);

/* local_mean: (height, width, 3) to (h, w, 3). */
void sf_local_mean(sf_room *room, const uint8_t *plate, int32_t height, int32_t width, float *low);

/* Round count numbers to whole multiples of 2^exponent, the least that is given or more; returns the exponent. */
int32_t sf_round_to_steps(float *values, size_t count, int32_t least_exponent);

#endif
