/* SPDX-License-Identifier: Apache-2.0 */
/* A loop that plays: a prepared scene and what it stands on. */
#ifndef SF_LOOP_H
#define SF_LOOP_H

#include "room.h"

struct sf_loop {
    sf_room room;           /* everything that the loop holds, itself included, but for the mapped file */
    const void *map;        /* the mapped file, or null */
    size_t map_bytes;
    sf_scene_arrays arrays;
    const sf_scene *scene;
    double fps, moving;
    const char *about;
    size_t about_bytes;
};

/*
 * A loop of arrays that lie in the room: prepares the scene, and takes the room over, which is empty afterwards. Gives
 * up where the kernels refuse the arrays.
 */
sf_loop *sf_loop_of(sf_room *room, const sf_scene_arrays *arrays, double fps);

/* Read a .sflow file that lies in memory: arrays (all but isa), fps and about; pieces are the room's or the file's. */
void sf_scene_file_read(sf_room *room, const uint8_t *bytes, size_t size, sf_loop *loop);

#endif
