/* SPDX-License-Identifier: Apache-2.0 */
/* The sections of a .sflow file to the arrays that the kernels read. */
#ifndef SF_SCENE_FILE_H
#define SF_SCENE_FILE_H

#include "kernels/scene.h"
#include "loop/container.h"

/* Sizes only: enough for sf_sizes. */
void sf_scene_file_sizes(const sf_container *container, sf_scene_arrays *arrays);

/* Bytes that reading the file takes at its peak, at least: a decoder's own memory comes on top. */
uint64_t sf_scene_file_memory(const sf_container *container, size_t scene_bytes, size_t scratch_bytes);

/* Give up where a section's hash does not fit its bytes. */
void sf_scene_file_check(sf_room *room, const sf_container *container);

/* What every frame reads: photo, matte, sway, blend and light. Pieces are the room's or the file's. */
void sf_scene_file_lasting(sf_room *room, const sf_container *container, sf_scene_arrays *arrays);

/* What only sf_prepare_rest reads; the photo is there already. The plate is packed into a scene that is laid out. */
void sf_scene_file_passing(sf_room *room, const sf_container *container, sf_scene *scene, sf_scene_arrays *arrays);

#endif
