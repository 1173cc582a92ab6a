/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the mutators share: changes that respect how pictures and streams are framed, and sums made right afterwards.
 * Without them the first sum that does not fit would stop nearly every change.
 */
#ifndef PIECES_H
#define PIECES_H

#include <stddef.h>
#include <stdint.h>

/* Numbers from a seed (xorshift32, G. Marsaglia 2003): below a bound, which is not 0. */
typedef struct dice {
    uint32_t state;
} dice;
dice dice_of(unsigned seed);
uint32_t roll(dice *d, uint32_t bound);

uint32_t get32(const uint8_t *at);
void put32(uint8_t *at, uint32_t value);
void put64(uint8_t *at, uint64_t value);

/* Change bytes, and as many as they were. */
void change_bytes(uint8_t *data, size_t size);

/* Change what a zlib stream of out_size bytes holds, and store it anew, uncompressed; returns its size. */
size_t change_unpacked(uint8_t *data, size_t size, size_t max_size, size_t out_size);

/* Make a zlib stream's sum right, if it decompresses to out_size bytes. */
void seal_zlib(uint8_t *data, size_t size, size_t out_size);

/* Change a picture: a chunk of a PNG, what a WebP's chunk holds, any byte of a JPEG. Returns its size. */
size_t change_picture(uint8_t *data, size_t size, size_t max_size, dice *d);

#endif
