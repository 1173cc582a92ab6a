/* SPDX-License-Identifier: Apache-2.0 */
/* The local mean of a plate: what the kernels subtract before they compare textures. */
#include <string.h>

#include "raster/raster.h"
#include "scene/making.h"

#define SF_MEAN_SIDE 9    /* side of the box that is applied twice: kernels.reference.STATISTICS_RADIUS is 4 */

/* Four rows are summed first, column by column: those sums are of vectors. Sums of 16 bytes are exact in float. */
static void end_blocks(const uint8_t *const rows[SF_BLOCK], const sf_mean *mean, float *out) {
    const uint8_t *const a = rows[0], *const b = rows[1], *const c = rows[2], *const d = rows[3];
    uint16_t *const columns = mean->columns;
    const size_t stride = 3 * (size_t)mean->width, end = 3 * (size_t)SF_BLOCK * (size_t)mean->w;
    for (size_t x = 0; x < stride; x++) columns[x] = (uint16_t)(a[x] + b[x] + c[x] + d[x]);
    for (size_t x = stride; x < end; x++) columns[x] = columns[x - 3];
    for (const uint16_t *p = columns; p < columns + end; p += 3 * SF_BLOCK, out += 3)
        for (int k = 0; k < 3; k++)
            out[k] = (float)(p[k] + p[k + 3] + p[k + 6] + p[k + 9]) * (1.0f / (SF_BLOCK * SF_BLOCK));
}

void sf_mean_begin(sf_mean *mean, sf_room *room, int32_t height, int32_t width, float *low) {
    memset(mean, 0, sizeof *mean);
    mean->height = height;
    mean->width = width;
    mean->h = (height + SF_BLOCK - 1) / SF_BLOCK;
    mean->w = (width + SF_BLOCK - 1) / SF_BLOCK;
    mean->low = low;
    mean->columns = sf_take(room, 3 * SF_BLOCK * (uint64_t)mean->w, sizeof *mean->columns);
}

void sf_mean_row(sf_mean *mean, int32_t y, const uint8_t *row) {
    /* Beyond the picture its last row and column repeat. */
    const int32_t last = y == mean->height - 1 ? SF_BLOCK - 1 : y % SF_BLOCK;
    for (int32_t k = y % SF_BLOCK; k <= last; k++) mean->rows[k] = row;
    if (last == SF_BLOCK - 1) end_blocks(mean->rows, mean, mean->low + (size_t)(y / SF_BLOCK) * (size_t)mean->w * 3);
}

void sf_mean_end(sf_mean *mean, sf_room *room) {
    const sf_mark mark = sf_room_mark(room);
    float *once = sf_take(room, (uint64_t)mean->h * (uint64_t)mean->w * 3, sizeof(float));
    sf_blur_f32(room, mean->low, mean->h, mean->w, 3, SF_MEAN_SIDE, SF_REPLICATE, once);
    sf_blur_f32(room, once, mean->h, mean->w, 3, SF_MEAN_SIDE, SF_REPLICATE, mean->low);
    sf_room_rewind(room, mark);
}

void sf_local_mean(sf_room *room, const uint8_t *plate, int32_t height, int32_t width, float *low) {
    const sf_mark mark = sf_room_mark(room);
    sf_mean mean;
    sf_mean_begin(&mean, room, height, width, low);
    for (int32_t y = 0; y < height; y++) sf_mean_row(&mean, y, plate + (size_t)y * 3 * (size_t)width);
    sf_mean_end(&mean, room);
    sf_room_rewind(room, mark);
}
