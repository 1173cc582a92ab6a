/* SPDX-License-Identifier: Apache-2.0 */
/* The filters of a PNG's rows (PNG specification, section 9), undone. */
#ifndef SF_PNG_FILTERS_H
#define SF_PNG_FILTERS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Undo filter 0..4 of a row of pixels of 1, 3 or 4 channels. above is the row above, after its own filter was undone;
 * 0 above the first. The three rows lie apart.
 */
void sf_png_unfilter(int filter, const uint8_t *row, const uint8_t *above, uint8_t *out, size_t pixels, int channels);

#endif
