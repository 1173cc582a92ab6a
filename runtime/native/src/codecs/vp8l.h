/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lossless WebP, by "Specification for WebP Lossless Bitstream" (RFC 9649, section 3). Pixels are 0xAARRGGBB.
 *
 * vp8l_codes.c reads the prefix codes, vp8l_pixels.c the pixels that they stand for, vp8l_transforms.c what was done
 * to them before and how it is undone, vp8l_predict.c one of these, the predictors.
 */
#ifndef SF_VP8L_H
#define SF_VP8L_H

#include "bits.h"
#include "room.h"

#define SF_WEBP_WHAT "cannot read the WebP"
#define SF_WEBP_FIX "get the file anew"

_Noreturn void sf_vp8l_give_up(sf_room *room, const char *why);

/* A prefix code: its table, and as many bits as its first lookup takes: 0 where there is a single symbol. */
typedef struct sf_vp8l_code {
    const uint32_t *table;
    uint32_t mask;
} sf_vp8l_code;

/* The five codes that are used together. */
typedef struct sf_vp8l_group {
    sf_vp8l_code green; /* or a length, or a place in the colour cache */
    sf_vp8l_code red, blue, alpha, distance;
    uint32_t constant; /* what red, blue and alpha are where they have one symbol each */
    int is_constant, is_opaque; /* red, blue and alpha; alpha alone */
} sf_vp8l_group;

#define SF_VP8L_LENGTHS 24 /* of the green alphabet, behind 256 values of green */

/* Read count groups. They lie in the room. */
const sf_vp8l_group *sf_vp8l_groups(sf_room *room, sf_bits *in, uint32_t count, int cache_bits);

/* The next symbol. Takes at most 15 bits of those that are there. */
static inline uint32_t sf_vp8l_symbol(sf_bits *in, sf_vp8l_code code) {
    const uint32_t entry = sf_bits_look(in, code.table, code.mask);
    sf_bits_drop(in, entry & 63);
    return entry >> 16;
}

/* Read an image of the stream, into the room. Only the main one may change its codes from block to block. */
uint32_t *sf_vp8l_image(sf_room *room, sf_bits *in, uint32_t width, uint32_t height, int is_main);

typedef enum sf_vp8l_kind { SF_VP8L_PREDICT = 0, SF_VP8L_COLOURS, SF_VP8L_GREEN, SF_VP8L_PALETTE } sf_vp8l_kind;

typedef struct sf_vp8l_transform {
    int kind;
    int bits;       /* of the sides of its blocks; palette: of the pixels in one, 0..3 */
    uint32_t width; /* of the rows that come out */
    const uint32_t *data;
    uint32_t *rows[2]; /* what came out last: predictors look at the row above */
} sf_vp8l_transform;

typedef struct sf_vp8l_transforms {
    sf_vp8l_transform list[4];
    int count;
} sf_vp8l_transforms;

/* Read the transforms of a picture. Returns the width of the image that follows. */
uint32_t sf_vp8l_read_transforms(sf_room *room, sf_bits *in, uint32_t width, uint32_t height,
                                 sf_vp8l_transforms *transforms);

/* Undo all of them on row y of the main image; rows come in order. Returns the row, kept until the next call. */
const uint32_t *sf_vp8l_undo(sf_vp8l_transforms *transforms, const uint32_t *row, uint32_t y);

/*
 * Add the predictions of a row to it. modes: those of the blocks in it, 1 << bits pixels wide, in green. above is null
 * in the first row, and has room for one pixel more than the row.
 */
void sf_vp8l_predict(const uint32_t *row, uint32_t *above, uint32_t *out, uint32_t width, const uint32_t *modes,
                     int bits);

static inline uint32_t sf_vp8l_blocks(uint32_t pixels, int bits) { return (pixels + (1u << bits) - 1) >> bits; }

#endif
