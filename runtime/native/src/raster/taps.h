/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resizing by a few samples and weights along each axis, for resize.c and resize_area.c.
 *
 * OpenCV finds where output sample d lies in the input with scale = 1 / (out / in), a double:
 *     SF_AT_CENTRES  s = (d + 1/2) scale - 1/2, rounded to float; the sample is floor(s), the next's weight the rest;
 *     SF_AT_CELLS    floor(d scale), and the share of cell d that lies in the next sample (INTER_AREA where it grows).
 * Found by experiment, sizes 1..70 and more: beyond the first and last sample the columns' weights become 1 and 0, but
 * the rows' stay as they are and only the rows are held; in fixed point that shows.
 */
#ifndef SF_TAPS_H
#define SF_TAPS_H

#include "raster.h"

typedef enum sf_spacing { SF_AT_CENTRES = 0, SF_AT_CELLS = 1 } sf_spacing;

/* 1 / (out / in): not in / out, which has other last bits. */
static inline double sf_scale(int in, int out) { return 1.0 / ((double)out / in); }

/* Two samples each way; of bytes SF_AT_CELLS. */
void sf_stretch_u8(sf_room *room, const uint8_t *in, int h, int w, int c, uint8_t *out, int oh, int ow);
void sf_stretch_f32(sf_room *room, const float *in, int h, int w, int c, float *out, int oh, int ow,
                    sf_spacing spacing);

#endif
