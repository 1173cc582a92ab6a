/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/loop.h"

/* sf_loop_of at 25 frames a second; the status. */
int32_t test_loop_of(sf_room *room, const sf_scene_arrays *arrays, sf_loop **loop) {
    *loop = 0;
    if (setjmp(room->way_out)) {
        sf_room_close(room);
        return room->status;
    }
    *loop = sf_loop_of(room, arrays, 25);
    return room->used ? -1 : SF_OK;
}
