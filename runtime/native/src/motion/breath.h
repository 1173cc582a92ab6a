/* SPDX-License-Identifier: Apache-2.0 */
/* What breathes: stillflow.breath in C; shoulders are also how light finds a face. */
#ifndef SF_BREATH_H
#define SF_BREATH_H

#include "motion/draws.h"
#include "motion/motion.h"

/* First row of a figure, row of its shoulders, column of the chest's middle, and width at the shoulders, samples. */
typedef struct sf_shoulders {
    int top, line;
    double middle, wide;
} sf_shoulders;

/* shoulders: of one person, (h, w), who has at least one sample. */
sf_shoulders sf_find_shoulders(sf_room *room, const uint8_t *figure, int h, int w);

/*
 * breathing: of every figure in a region. The first two planes of drawn, (2, h, w, 4) samples, are written: the
 * breath's frequency and twice that.
 */
void sf_breathe(sf_room *room, sf_draws *draws, const uint8_t *region, int h, int w, int upright, float *drawn);

#endif
