/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a PNG: its filters undone (PNG specification, section 9), and its channels made those that are wanted. */
#ifndef SF_PNG_ROWS_H
#define SF_PNG_ROWS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Undo filter 0..4 of a row of pixels of 1, 3 or 4 channels. above is the row above, after its own filter was undone;
 * 0 above the first. The three rows lie apart.
 */
void sf_png_unfilter(int filter, const uint8_t *row, const uint8_t *above, uint8_t *out, size_t pixels, int channels);

/* From 1 (gray), 3 or 4 channels to 1 (the first one), 3 or 4 (alpha 255 where there is none). */
void sf_png_spread(const uint8_t *row, int channels, uint8_t *out, int wanted, size_t pixels);

#endif
