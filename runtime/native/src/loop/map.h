/* SPDX-License-Identifier: Apache-2.0 */
/* A file in memory, to be read. */
#ifndef SF_MAP_H
#define SF_MAP_H

#include "room.h"

typedef struct sf_map {
    const uint8_t *bytes; /* null where nothing is mapped */
    size_t size;
} sf_map;

/*
 * Map a file; where the system has no maps, read it. Returns SF_OK, or fills the error. A file that another program
 * cuts short while it is mapped ends this one: replace files by renaming new ones.
 */
int32_t sf_map_open(sf_map *map, const char *path, uint64_t most, sf_error *error);

/* Give it back; an empty map is allowed. */
void sf_map_close(sf_map *map);

#endif
