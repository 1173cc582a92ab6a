/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of a .sflow file: numbers and bytes, plain or packed (docs/sflow.md), to the arrays that the kernels read. */
#ifndef SF_PACKED_H
#define SF_PACKED_H

#include "loop/container.h"

/* Bytes of the memory that a section of the given kind needs while it is unpacked; 0 where none. */
uint64_t sf_unpack_memory(const sf_section *section);

/*
 * Numbers to floats: `together`, 1, 2 or 4, planes lie side by side, (planes / together, rows, columns, together).
 * Gives up where the bytes are damaged. The room's scratch is rewound.
 */
void sf_unpack_numbers(sf_room *room, const sf_section *section, const char *name, int32_t together, float *out);

/* Packed bytes, one plane. */
void sf_unpack_plane(sf_room *room, const sf_section *section, const char *name, uint8_t *out);

#endif
