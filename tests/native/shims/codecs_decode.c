/* SPDX-License-Identifier: Apache-2.0 */
/* Decode a picture from Python: what gives up comes back as its status. */
#include "codecs/codecs.h"

int32_t test_try(sf_room *room, void (*body)(sf_room *, void *), void *argument);

typedef struct job {
    const uint8_t *bytes;
    size_t size;
    uint8_t *out;
    int32_t channels;
} job;

static void decode(sf_room *room, void *argument) {
    const job *j = argument;
    sf_picture_decode(room, j->bytes, j->size, j->out, j->channels);
}

int32_t test_picture_decode(sf_room *room, const uint8_t *bytes, size_t size, uint8_t *out, int32_t channels) {
    job j = {bytes, size, out, channels};
    return test_try(room, decode, &j);
}

/* Bytes of the room that are in use: none after a decoder is done. */
uint64_t test_room_used(const sf_room *room) { return room->used; }
