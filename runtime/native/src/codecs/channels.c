/* SPDX-License-Identifier: Apache-2.0 */
#include "channels.h"

#include <string.h>

void sf_spread_channels(const uint8_t *row, int channels, uint8_t *out, int wanted, size_t pixels) {
    if (wanted == channels) {
        memcpy(out, row, pixels * (size_t)channels);
        return;
    }
    const int second = channels > 1, third = channels > 1 ? 2 : 0;
    for (size_t i = 0; i < pixels; i++, row += channels, out += wanted) {
        out[0] = row[0];
        if (wanted == 1) continue;
        out[1] = row[second];
        out[2] = row[third];
        if (wanted == 4) out[3] = 255; /* only where the file has no alpha: else nothing would have to change */
    }
}
