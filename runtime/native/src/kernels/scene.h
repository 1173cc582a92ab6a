/* SPDX-License-Identifier: Apache-2.0 */
/* What a prepared scene holds, and the kernels that exist once for each instruction set. */
#ifndef SF_SCENE_H
#define SF_SCENE_H

#include "stillflow.h"

/* These mirror the constants of the same names in stillflow/kernels/reference.py. */
#define SF_DOUBLINGS 4
#define SF_STATISTICS_RADIUS 4
#define SF_CUBIC_A (-1.0)
#define SF_EDGE_RAMP 2.5f
#define SF_CONFIDENCE_FLOOR 0.02f
#define SF_VARIANCE_FLOOR 1.0f
#define SF_FIELD_SCALE 4
#define SF_FIELD_OFFSET 1.5f
#define SF_LEAST_WEIGHT 1e-8f
#define SF_LUMA_R 0.299f
#define SF_LUMA_G 0.587f
#define SF_LUMA_B 0.114f

/*
 * Cubic weights come from a table of 2^10 fractions: half a step off is 0.19 grey levels on the steepest edge
 * there is (0 to 255 and back between neighbours); 2^8 would be 0.75. Weights are int16 with 2^14 = 1.
 */
#define SF_FRACTION_BITS 10
#define SF_FRACTIONS (1 << SF_FRACTION_BITS)

/* Pixels of a group: the unit in which compose works. Group g covers x = 8 g - 2 .. 8 g + 5, two field blocks. */
#define SF_GROUP 8
#define SF_GROUP_SHIFT 2

/* Plate pixels repeated beyond each border, so that no tap is ever clamped. */
#define SF_PLATE_BEFORE 1
#define SF_PLATE_AFTER 2

/* The plate's bytes are stored less 128, so that a byte moved to the high half of an int16 keeps its meaning. */
#define SF_PLATE_BIAS 128

#define SF_HARMONICS_MOST 64

/* Set in reach where the sample flows; below it are the bits of the levels. */
#define SF_FLOWS 0x80

/* A half-open run of columns (field pixels or groups). */
typedef struct sf_run {
    uint16_t begin, end;
} sf_run;

/* Runs of every row: those of row y are runs[start[y]] .. runs[start[y + 1] - 1]. */
typedef struct sf_runs {
    uint32_t *start;
    sf_run *runs;
} sf_runs;

/* Time-dependent constants of the cells that share one cycles value. */
typedef struct sf_phase {
    float step[4];    /* trace time / 2^SF_DOUBLINGS in frames: source back twice, source forward twice */
    float share[4];   /* 1 - u twice, u twice */
    float sin1, sin2; /* sin(pi u), sin(2 pi u) */
} sf_phase;

struct sf_kernels;

struct sf_scene {
    int32_t height, width, h, w;
    int32_t cell_stride; /* w + 1: fields are padded by a column and a row that are read with weight 0 only */
    int32_t harmonics, frames, lights;
    int32_t plate_stride; /* bytes */
    int32_t flows;        /* 0 when no cell that matters has a velocity: nothing needs tracing */
    const struct sf_kernels *kernels;
    const uint8_t *photo, *matte;
    const float *sway, *blend, *light;
    int32_t sway_periods[SF_HARMONICS_MOST], light_periods[SF_HARMONICS_MOST];
    uint8_t *plate;       /* RGBX, biased, borders repeated */
    float *velocity;      /* x, y by cell_stride */
    float *low;           /* R, G, B, inside by cell_stride */
    uint8_t *cycles;      /* by cell_stride */
    uint8_t *reach;       /* by cell_stride; bit k: a lookup in this cell is defined at level k; SF_FLOWS */
    int32_t many_layers;  /* whether more than one layer flows */
    uint8_t *layer;       /* by cell_stride; the array flow: 0 does not flow, else which layer */
    int16_t *cubic;       /* SF_FRACTIONS entries of w0 w0 w1 w1 w2 w2 w3 w3 */
    sf_runs groups;       /* by picture row, in groups: where anything moves */
    sf_runs blend_cells;  /* by field row: cells that compose reads */
    /*
     * Cells whose displacement is needed after k doublings. The last are those whose sources are needed:
     * blend_cells and the statistics' box around them; earlier ones hold what the doublings look up.
     */
    sf_runs levels[SF_DOUBLINGS + 1];
    sf_runs everywhere[SF_DOUBLINGS + 1]; /* every cell, for the rare frame in which a trace leaves levels */
    uint8_t cycles_used[256];
};

/* Scratch of sf_fields, carved from what the caller gives. */
typedef struct sf_scratch {
    float *d[2][2];    /* displacement x, y by cell_stride: [even or odd level][source] */
    float *ring;       /* products AA, AB, BB, 0 of the last 2 radius + 1 rows */
    float *columns;    /* their sums down the window, padded by the radius on both sides, then the box sums */
    int32_t ring_row;  /* floats in one row of the ring and of columns */
    uint8_t *marks[3]; /* sf_prepare only: a byte for each cell, dense */
} sf_scratch;

/* What the harmonics are multiplied by at one time: cos - 1 and sin of each, of the sway and of the light. */
typedef struct sf_swing {
    float sway[2 * SF_HARMONICS_MOST], light[2 * SF_HARMONICS_MOST];
} sf_swing;

typedef struct sf_kernels {
    /*
     * Both traces up to level top, the result in scratch->d[top & 1]. Returns the bits of reach that every lookup
     * so far agreed on: level k was left by a lookup if bit k is missing.
     */
    uint32_t (*trace)(const sf_scene *scene, const sf_phase *phases, const sf_scratch *scratch,
                      const sf_runs *levels, int top);
    /* The last doubling and everything after it. */
    uint32_t (*finish)(const sf_scene *scene, const sf_phase *phases, const sf_swing *swing,
                       const sf_scratch *scratch, float *planes);
    /* Rows y0..y1-1; out is row y0. */
    void (*compose)(const sf_scene *scene, const float *planes, int32_t y0, int32_t y1, uint8_t *out,
                    ptrdiff_t out_stride);
    /* Add what the entries of one throw bring to row y: sums are (x1 - x0, channels). */
    void (*add_row)(const sf_splat *splat, int which, const uint32_t *entry, const uint32_t *end,
                    const sf_splat_target *target, int32_t y, float *sums);
    /* Divide a row of sums and write it. */
    void (*divide_row)(const sf_splat *splat, const sf_splat_target *target, int32_t y, const float *sums);
    /* Pixels of RGB to 4 bytes each, alpha 255; swapped: blue first. */
    void (*to_four)(const uint8_t *rgb, int32_t pixels, int swapped, uint8_t *out);
    /* Pixels of RGB to those of the plate: less SF_PLATE_BIAS, and a fourth byte of 0. */
    void (*to_plate)(const uint8_t *rgb, int32_t pixels, uint8_t *out);
    /*
     * Two rows of RGB to two of Y and one of Cb Cr; the width is made even by repeating the last pixel. A lower row
     * beyond the picture is given as the upper one again.
     */
    void (*to_nv12)(const uint8_t *const rows[2], int32_t width, uint8_t *const luma[2], uint8_t *chroma);
    /* Rows on their way to another size are lines: int16, 128 times the bytes. share is 2^15 times the part of b. */
    void (*mix_rows)(const uint8_t *a, const uint8_t *b, int32_t count, int32_t share, int16_t *out);
    void (*add_row_part)(const uint8_t *row, int32_t count, float part, float *sums);
    void (*end_sums)(const float *sums, int32_t count, float factor, int16_t *out);
    /* Pixels between two of a line: at[i] is where its left one begins, shares as above. */
    void (*stretch)(const int16_t *line, const int32_t *at, const int16_t *share, int32_t pixels, uint8_t *out);
} sf_kernels;

/* Which there are beside the baseline, CMakeLists.txt says by SF_AVX2 and SF_AVX512. */
extern const sf_kernels sf_kernels_baseline, sf_kernels_avx2, sf_kernels_avx512;

/* The kernels of an sf_isa; null where this processor or library lacks it. */
const sf_kernels *sf_kernels_for(int32_t isa);

/* Whether a picture's size is within the limits. */
int sf_size_good(int32_t height, int32_t width);

/* To the next multiple of SF_ALIGNMENT. */
static inline size_t sf_rounded_up(size_t bytes) { return (bytes + SF_ALIGNMENT - 1) / SF_ALIGNMENT * SF_ALIGNMENT; }

/*
 * sf_prepare in steps, for a plate that comes row by row: lay the scene out in memory of the size that sf_sizes said,
 * pack all rows, and prepare the rest, which does not look at arrays->plate.
 */
sf_scene *sf_lay_out(const sf_scene_arrays *sizes, void *memory);
void sf_pack_row(sf_scene *scene, int32_t y, const uint8_t *row);
int32_t sf_prepare_rest(const sf_scene_arrays *arrays, void *memory, size_t memory_bytes, void *scratch,
                        size_t scratch_bytes, const sf_scene **scene);

/* Lay the fields out as the kernels read them (pack.c). */
void sf_pack_fields(sf_scene *scene, const sf_scene_arrays *arrays);

/* Find which groups and cells every frame has to compute (region.c). */
void sf_find_regions(sf_scene *scene, const sf_scratch *scratch);

#endif
