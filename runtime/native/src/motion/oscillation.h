/* SPDX-License-Identifier: Apache-2.0 */
/* What oscillates: stillflow.oscillation in C, used where motion is drawn and where a scene is cut. */
#ifndef SF_OSCILLATION_H
#define SF_OSCILLATION_H

#include "motion/motion.h"

#define SF_FAR 1e6f /* stillflow.oscillation.FAR */

/* distance_to: of every sample from a mask, SF_FAR when it is empty. */
void sf_distance_to(sf_room *room, const uint8_t *mask, int h, int w, float *distance);
/* behind: what lies behind a region. */
void sf_behind(sf_room *room, const uint8_t *region, const uint8_t *classes, const uint8_t *order, int h, int w, uint8_t *over);
/* reach_of: samples beyond an outline that each class may be bent along. */
void sf_reach_of(const uint8_t *classes, int h, int w, float *reach);
/* envelope: the largest displacement of each sample. */
void sf_envelope(const sf_oscillation *sway, int h, int w, float *amplitude);
/* held: amplitudes that go to 0 where a region is held. */
void sf_held(sf_room *room, const float *amplitude, const uint8_t *region, const uint8_t *over, int h, int w, float slope,
             const float *reach, float *allowed);
/* steepness: the largest change of a displacement from one sample to the next. */
double sf_steepness(sf_room *room, const sf_oscillation *sway, int h, int w);
/* in_loop: the same with whole periods in a loop; periods is memory of the room. */
void sf_in_loop(sf_room *room, const sf_oscillation *given, int h, int w, double seconds, int32_t frames,
                sf_oscillation *fitted, int32_t **periods);
/* light.change and light.touched: (height, width) 1 where light changes a pixel. */
void sf_light_touches(sf_room *room, const sf_oscillation *light, int h, int w, int height, int width, uint8_t *touched);

#endif
