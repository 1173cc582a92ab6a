/* SPDX-License-Identifier: Apache-2.0 */
/* What the wind bends: the plants and the cloth of stillflow.sway, in samples, before they are held anywhere. */
#ifndef SF_WIND_H
#define SF_WIND_H

#include "motion/draws.h"
#include "motion/motion.h"

/* A picture's wind and what it blows through; all fields are (h, w). */
typedef struct sf_wind {
    int h, w;
    float direction[2];     /* unit vector */
    const float *travelled; /* seconds that a gust needs to each sample */
    const float *leaves;    /* relative size of details */
    const float *hz;        /* SF_OSCILLATIONS frequencies: gust, branches, branches, twigs, leaves */
} sf_wind;

/* heights: of each sample above where its plant is held, and of the whole plant, picture widths. */
void sf_heights(sf_room *room, const uint8_t *region, const uint8_t *over, int h, int w, float *height, float *whole);

/* foliage, cloth: what lies in front of `over`, drawn into (SF_OSCILLATIONS, h, w, 4) samples that are 0. */
void sf_draw_foliage(sf_room *room, sf_draws *draws, const uint8_t *region, const uint8_t *over, const sf_wind *wind,
                     float *drawn);
void sf_draw_cloth(sf_room *room, sf_draws *draws, const uint8_t *region, const uint8_t *over, const sf_wind *wind,
                   float *drawn);

#endif
