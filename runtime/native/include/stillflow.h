/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stillflow: the frame kernels as a C library.
 *
 * A frame at time t is made in two steps: sf_fields computes, at a quarter of the picture's size, where each
 * block comes from and how its two sources blend; sf_compose gathers and blends at full size.
 *
 *     sf_scene_arrays arrays = { sizeof arrays };   // then fill in the rest
 *     size_t scene_bytes, scratch_bytes;
 *     sf_sizes(&arrays, &scene_bytes, &scratch_bytes);
 *     sf_scene *scene;
 *     sf_prepare(&arrays, memory, scene_bytes, scratch, scratch_bytes, &scene);   // once a scene
 *     sf_fields(scene, t, planes, scratch, scratch_bytes);                        // once a frame
 *     sf_compose(scene, planes, 0, height, out, 3 * width);                       // any split into rows
 *
 * Rules. The library allocates nothing, prints nothing, keeps no global state and never ends the process: errors
 * are values. A scene is constant after sf_prepare, so any number of threads may use it at once, each with its
 * own planes and scratch; results do not depend on how the work is split, nor on the instruction set.
 *
 * Scenes whose generator is a decoder (feature scenes) use two other steps: sf_euler_step follows the velocity, once
 * a photo, and sf_splat_rows throws the features to where the decoder reads them, once a frame.
 */
#ifndef STILLFLOW_H
#define STILLFLOW_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define SF_API __declspec(dllexport)
#elif defined(__GNUC__)
#define SF_API __attribute__((visibility("default")))
#else
#define SF_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Raised by one when a function or a struct changes in a way that old callers cannot bear. */
#define SF_ABI_VERSION 3

/* Planes of a frame, in order: dax day dbx dby weight gain mean_r mean_g mean_b light. */
#define SF_PLANES 10

typedef enum sf_status {
    SF_OK = 0,
    SF_ERROR_ARGUMENT = 1,   /* a null pointer, a wrong struct_size, rows outside the picture, a time that is no number */
    SF_ERROR_SIZE = 2,       /* a size below 1, above the limits, or a count (harmonics, frames, channels) out of range */
    SF_ERROR_MEMORY = 3,     /* memory, index or scratch smaller than the sizes call asks for, or not aligned to SF_ALIGNMENT */
    SF_ERROR_VALUE = 4,      /* velocity, inside, sway, blend, low or light not finite or absurd; a cycles or periods value of 0 */
    SF_ERROR_UNSUPPORTED = 5 /* this processor lacks the instruction set that was asked for */
} sf_status;

/* Memory given to the library starts at a multiple of this many bytes. */
#define SF_ALIGNMENT 64

/* Instruction sets. SF_ISA_BEST takes the fastest that this processor has. Results are the same bytes. */
typedef enum sf_isa {
    SF_ISA_BEST = 0,
    SF_ISA_BASELINE = 1, /* SSE2 on x86-64, NEON on AArch64, plain C elsewhere */
    SF_ISA_AVX2 = 2,
    SF_ISA_AVX512 = 3
} sf_isa;

/*
 * What a scene is made of; h = ceil(height / 4), w = ceil(width / 4), arrays are dense and row by row.
 * photo, matte, sway, blend and light are read by every frame and must outlive the scene; the others only by
 * sf_prepare.
 */
typedef struct sf_scene_arrays {
    uint32_t struct_size;    /* sizeof(sf_scene_arrays); later versions append members */
    int32_t height;          /* 1..65535 pixels, height * width <= 2^27 */
    int32_t width;           /* 1..65535 pixels */
    int32_t harmonics;       /* 0..64 */
    int32_t frames;          /* N, 1..1000000 frames in one loop */
    int32_t isa;             /* sf_isa */
    const uint8_t *photo;    /* (height, width, 3) RGB */
    const uint8_t *plate;    /* (height, width, 3) RGB, the moving layer continued beyond its edge */
    const uint8_t *matte;    /* (height, width), 0 = the photo's bytes exactly, 1 = the photo under light, 255 = moves */
    const float *velocity;   /* (h, w, 2) x, y in field pixels a frame, |v| <= 100000 */
    const uint8_t *flow;     /* (h, w), 0 where a sample is still or only sways, else which layer flows there */
    const uint8_t *cycles;   /* (h, w) >= 1, cross-fade cycles in one loop */
    const float *inside;     /* (h, w) 0..1 */
    const float *sway;       /* (harmonics, h, w, 4) field pixels, may be null when harmonics is 0 */
    const float *blend;      /* (h, w, 2) logits, or null for the closed form */
    const float *low;        /* (h, w, 3) 0..255, local mean of the plate */
    const float *light;      /* (lights, h, w, 2) log-gain a, b of each harmonic, |a|, |b| <= 8; null when lights is 0 */
    int32_t lights;          /* 0..64 */
    const int32_t *sway_periods;  /* (harmonics) whole periods of each harmonic in one loop, 1..1000000; null for 1, 2, 3... */
    const int32_t *light_periods; /* (lights), likewise */
} sf_scene_arrays;

typedef struct sf_scene sf_scene;

/* SF_ABI_VERSION of the library that was loaded. */
SF_API int32_t sf_abi_version(void);

/* A sentence for a status; never null. The string is static. */
SF_API const char *sf_status_text(int32_t status);

/* The instruction set that SF_ISA_BEST means on this processor. */
SF_API int32_t sf_isa_best(void);

/* Bytes that sf_prepare needs for the scene and as scratch. Depends on sizes only, reads no array. */
SF_API int32_t sf_sizes(const sf_scene_arrays *arrays, size_t *scene_bytes, size_t *scratch_bytes);

/*
 * Check the arrays and lay them out for the kernels. On SF_OK *scene points into memory; it needs no closing,
 * give the memory back when no thread uses the scene any more. On an error *scene is null.
 */
SF_API int32_t sf_prepare(const sf_scene_arrays *arrays, void *memory, size_t memory_bytes, void *scratch,
                          size_t scratch_bytes, const sf_scene **scene);

/*
 * Compute the planes, (SF_PLANES, h, w) float, of the frame at time t (frames, any finite number). The last plane,
 * light, is left as it was when lights is 0.
 * Only the samples that sf_compose reads are defined afterwards; others may hold anything or stay as they were.
 */
SF_API int32_t sf_fields(const sf_scene *scene, double t, float *planes, void *scratch, size_t scratch_bytes);

/*
 * Write rows y0..y1-1 of the frame. out is the picture's first row whatever y0 is; out_stride is bytes from one
 * row to the next, at least 3 * width. Bytes between rows are left alone.
 */
SF_API int32_t sf_compose(const sf_scene *scene, const float *planes, int32_t y0, int32_t y1, uint8_t *out,
                          ptrdiff_t out_stride);

/*
 * Move positions by the velocity at the pixel nearest to them (halves to even), in place: those of pixels
 * begin..end-1. A position that is not in 0..width-1, 0..height-1 afterwards is invalid from then on and goes back to
 * its own grid point. Begin with position = (x, y) of each pixel and invalid = 0; after n calls positions are those
 * after n frames. Pixels whose velocity is 0 never move: with a list of the others, only they are followed.
 *
 *   velocity      (height, width, 2) x, y in pixels a frame; what is no number makes positions invalid
 *   pixels        the list, y * width + x of each; or null for all, height * width of them, row by row
 *   position      (pixels, 2) x, y in pixels
 *   invalid       (pixels), 0 or 1
 *   displacement  (pixels, 2), position less the grid, max(height, width) + 1 in both where invalid; may be null
 */
SF_API int32_t sf_euler_step(const float *velocity, int32_t height, int32_t width, const uint32_t *pixels,
                             size_t begin, size_t end, float *position, uint8_t *invalid, float *displacement);

#define SF_CHANNELS_MOST 1024
#define SF_DENOMINATORS_MOST 4
#define SF_THROWS_MOST 2

typedef struct sf_splat_index sf_splat_index;

/*
 * What is thrown. A source pixel at (x, y) gives values * share to the four pixels around (x + dx, y + dy), by
 * bilinear weights; what lands outside the picture is dropped, as is a displacement that is not finite. A pixel sums
 * what lands by ascending source, the first throw before the second. Then, with denominators: channels up to
 * ends[0] are divided by max(sum of the first weight, 1e-8), from there up to ends[1] by the second...; the weights
 * are the last channels of a pixel and are not written.
 */
typedef struct sf_splat {
    uint32_t struct_size;         /* sizeof(sf_splat) */
    int32_t height;               /* of the picture, limits as in sf_scene_arrays */
    int32_t width;
    int32_t top;                  /* where in the picture values begin */
    int32_t left;
    int32_t rows;                 /* of values and displacements: a part of the picture */
    int32_t columns;
    int32_t channels;             /* 1..SF_CHANNELS_MOST, weights included */
    int32_t denominators;         /* 0..SF_DENOMINATORS_MOST */
    int32_t ends[SF_DENOMINATORS_MOST]; /* rising, the last is channels - denominators */
    int32_t isa;                  /* sf_isa */
    int32_t throws;               /* 1..SF_THROWS_MOST */
    float share[SF_THROWS_MOST];
    const float *values;          /* (rows, columns, channels) */
    const float *displacement[SF_THROWS_MOST]; /* (rows, columns, 2) x, y in pixels */
    const sf_splat_index *index[SF_THROWS_MOST]; /* of sf_splat_prepare; read by sf_splat_rows only */
} sf_splat;

/* Where it lands: a window of the picture. Strides are in floats. */
typedef struct sf_splat_target {
    uint32_t struct_size;         /* sizeof(sf_splat_target) */
    int32_t y0, y1, x0, x1;       /* rows y0..y1-1 and columns x0..x1-1 of the picture */
    float *out;                   /* channels - denominators floats for each pixel; the window's first */
    ptrdiff_t row_stride, pixel_stride, channel_stride;
    float *landed;                /* 1 where the first weight's sum (or any channel) is not 0, else 0; may be null */
    ptrdiff_t landed_stride;      /* from row to row */
} sf_splat_target;

/* Bytes of one throw's index of the target's rows, and of the scratch that one thread needs. Reads no array. */
SF_API int32_t sf_splat_sizes(const sf_splat *splat, const sf_splat_target *target, size_t *index_bytes,
                              size_t *scratch_bytes);

/*
 * Find which source pixels of one throw, 0 or 1, reach each of the target's rows. The index lies in memory and serves
 * any target within those rows. Displacements must stay as they are until the last sf_splat_rows.
 */
SF_API int32_t sf_splat_prepare(const sf_splat *splat, int32_t which, const sf_splat_target *target, void *memory,
                                size_t memory_bytes, const sf_splat_index **index);

/* Write rows y0..y1-1 of the picture, which lie in the target's window. */
SF_API int32_t sf_splat_rows(const sf_splat *splat, const sf_splat_target *target, int32_t y0, int32_t y1,
                             void *scratch, size_t scratch_bytes);

#ifdef __cplusplus
}
#endif

#endif
