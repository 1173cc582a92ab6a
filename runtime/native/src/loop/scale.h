/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of a frame at another size. Along each axis a mean of the area where it shrinks, else bilinear between pixel
 * centres (cv2.resize's INTER_AREA and INTER_LINEAR). A row is a function of the frame alone, so that any split of the
 * rows gives the same bytes. Down comes first, then across.
 */
#ifndef SF_SCALE_H
#define SF_SCALE_H

#include "kernels/scene.h"

/* Rows of the scene that are composed at once: 92 kB of a picture of 1920, so that they stay in the second cache. */
#define SF_BAND_ROWS 16

/* Rows of the scene as they are asked for, from top to bottom; never one that was left behind. */
typedef struct sf_band {
    const sf_scene *scene;
    const float *planes;
    uint8_t *memory;
    ptrdiff_t stride;
    int32_t top, bottom; /* rows that are in memory */
    int32_t end;         /* rows beyond this are not asked for */
} sf_band;

typedef struct sf_scaler {
    sf_band band;
    int32_t width, height; /* of the target */
    float *sums;           /* of a row of the scene, where it shrinks downwards */
    int16_t *line;         /* the same, and a pixel more */
    int32_t *at;           /* of each pixel, where it does not shrink sideways */
    int16_t *share;
} sf_scaler;

size_t sf_band_bytes(const sf_scene *scene);
void sf_band_begin(sf_band *band, const sf_scene *scene, const float *planes, int32_t y0, int32_t y1, void *memory);
/* Row y, and those behind it that `count` asks for, at most two, band->stride from one to the next. */
const uint8_t *sf_band_rows(sf_band *band, int32_t y, int32_t count);

size_t sf_scaler_bytes(const sf_scene *scene, int32_t width, int32_t height);
/* Begin with rows y0..y1-1 of the target. */
void sf_scaler_begin(sf_scaler *scaler, const sf_scene *scene, const float *planes, int32_t width, int32_t height,
                     int32_t y0, int32_t y1, void *memory);
/* Write row y of the target, width pixels of RGB; rows are asked for from top to bottom. */
void sf_scaler_row(sf_scaler *scaler, int32_t y, uint8_t *out);

#endif
