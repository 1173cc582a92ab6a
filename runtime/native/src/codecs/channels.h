/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SF_CHANNELS_H
#define SF_CHANNELS_H

#include <stddef.h>
#include <stdint.h>

/* A row of 1 (gray), 3 or 4 channels as one of 1 (the first one), 3 or 4 (alpha 255 where there is none). */
void sf_spread_channels(const uint8_t *row, int channels, uint8_t *out, int wanted, size_t pixels);

#endif
