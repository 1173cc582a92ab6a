/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A picture, decoded to 1, 3 and 4 channels, then as a photo: turned upright and scaled. What is none is taken for a compressed stream: two bytes that tell its size,
 * one that tells whether it is zlib's, then the stream.
 */
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/opened.h"
#include "codecs/codecs.h"
#include "target.h"

#define MEMORY_LIMIT ((uint64_t)16 << 20)
#define PIXELS_MOST ((size_t)1 << 16)

static void decode(const uint8_t *bytes, size_t size, const sf_picture *picture, int32_t channels) {
    uint8_t *out = malloc((size_t)picture->width * (size_t)picture->height * (size_t)channels);
    sf_error error = {.struct_size = sizeof error};
    sf_room room;
    if (!out) abort();
    sf_room_open(&room, MEMORY_LIMIT, &error);
    if (!setjmp(room.way_out)) {
        sf_picture_decode(&room, bytes, size, out, channels);
        if (room.used) abort(); /* its scratch is given back */
    } else if (!error.status || !error.why[0] || !error.fix[0]) {
        abort();
    }
    sf_room_close(&room);
    free(out);
}

static void read_photo(const uint8_t *bytes, size_t size, int32_t long_side) {
    const sf_photo photo = {.struct_size = sizeof photo, .file = bytes, .file_bytes = size};
    sf_error error = {.struct_size = sizeof error};
    int32_t height = 0, width = 0;
    sf_room room;
    sf_room_open(&room, MEMORY_LIMIT, &error);
    if (!setjmp(room.way_out)) sf_photo_read(&room, &photo, long_side, &height, &width);
    else if (!error.status || !error.why[0] || !error.fix[0]) abort();
    sf_room_close(&room);
}

static void inflate(const uint8_t *bytes, size_t size) {
    if (size < 3) return;
    const size_t out_size = (size_t)bytes[0] | (size_t)bytes[1] << 8, packed = size - 3;
    uint8_t *out = malloc(out_size ? out_size : 1), *in = malloc(packed ? packed : 1);
    if (!out || !in) abort();
    memcpy(in, bytes + 3, packed);
    sf_inflate(in, packed, out, out_size, bytes[2] & 1);
    free(in);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sf_picture picture;
    if (sf_picture_look(data, size, &picture)) {
        inflate(data, size);
        return 0;
    }
    if (picture.width < 1 || picture.height < 1 || picture.turn < 1 || picture.turn > 8) abort();
    if ((size_t)picture.width * (size_t)picture.height > PIXELS_MOST) return 0;
    decode(data, size, &picture, 1);
    decode(data, size, &picture, 3);
    decode(data, size, &picture, 4);
    read_photo(data, size, data[size / 2] % 4 * 13);
    return 0;
}
