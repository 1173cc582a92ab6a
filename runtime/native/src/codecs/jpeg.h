/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JPEG (ITU-T T.81): baseline and progressive, 8 bits, Huffman codes.
 *
 * jpeg_segments.c reads what is between the scans, jpeg_huffman.c makes tables of codes, jpeg_blocks.c reads the
 * coefficients of a block, jpeg_scan.c all blocks of a scan, jpeg_idct.c turns a block into samples, jpeg_rows.c
 * samples into pixels.
 */
#ifndef SF_JPEG_H
#define SF_JPEG_H

#include "codecs.h"

#define SF_JPEG_COMPONENTS 3
#define SF_JPEG_TABLES 4
#define SF_JPEG_LOOK_BITS 11

/*
 * A Huffman code. look: by the next bits, an entry of bits 0..4 length of the code (0: it is longer), 5..9 the same
 * with the bits of the value behind it (0: those are more than were looked at), 10..17 symbol, 20..31 value.
 */
typedef struct sf_jpeg_codes {
    int32_t look[1 << SF_JPEG_LOOK_BITS];
    uint32_t limit[18];  /* of each length: what the next 16 bits are below; the last one is above all */
    int32_t offset[18];  /* of each length: from the code to its place in symbols */
    uint8_t symbols[256];
    int count, highest;
} sf_jpeg_codes;

/* Bits of a scan, up to the next marker; after them come bits of 0. The next bit is the highest. */
typedef struct sf_jpeg_bits {
    const uint8_t *next, *end;
    uint64_t bits;
    int count;
    int64_t beyond; /* bits of 0 that were added */
    int is_damaged;
} sf_jpeg_bits;

typedef struct sf_jpeg_component {
    int id, h, v, quant_table;
    int32_t blocks_x, blocks_y;   /* that hold pixels */
    int32_t padded_x, padded_y;   /* in whole MCUs */
    int32_t width, height;        /* samples that hold pixels */
    int16_t *coefficients;        /* of padded blocks, or null while blocks go to samples at once */
    uint8_t *samples;             /* of two rows of MCUs, in turn: what is older has become pixels */
    size_t stride;
    uint16_t quant[64];           /* in rows, as coefficients */
    int has_quant;
    int8_t missing[64];           /* progressive: low bits of each coefficient yet to come; -1: all */
    const sf_jpeg_codes *dc, *ac; /* of the scan */
    int32_t dc_before;
} sf_jpeg_component;

typedef struct sf_jpeg {
    sf_room *room;
    const uint8_t *bytes, *end, *next;
    int is_progressive, has_jfif, adobe_transform; /* -1: no word of it */
    int32_t width, height, mcus_x, mcus_y;
    int components, h, v; /* the largest sampling factors */
    sf_jpeg_component component[SF_JPEG_COMPONENTS];
    uint16_t quant[SF_JPEG_TABLES][64];
    int has_quant[SF_JPEG_TABLES];
    sf_jpeg_codes *codes[2][SF_JPEG_TABLES]; /* DC, AC */
    int32_t restart_interval;
    /* The scan. */
    sf_jpeg_component *scanned[SF_JPEG_COMPONENTS];
    int scanned_count, first, last, high, low;
    uint32_t blocks_to_skip; /* EOBRUN */
    uint8_t *plain; /* its bytes up to the next marker; room for all that the file has */
    sf_jpeg_bits in;
    int scans;
    uint64_t work; /* blocks of all scans */
    /* The picture. */
    uint8_t *out;
    int32_t channels, rows_done;
    uint8_t *row, *upsampled[2];
    uint16_t *sums;
} sf_jpeg;

_Noreturn void sf_jpeg_give_up(const sf_jpeg *j, const char *why);

typedef enum sf_jpeg_found { SF_JPEG_SCAN, SF_JPEG_END } sf_jpeg_found;

/* Read segments up to the next scan, whose head is read too, or to the end. */
sf_jpeg_found sf_jpeg_read_segments(sf_jpeg *j);

/* Read a table of codes: 16 counts and the symbols, of size bytes or less. Returns the bytes it takes, or 0. */
size_t sf_jpeg_fill_codes(sf_jpeg_codes *codes, const uint8_t *bytes, size_t size);

/* From zigzag order to rows; beyond the last one for the longest run there is. */
extern const uint8_t SF_JPEG_ORDER[64 + 16];

/* Read a block of the scan into its coefficients, which are 0 before the first scan. */
void sf_jpeg_read_block(sf_jpeg *j, sf_jpeg_component *c, int16_t *block);

/* Begin with the bytes at next, which goes to the marker behind them. */
void sf_jpeg_begin_bits(sf_jpeg *j);

/* 1 where more was read than there was, or a code that does not exist. */
int sf_jpeg_bits_are_bad(const sf_jpeg_bits *in);

void sf_jpeg_read_scan(sf_jpeg *j);

/* Where row y of a channel's samples is. */
static inline uint8_t *sf_jpeg_samples(const sf_jpeg_component *c, int32_t y) {
    return c->samples + (size_t)(y % (16 * c->v)) * c->stride;
}

/* 8 rows of 8 samples of a block of coefficients. */
void sf_jpeg_idct(const int16_t *block, const uint16_t *quant, uint8_t *out, size_t stride);

/* Take what sf_jpeg_write_rows needs. */
void sf_jpeg_begin_rows(sf_jpeg *j);

/* Write the pixels of all rows before end that are not written yet. */
void sf_jpeg_write_rows(sf_jpeg *j, int32_t end);

#endif
