/* SPDX-License-Identifier: Apache-2.0 */
/* A loop that plays: a prepared scene and what it stands on. */
#ifndef SF_LOOP_H
#define SF_LOOP_H

#include "loop/map.h"
#include "room.h"

struct sf_loop {
    sf_room room;           /* everything that the loop holds, itself included, but for the mapped file */
    sf_map map;             /* the mapped file, if there is one */
    sf_scene_arrays arrays; /* sizes, and what frames read: photo, matte, sway, blend, light */
    const sf_scene *scene;
    size_t planes_bytes, scratch_bytes; /* of a frame */
    double fps, moving;
    double chance, strength; /* of what was made of a photo, else NaN */
    const char *about;
    size_t about_bytes;
};

/*
 * A loop of arrays that lie in the room: prepares the scene, and takes the room over, which is empty afterwards. Gives
 * up where the kernels refuse the arrays. The loop copies what it needs, and has the room's limit for itself then.
 */
sf_loop *sf_loop_of(sf_room *room, const sf_scene_arrays *arrays, double fps);

/* Planes of the frame that sf_loop_at made in this memory; null where it made none of this loop. */
const float *sf_frame_planes(const sf_loop *loop, const void *frame);

#endif
