/* SPDX-License-Identifier: Apache-2.0 */
/* Header and table of a .sflow file (docs/sflow.md), checked. */
#ifndef SF_CONTAINER_H
#define SF_CONTAINER_H

#include "room.h"

#define SF_SECTIONS_MOST 64

/* Kinds of sections; those of the file's numbers 1..12, then what may be skipped. */
typedef enum sf_kind {
    SF_KIND_PHOTO = 1,
    SF_KIND_MATTE = 2,
    SF_KIND_PLATE = 3,
    SF_KIND_VELOCITY = 4,
    SF_KIND_FLOW = 5,
    SF_KIND_CYCLES = 6,
    SF_KIND_INSIDE = 7,
    SF_KIND_SWAY = 8,
    SF_KIND_SWAY_PERIODS = 9,
    SF_KIND_LIGHT = 10,
    SF_KIND_LIGHT_PERIODS = 11,
    SF_KIND_BLEND = 12,
    SF_KIND_ABOUT = 13, /* 0x8001 in the file */
    SF_KINDS = 14
} sf_kind;

typedef enum sf_encoding {
    SF_RAW = 0,
    SF_PNG = 1,
    SF_JPEG = 2,
    SF_WEBP = 3,
    SF_NUMBERS = 4,
    SF_PACKED_NUMBERS = 5,
    SF_PACKED_BYTES = 6
} sf_encoding;

typedef struct sf_section {
    const uint8_t *bytes; /* null where the file has none of the kind */
    size_t size;
    const uint8_t *sum;   /* SHA-256 that the table says */
    int32_t encoding, exponent;
    int32_t planes, rows, columns;
} sf_section;

typedef struct sf_container {
    int32_t width, height, h, w; /* of the picture, and of the fields */
    int32_t frames, minor, skipped;
    int32_t harmonics, lights;
    double fps;
    sf_section sections[SF_KINDS]; /* by sf_kind */
} sf_container;

/* Check everything that can be checked without memory; gives up where a file is not what it should be. */
void sf_container_read(sf_room *room, const uint8_t *bytes, size_t size, sf_container *container);

/* Name of a kind, for errors. */
const char *sf_kind_name(sf_kind kind);

/* Give up on a damaged file. why is a printf format. */
_Noreturn void sf_damaged(sf_room *room, const char *why, ...) SF_PRINTS(2, 3);

#endif
