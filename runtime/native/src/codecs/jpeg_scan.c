/* SPDX-License-Identifier: Apache-2.0 */
/* All blocks of a scan: T.81, section A.2. */
#include <string.h>

#include "jpeg.h"

/* Every restart_interval MCUs there is a marker, 0xffd0 to 0xffd7 in turn, after which nothing is remembered. */
static void restart(sf_jpeg *j, uint32_t number) {
    if (sf_jpeg_bits_are_bad(&j->in)) sf_jpeg_give_up(j, "its compressed data are damaged");
    const uint8_t *p = j->next;
    while (j->end - p >= 2 && p[0] == 0xff && p[1] == 0xff) p++;
    if (j->end - p < 2 || p[0] != 0xff || p[1] != 0xd0 + (number & 7))
        sf_jpeg_give_up(j, "its compressed data are damaged");
    j->next = p + 2;
    sf_jpeg_begin_bits(j);
}

static void read_block(sf_jpeg *j, sf_jpeg_component *c, int32_t x, int32_t y) {
    if (c->coefficients) {
        sf_jpeg_read_block(j, c, c->coefficients + 64 * ((size_t)y * (size_t)c->padded_x + (size_t)x));
        return;
    }
    int16_t block[64] = {0};
    sf_jpeg_read_block(j, c, block);
    sf_jpeg_idct(block, c->quant, sf_jpeg_samples(c, 8 * y) + 8 * (size_t)x, c->stride);
}

/* A single channel comes block by block, as many as hold pixels; several come MCU by MCU. */
void sf_jpeg_read_scan(sf_jpeg *j) {
    sf_jpeg_component *const single = j->scanned_count == 1 ? j->scanned[0] : 0;
    const int32_t across = single ? single->blocks_x : j->mcus_x, down = single ? single->blocks_y : j->mcus_y;
    uint32_t restarts = 0;
    int32_t left = j->restart_interval;
    sf_jpeg_begin_bits(j);
    for (int32_t y = 0; y < down; y++) {
        for (int32_t x = 0; x < across; x++) {
            if (j->restart_interval && left-- == 0) {
                restart(j, restarts++);
                left = j->restart_interval - 1;
            }
            if (single) {
                read_block(j, single, x, y);
                continue;
            }
            for (int i = 0; i < j->scanned_count; i++) {
                sf_jpeg_component *const c = j->scanned[i];
                for (int k = 0; k < c->h * c->v; k++) read_block(j, c, x * c->h + k % c->h, y * c->v + k / c->h);
            }
        }
        if (sf_jpeg_bits_are_bad(&j->in)) sf_jpeg_give_up(j, "its compressed data are damaged or cut off");
        /* The last row of chroma is not ready while the next one is unknown: it lies in between. */
        if (!j->scanned[0]->coefficients) sf_jpeg_write_rows(j, 8 * j->v * (y + 1) - (j->v - 1));
    }
}
