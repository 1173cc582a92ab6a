/* SPDX-License-Identifier: Apache-2.0 */
/* A way into rooms for tests in Python, where nothing can be jumped to. */
#include <stdlib.h>

#include "room.h"

sf_room *test_room_open(uint64_t limit, sf_error *error) {
    sf_room *room = malloc(sizeof *room);
    if (room) sf_room_open(room, limit, error);
    return room;
}

void test_room_close(sf_room *room) {
    sf_room_close(room);
    free(room);
}

/* Call body(room, argument); the status of an error, after which the room is empty, or 0. */
int32_t test_try(sf_room *room, void (*body)(sf_room *, void *), void *argument) {
    if (setjmp(room->way_out)) {
        sf_room_close(room);
        return room->status;
    }
    body(room, argument);
    return 0;
}
