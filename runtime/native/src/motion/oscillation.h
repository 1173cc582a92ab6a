/* SPDX-License-Identifier: Apache-2.0 */
/* What oscillates: stillflow.oscillation in C, used where motion is drawn and where a scene is cut. */
#ifndef SF_OSCILLATION_H
#define SF_OSCILLATION_H

#include "motion/draws.h"
#include "motion/motion.h"

#define SF_FAR 1e6f /* stillflow.oscillation.FAR */
#define SF_WORKING_SIDE 192.0 /* samples of the longer side at which sway and light are drawn */

/* distance_to: of every sample from a mask, SF_FAR when it is empty. */
void sf_distance_to(sf_room *room, const uint8_t *mask, int h, int w, float *distance);
/* behind: what lies behind a region. */
void sf_behind(sf_room *room, const uint8_t *region, const uint8_t *classes, const uint8_t *order, int h, int w,
               uint8_t *over);
/* reach_of: samples beyond an outline that each class may be bent along. */
void sf_reach_of(const uint8_t *classes, int h, int w, float *reach);
/* envelope: the largest displacement of each sample. */
void sf_envelope(const sf_oscillation *sway, int h, int w, float *amplitude);
/* held: amplitudes that go to 0 where a region is held. */
void sf_held(sf_room *room, const float *amplitude, const uint8_t *region, const uint8_t *over, int h, int w,
             float slope, const float *reach, float *allowed);
/* steepness: the largest change of a displacement from one sample to the next. */
double sf_steepness(sf_room *room, const sf_oscillation *sway, int h, int w);
/* in_loop: the same with whole periods in a loop; periods is memory of the room. */
void sf_in_loop(sf_room *room, const sf_oscillation *given, int h, int w, double seconds, int32_t frames,
                sf_oscillation *fitted, int32_t **periods);
/* smooth_noise: of about unit variance, varying over so many samples. */
void sf_smooth_noise(sf_room *room, sf_draws *draws, int h, int w, double length, float *noise);
/* geodesic: length of the shortest way from where a start value is given; a step outside costs so many times more. */
void sf_geodesic(sf_room *room, const float *start, const uint8_t *inside, float outside_cost, int h, int w,
                 float *distance);
/* spread: values (count, h, w, channels) continued beyond a region by their Gaussian mean; spread may be values. */
void sf_spread(sf_room *room, const float *values, const uint8_t *region, int count, int h, int w, int channels,
               double sigma, float *spread);
/* light.change and light.touched: (height, width) 1 where light changes a pixel. */
void sf_light_touches(sf_room *room, const sf_oscillation *light, int h, int w, int height, int width,
                      uint8_t *touched);

#endif
