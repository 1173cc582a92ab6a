/* SPDX-License-Identifier: Apache-2.0 */
#include "jpeg.h"

#include <string.h>

#include "look.h"

static void take_samples(sf_jpeg *j, int with_coefficients) {
    for (int i = 0; i < j->components; i++) {
        sf_jpeg_component *const c = j->component + i;
        const uint64_t across = (uint64_t)c->padded_x, blocks = across * (uint64_t)c->padded_y;
        c->stride = 8 * (size_t)across;
        c->samples = sf_take(j->room, across * 2 * (uint64_t)c->v, 64);
        if (with_coefficients) c->coefficients = sf_take_zeroed(j->room, blocks, 64 * sizeof(int16_t));
    }
    sf_jpeg_begin_rows(j);
}

/* From all coefficients to all rows, some at a time. */
static void finish_rows(sf_jpeg *j) {
    for (int32_t y = 0; y < j->mcus_y; y++) {
        for (int i = 0; i < j->components; i++) {
            sf_jpeg_component *const c = j->component + i;
            for (int32_t row = y * c->v; row < (y + 1) * c->v; row++) {
                const int16_t *block = c->coefficients + 64 * (size_t)row * (size_t)c->padded_x;
                uint8_t *const out = sf_jpeg_samples(c, 8 * row);
                for (int32_t x = 0; x < c->padded_x; x++, block += 64)
                    sf_jpeg_idct(block, c->quant, out + 8 * (size_t)x, c->stride);
            }
        }
        sf_jpeg_write_rows(j, 8 * j->v * (y + 1) - (j->v - 1));
    }
}

void sf_jpeg_decode(sf_room *room, const uint8_t *bytes, size_t size, uint8_t *out, int32_t channels) {
    sf_jpeg j;
    memset(&j, 0, sizeof j);
    j.room = room;
    sf_picture picture;
    if (sf_jpeg_look(bytes, size, &picture))
        sf_jpeg_give_up(&j, "it is no JPEG, is cut off, or has a size beyond the limits");
    const sf_mark mark = sf_room_mark(room);
    j.next = bytes + 2;
    j.end = bytes + size;
    j.width = picture.width;
    j.height = picture.height;
    j.adobe_transform = -1;
    j.out = out;
    j.channels = channels;
    int has_coefficients = 0;
    while (sf_jpeg_read_segments(&j) == SF_JPEG_SCAN) {
        if (j.scans == 1) {
            has_coefficients = j.is_progressive || j.scanned_count < j.components;
            take_samples(&j, has_coefficients);
            j.plain = sf_take(room, (uint64_t)(j.end - j.next), 1);
        }
        sf_jpeg_read_scan(&j);
    }
    if (has_coefficients) finish_rows(&j);
    sf_jpeg_write_rows(&j, j.height);
    sf_room_rewind(room, mark);
}
