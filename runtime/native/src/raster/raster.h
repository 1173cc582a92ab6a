/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the way from a photo to a scene does to arrays: the operations of OpenCV and NumPy that the Python side calls,
 * with the same results; tests/native/raster compares. Arrays are dense, row by row, channels interleaved: (h, w, c).
 * Input and output must not overlap unless it is said. Scratch is taken from the room and given back. Sizes are the
 * caller's: at least 1.
 *
 * The same as OpenCV 5.0 without IPP, which x86-64 has and which moves floats' last bits: all bytes, labels, indices;
 * area, linear and nearest sizes of floats (but 2 x 2 cells: 6e-8); distances; floats' boxes and percentiles.
 * Largest differences measured on values of 0..1: cubic 3e-7, Gauss 8e-7, pyramid 1.5e-7, remap 2e-7; warp 2e-7 at a
 * scale of 1/4, else 1.5e-5 at 200 samples (OpenCV's positions are floats); L*a*b* of floats 0.016, 1 colour of 1000.
 * With IPP in OpenCV: linear and cubic sizes 1.4e-5, distances 4e-6 of the distance.
 */
#ifndef SF_RASTER_H
#define SF_RASTER_H

#include "room.h"

/* cv2.resize: INTER_AREA (bilinear of its own kind where a side grows), INTER_LINEAR, INTER_CUBIC, INTER_NEAREST. */
void sf_resize_area_u8(sf_room *room, const uint8_t *in, int h, int w, int c, uint8_t *out, int oh, int ow);
void sf_resize_area_f32(sf_room *room, const float *in, int h, int w, int c, float *out, int oh, int ow);
void sf_resize_linear_f32(sf_room *room, const float *in, int h, int w, int c, float *out, int oh, int ow);
void sf_resize_cubic_f32(sf_room *room, const float *in, int h, int w, int c, float *out, int oh, int ow);
void sf_resize_nearest(const void *in, int h, int w, size_t pixel_bytes, void *out, int oh, int ow);

typedef enum sf_border { SF_REFLECT_101 = 0, SF_REPLICATE = 1 } sf_border;

/* cv2.blur with a square box of an odd side; SF_REFLECT_101 is OpenCV's default. */
void sf_blur_f32(sf_room *room, const float *in, int h, int w, int c, int side, sf_border border, float *out);

/* cv2.GaussianBlur(in, (0, 0), sigma) of floats; and with another border than OpenCV's default. */
void sf_gaussian_f32(sf_room *room, const float *in, int h, int w, int c, double sigma, float *out);
void sf_gaussian_beyond_f32(sf_room *room, const float *in, int h, int w, int c, double sigma, sf_border border,
                            float *out);

/* cv2.pyrDown of one float plane; out is ((h + 1) / 2, (w + 1) / 2). */
void sf_pyr_down_f32(sf_room *room, const float *in, int h, int w, float *out);

/* cv2.erode, cv2.dilate with a square of an odd side, repeated; out may be in. */
void sf_erode_u8(sf_room *room, const uint8_t *in, int h, int w, int side, int iterations, uint8_t *out);
void sf_dilate_u8(sf_room *room, const uint8_t *in, int h, int w, int side, int iterations, uint8_t *out);
/* cv2.dilate of floats with a square of 3 x 3. */
void sf_dilate_f32(const float *in, int h, int w, float *out);
/* cv2.morphologyEx MORPH_CLOSE, MORPH_OPEN with a square. */
void sf_close_u8(sf_room *room, const uint8_t *in, int h, int w, int side, uint8_t *out);
void sf_open_u8(sf_room *room, const uint8_t *in, int h, int w, int side, uint8_t *out);

/*
 * cv2.distanceTransform(in, DIST_L2, DIST_MASK_5): to the nearest 0 of in. And stillflow.layer.nearest_to: distance to
 * the nearest non-0 of where, and that sample's index (y * w + x); nearest may be null.
 */
void sf_distance(sf_room *room, const uint8_t *in, int h, int w, float *distance);
void sf_nearest_to(sf_room *room, const uint8_t *where, int h, int w, float *distance, int32_t *nearest);
/* sf_distance of a picture whose outermost samples repeat beyond its border: that is no edge. */
void sf_depth(sf_room *room, const uint8_t *in, int h, int w, float *depth);
/* stillflow.layer.nearest_owner: every 0 of labels gets the nearest label; out may be labels. */
void sf_nearest_owner(sf_room *room, const int32_t *labels, int h, int w, int32_t *out);

typedef struct sf_part { int32_t left, top, width, height, area; } sf_part;

/*
 * cv2.connectedComponentsWithStats of what is not 0, in OpenCV's order of numbers; connectivity 4 or 8. Returns the
 * count, background included. parts, if not null, receives memory of the room with that many entries.
 */
int32_t sf_components(sf_room *room, const uint8_t *in, int h, int w, int connectivity, int32_t *labels,
                      sf_part **parts);

/* cv2.remap(INTER_LINEAR, BORDER_REPLICATE), steps of 1/32 and all. x and y are (oh, ow). */
void sf_remap_linear_f32(sf_room *room, const float *in, int h, int w, int c, const float *x, const float *y,
                         int oh, int ow, float *out);
/* cv2.warpAffine(INTER_LINEAR | WARP_INVERSE_MAP, BORDER_REPLICATE) of one plane; matrix is 2 x 3. */
void sf_warp_affine_f32(sf_room *room, const float *in, int h, int w, const double matrix[6], float *out, int oh,
                        int ow);

/* cv2.cvtColor: COLOR_RGB2LAB of bytes and of floats 0..1, COLOR_RGB2GRAY of bytes. */
void sf_lab_u8(sf_room *room, const uint8_t *in, size_t pixels, uint8_t *out);
void sf_lab_f32(sf_room *room, const float *in, size_t pixels, float *out);
void sf_gray_u8(const uint8_t *in, size_t pixels, uint8_t *out);

/* np.percentile (linear) of floats: values are left as they are. count >= 1, none of them NaN. */
double sf_percentile_f32(sf_room *room, const float *values, size_t count, double percent);

/* np.rint of what is below 2^22: halves to even. */
static inline float sf_rint(float x) {
    const float large = x < 0 ? -12582912.0f : 12582912.0f;
    return (x + large) - large;
}

static inline float sf_clamp(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

/* Whether anything is not 0. */
static inline int sf_any(const uint8_t *mask, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (mask[i]) return 1;
    return 0;
}

#endif
