/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes to pictures and sums of bytes. All input is hostile: every read is inside the given bytes, every size is
 * checked before memory is taken, and what does not decode gives up with SF_ERROR_FORMAT.
 */
#ifndef SF_CODECS_H
#define SF_CODECS_H

#include "room.h"

/* SHA-256 (FIPS 180-4), by the processor's own instructions where it has them. */
void sf_sha256(const void *bytes, size_t size, uint8_t sum[32]);

/* The same in plain C: what sf_sha256 is where the processor has none. */
void sf_sha256_portable(const void *bytes, size_t size, uint8_t sum[32]);

/* CRC-32 of zip and PNG (ISO 3309), and Adler-32 of zlib (RFC 1950). */
uint32_t sf_crc32(const void *bytes, size_t size);
uint32_t sf_adler32(const void *bytes, size_t size);

/*
 * Decompress (RFC 1951; with zlib non-zero RFC 1950, its sum checked) into exactly out_size bytes: less or more is an
 * error, and with zlib 2 bytes behind the stream are one, too. Returns 0, or 1 where the input is damaged. Allocates
 * nothing.
 */
int sf_inflate(const uint8_t *bytes, size_t size, uint8_t *out, size_t out_size, int zlib);

typedef enum sf_picture_kind {
    SF_PICTURE_UNKNOWN = 0,
    SF_PICTURE_PNG = 1,
    SF_PICTURE_JPEG = 2,
    SF_PICTURE_WEBP = 3
} sf_picture_kind;

typedef struct sf_picture {
    int32_t kind, width, height;
    int32_t channels; /* that the file holds: 1 gray, 3 RGB, 4 RGBA */
    int32_t turn;     /* JPEG: EXIF orientation 1..8; 1 where nothing says another. Never applied here */
} sf_picture;

/* What a file's first bytes say; allocates nothing. Returns 0, or 1 where it is no picture that is known. */
int sf_picture_look(const uint8_t *bytes, size_t size, sf_picture *picture);

/*
 * Decode into out, (height, width, channels) dense, where height and width are those of the picture (sf_picture_look)
 * and channels is 1 (gray: R of what is gray; PNG gray; WebP's green), 3 (RGB; gray is repeated, alpha dropped) or 4
 * (RGBA, 255 where the file has none). The room's scratch is rewound.
 */
void sf_png_decode(sf_room *room, const uint8_t *bytes, size_t size, uint8_t *out, int32_t channels);
void sf_jpeg_decode(sf_room *room, const uint8_t *bytes, size_t size, uint8_t *out, int32_t channels);
void sf_webp_decode(sf_room *room, const uint8_t *bytes, size_t size, uint8_t *out, int32_t channels);

/* What takes the rows of a picture as they are decoded, from top to bottom; each is gone when the next one comes. */
typedef void sf_row_taker(void *user, int32_t y, const uint8_t *row);

/* The same, row by row, for pictures that need not lie anywhere as a whole. */
void sf_png_rows(sf_room *room, const uint8_t *bytes, size_t size, int32_t channels, sf_row_taker *take, void *user);
void sf_webp_rows(sf_room *room, const uint8_t *bytes, size_t size, int32_t channels, sf_row_taker *take, void *user);

/* By the kind that sf_picture_look found. */
void sf_picture_decode(sf_room *room, const uint8_t *bytes, size_t size, uint8_t *out, int32_t channels);

#endif
