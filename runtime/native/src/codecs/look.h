/* SPDX-License-Identifier: Apache-2.0 */
/* What each decoder tells of a file without decoding it: sf_picture_look asks them in turn. */
#ifndef SF_LOOK_H
#define SF_LOOK_H

#include "codecs.h"

#define SF_SIDE_MOST 65535
#define SF_PIXELS_MOST ((uint64_t)1 << 27)

/* Fill a picture; 0, or 1 where the bytes are of another kind, are cut off, or tell a size beyond the limits. */
int sf_png_look(const uint8_t *bytes, size_t size, sf_picture *picture);
int sf_jpeg_look(const uint8_t *bytes, size_t size, sf_picture *picture);
int sf_webp_look(const uint8_t *bytes, size_t size, sf_picture *picture);

/* The same for all: fill it if the size is within the limits. */
static inline int sf_picture_fill(sf_picture *picture, int32_t kind, uint32_t width, uint32_t height,
                                  int32_t channels) {
    if (!width || !height || width > SF_SIDE_MOST || height > SF_SIDE_MOST) return 1;
    if ((uint64_t)width * height > SF_PIXELS_MOST) return 1;
    *picture = (sf_picture){kind, (int32_t)width, (int32_t)height, channels, 1};
    return 0;
}

#endif
