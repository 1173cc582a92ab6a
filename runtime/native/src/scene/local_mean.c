/* SPDX-License-Identifier: Apache-2.0 */
/* The local mean of a plate: what the kernels subtract before they compare textures. */
#include "raster/raster.h"
#include "scene/making.h"

#define SF_BLOCK 4        /* pixels that a field sample covers, each way */
#define SF_MEAN_SIDE 9    /* side of the box that is applied twice: kernels.reference.STATISTICS_RADIUS is 4 */

/*
 * Means of whole blocks. Beyond the picture its last row and column repeat. Sums of 16 bytes are exact in float. Four
 * rows are summed first, column by column: those sums are of vectors. columns holds 3 * SF_BLOCK * w.
 */
static void mean_of_blocks(const uint8_t *plate, int32_t height, int32_t width, int32_t h, int32_t w, uint16_t *columns,
                           float *blocks) {
    const size_t stride = 3 * (size_t)width, end = 3 * (size_t)SF_BLOCK * (size_t)w;
    for (int32_t i = 0; i < h; i++) {
        const uint8_t *rows[SF_BLOCK];
        for (int32_t k = 0; k < SF_BLOCK; k++)
            rows[k] = plate + (size_t)(SF_BLOCK * i + k < height ? SF_BLOCK * i + k : height - 1) * stride;
        for (size_t x = 0; x < stride; x++) columns[x] = (uint16_t)(rows[0][x] + rows[1][x] + rows[2][x] + rows[3][x]);
        for (size_t x = stride; x < end; x++) columns[x] = columns[x - 3];
        float *out = blocks + (size_t)i * (size_t)w * 3;
        for (int32_t j = 0; j < w; j++, out += 3) {
            const uint16_t *p = columns + 3 * (size_t)SF_BLOCK * (size_t)j;
            for (int c = 0; c < 3; c++)
                out[c] = (float)(p[c] + p[c + 3] + p[c + 6] + p[c + 9]) * (1.0f / (SF_BLOCK * SF_BLOCK));
        }
    }
}

void sf_local_mean(sf_room *room, const uint8_t *plate, int32_t height, int32_t width, float *low) {
    const int32_t h = (height + SF_BLOCK - 1) / SF_BLOCK, w = (width + SF_BLOCK - 1) / SF_BLOCK;
    const sf_mark mark = sf_room_mark(room);
    float *once = sf_take(room, (uint64_t)h * (uint64_t)w * 3, sizeof(float));
    uint16_t *columns = sf_take(room, 3 * SF_BLOCK * (uint64_t)w, sizeof *columns);
    mean_of_blocks(plate, height, width, h, w, columns, low);
    sf_blur_f32(room, low, h, w, 3, SF_MEAN_SIDE, SF_REPLICATE, once);
    sf_blur_f32(room, once, h, w, 3, SF_MEAN_SIDE, SF_REPLICATE, low);
    sf_room_rewind(room, mark);
}
