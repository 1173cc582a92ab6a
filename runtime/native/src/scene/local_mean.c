/* SPDX-License-Identifier: Apache-2.0 */
/* The local mean of a plate: what the kernels subtract before they compare textures. */
#include "raster/raster.h"
#include "scene/making.h"

#define SF_BLOCK 4        /* pixels that a field sample covers, each way */
#define SF_MEAN_SIDE 9    /* side of the box that is applied twice: kernels.reference.STATISTICS_RADIUS is 4 */

/* Means of whole blocks. Beyond the picture its last row and column repeat. Sums of 16 bytes are exact in float. */
static void mean_of_blocks(const uint8_t *plate, int32_t height, int32_t width, int32_t h, int32_t w, float *blocks) {
    const size_t stride = 3 * (size_t)width;
    for (int32_t i = 0; i < h; i++) {
        float *out = blocks + (size_t)i * (size_t)w * 3;
        for (int32_t j = 0; j < w; j++) {
            int32_t sum[3] = {0, 0, 0};
            for (int32_t k = 0; k < SF_BLOCK; k++) {
                const int32_t y = SF_BLOCK * i + k < height ? SF_BLOCK * i + k : height - 1;
                const uint8_t *row = plate + (size_t)y * stride;
                for (int32_t l = 0; l < SF_BLOCK; l++) {
                    const int32_t x = SF_BLOCK * j + l < width ? SF_BLOCK * j + l : width - 1;
                    for (int c = 0; c < 3; c++) sum[c] += row[3 * (size_t)x + (size_t)c];
                }
            }
            for (int c = 0; c < 3; c++) out[3 * (size_t)j + (size_t)c] = (float)sum[c] * (1.0f / (SF_BLOCK * SF_BLOCK));
        }
    }
}

void sf_local_mean(sf_room *room, const uint8_t *plate, int32_t height, int32_t width, float *low) {
    const int32_t h = (height + SF_BLOCK - 1) / SF_BLOCK, w = (width + SF_BLOCK - 1) / SF_BLOCK;
    const sf_mark mark = sf_room_mark(room);
    float *once = sf_take(room, (uint64_t)h * (uint64_t)w * 3, sizeof(float));
    mean_of_blocks(plate, height, width, h, w, low);
    sf_blur_f32(room, low, h, w, 3, SF_MEAN_SIDE, SF_REPLICATE, once);
    sf_blur_f32(room, once, h, w, 3, SF_MEAN_SIDE, SF_REPLICATE, low);
    sf_room_rewind(room, mark);
}
