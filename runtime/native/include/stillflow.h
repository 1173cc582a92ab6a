/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stillflow: living photos in C.
 *
 * Two layers. Products open a baked scene, or make one of a photo and a bundle, and play it: see "Loops" below. Under
 * it lie the kernels, for who has a scene's arrays in hand. There a frame at time t is made in two steps: sf_fields
 * computes, at a quarter of the picture's size, where each block comes from and how its two sources blend; sf_compose
 * gathers and blends at full size.
 *
 *     sf_scene_arrays arrays = { sizeof arrays };   // then fill in the rest
 *     size_t scene_bytes, scratch_bytes;
 *     sf_sizes(&arrays, &scene_bytes, &scratch_bytes);
 *     const sf_scene *scene;
 *     sf_prepare(&arrays, memory, scene_bytes, scratch, scratch_bytes, &scene);   // once a scene
 *     sf_fields(scene, t, planes, scratch, scratch_bytes);                        // once a frame
 *     sf_compose(scene, planes, 0, height, out, 3 * width);                       // any split into rows
 *
 * Rules. The library prints nothing, keeps no global state and never ends the process: errors are values. The kernels
 * allocate nothing. A scene is constant after sf_prepare, so any number of threads may use it at once, each with its
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
#define SF_ABI_VERSION 4

/* Planes of a frame, in order: dax day dbx dby weight gain mean_r mean_g mean_b light. */
#define SF_PLANES 10

typedef enum sf_status {
    SF_OK = 0,
    /* a null pointer, a wrong struct_size, format or stride, rows outside the picture, a time that is no number */
    SF_ERROR_ARGUMENT = 1,
    SF_ERROR_SIZE = 2,        /* a size below 1, above the limits, or a count (harmonics, channels...) out of range */
    SF_ERROR_MEMORY = 3,      /* memory, index or scratch smaller than it has to be, or not aligned to SF_ALIGNMENT */
    SF_ERROR_VALUE = 4,       /* values of an array that are not finite or absurd; a cycles or periods value of 0 */
    SF_ERROR_UNSUPPORTED = 5, /* an instruction set that is not there, or what a bundle asks for and no library does */
    SF_ERROR_FILE = 6,        /* a file cannot be read */
    SF_ERROR_FORMAT = 7,      /* a file, or a photo's bytes, are damaged or nothing that is known */
    SF_ERROR_VERSION = 8,     /* a file or a library of another version */
    SF_ERROR_LIMIT = 9,       /* more memory than the limit, or than there is */
    SF_ERROR_ENGINE = 10,     /* ONNX Runtime is missing or failed */
    SF_ERROR_DIFFERS = 11,    /* a network does not give what its test vector says */
    SF_ERROR_STOPPED = 12,    /* progress asked to stop */
    SF_ERROR_UNSUITED = 13    /* the photo will not make a good loop, and strict was wished */
} sf_status;

/* Memory given to the library starts at a multiple of this many bytes. */
#define SF_ALIGNMENT 64

/* Instruction sets. SF_ISA_BEST takes the fastest that this processor has. Results are the same bytes. */
typedef enum sf_isa {
    SF_ISA_BEST = 0,
    SF_ISA_BASELINE = 1, /* SSE2 on x86-64, NEON on AArch64, plain C elsewhere */
    SF_ISA_AVX2 = 2,
    SF_ISA_AVX512 = 3    /* in libraries built with STILLFLOW_AVX512 only; no faster */
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
    const uint8_t *matte;    /* (height, width), 0 = the photo's bytes exactly, 1 = those under light, 255 = moves */
    const float *velocity;   /* (h, w, 2) x, y in field pixels a frame, |v| <= 100000 */
    const uint8_t *flow;     /* (h, w), 0 where a sample is still or only sways, else which layer flows there */
    const uint8_t *cycles;   /* (h, w) >= 1, cross-fade cycles in one loop */
    const float *inside;     /* (h, w) 0..1 */
    const float *sway;       /* (harmonics, h, w, 4) field pixels, may be null when harmonics is 0 */
    const float *blend;      /* (h, w, 2) logits, or null for the closed form */
    const float *low;        /* (h, w, 3) 0..255, local mean of the plate */
    const float *light;      /* (lights, h, w, 2) log-gain a, b of each harmonic, |a|, |b| <= 8; null without lights */
    int32_t lights;          /* 0..64 */
    const int32_t *sway_periods;  /* (harmonics) whole periods of each in one loop, 1..1000000; null for 1, 2, 3... */
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

/*
 * Loops. What products need: open a baked scene, or make one from a photo and a bundle, and play it.
 *
 *     sf_source source = { .struct_size = sizeof source, .path = "photo.sflow" };
 *     sf_loop *loop;
 *     sf_error error = { .struct_size = sizeof error };
 *     if (sf_loop_open(&source, &loop, &error)) puts(error.what);
 *     sf_facts facts = { .struct_size = sizeof facts };
 *     sf_loop_facts(loop, &target, &facts);                    // how much memory a frame of the target takes
 *     sf_loop_at(loop, t, frame, facts.frame_bytes);           // once a frame
 *     sf_loop_rows(loop, frame, 0, height, &target, rows, facts.rows_bytes);  // any split, any threads
 *     sf_loop_close(loop);
 *
 * Opening allocates, playing never does: the memory of a frame is the caller's. Threads: a loop may be used by any
 * number of threads at once; sf_loop_at writes to its frame memory, so one thread at a time per frame memory;
 * sf_loop_rows only reads it, so threads may share the rows of one frame, each with rows memory of its own.
 * sf_loop_close comes last.
 */

/* Why something failed; a caller's struct, may be null everywhere. The texts are UTF-8, cut to fit, ended by 0. */
typedef struct sf_error {
    uint32_t struct_size; /* sizeof(sf_error) */
    int32_t status;       /* what the call returned */
    char what[160];       /* what cannot be done */
    char why[320];        /* because of what */
    char fix[240];        /* what to do about it */
} sf_error;

/* Called with one line of text, from the thread of the call that has something to tell. level: 1 note, 2 warning. */
typedef void (*sf_log)(void *user, int32_t level, const char *line);

/*
 * A baked scene: a file's path, or its bytes in memory, at a multiple of SF_ALIGNMENT, kept until the loop is closed. A
 * file that is open must not be written over or cut short: put another one in its place by renaming that.
 */
typedef struct sf_source {
    uint32_t struct_size;  /* sizeof(sf_source) */
    int32_t isa;           /* sf_isa */
    const char *path;      /* a file, which is mapped into memory; or null */
    const void *bytes;     /* or null */
    size_t size;           /* of bytes */
    uint64_t memory_limit; /* bytes that may be allocated, at most; 0 for 1 GiB */
    sf_log log;            /* may be null */
    void *log_user;
    int32_t trusted;       /* not 0: hashes of sections are not computed: something else vouches; all else is checked */
} sf_source;

typedef struct sf_loop sf_loop;

typedef enum sf_format {
    SF_RGB = 0,  /* 3 bytes a pixel */
    SF_BGRA = 1, /* 4 bytes, alpha 255 */
    SF_RGBA = 2, /* 4 bytes, alpha 255 */
    SF_NV12 = 3  /* a plane of Y, one of Cb Cr at half size; BT.709, limited range; odd sizes are padded to even ones */
} sf_format;

/* Where a frame goes. */
typedef struct sf_target {
    uint32_t struct_size;    /* sizeof(sf_target) */
    int32_t format;          /* sf_format */
    int32_t width;           /* 0 for the scene's; else 1..65535, and the frame is scaled: a mean where it shrinks, */
    int32_t height;          /* bilinear where it grows */
    uint8_t *data;           /* the first row */
    ptrdiff_t stride;        /* bytes from row to row; may be negative */
    uint8_t *chroma;         /* the first row of Cb Cr; SF_NV12 only */
    ptrdiff_t chroma_stride;
} sf_target;

/* What is known of a loop. */
typedef struct sf_facts {
    uint32_t struct_size;  /* sizeof(sf_facts) */
    int32_t width, height; /* of the scene, pixels */
    int32_t frames;        /* N: t and t + N are the same frame */
    double fps;            /* frames a second */
    double moving;         /* share of the picture that moves, 0..1 */
    uint64_t memory_bytes; /* that the loop holds, mapped files not counted */
    size_t frame_bytes;    /* memory that sf_loop_at needs */
    size_t rows_bytes;     /* memory that sf_loop_rows needs for the target that was given */
    const char *about;     /* the file's JSON, until the loop is closed; not ended by 0; null when there is none */
    size_t about_bytes;
    double chance;         /* that the photo makes a good loop, 0..1; NaN where no network said so, as of a file */
    double strength;       /* factor on every speed that was used; NaN of a file */
} sf_facts;

/* Open a baked scene. On an error *loop is null and everything that was allocated is given back. */
SF_API int32_t sf_loop_open(const sf_source *source, sf_loop **loop, sf_error *error);

/* Say what is known of a loop, and how much memory its frames take. target may be null: RGB at the scene's size. */
SF_API int32_t sf_loop_facts(const sf_loop *loop, const sf_target *target, sf_facts *facts);

/* Compute the frame at time t (frames, any finite number) as far as rows have in common. Allocates nothing. */
SF_API int32_t sf_loop_at(const sf_loop *loop, double t, void *frame, size_t frame_bytes);

/*
 * Write rows y0..y1-1 of the target; SF_NV12: y0 even, and y1 even or the last. data is the picture's first row
 * whatever y0 is. Allocates nothing. rows may be null where rows_bytes is 0.
 */
SF_API int32_t sf_loop_rows(const sf_loop *loop, const void *frame, int32_t y0, int32_t y1, const sf_target *target,
                            void *rows, size_t rows_bytes);

/* Give everything back; null is allowed. */
SF_API void sf_loop_close(sf_loop *loop);

/*
 * Bundles. Networks run in ONNX Runtime, which is loaded from a shared library when a bundle is opened, and in nothing
 * else; without it everything above works. A bundle may be used by one thread at a time.
 */
typedef struct sf_bundle_source {
    uint32_t struct_size;    /* sizeof(sf_bundle_source) */
    int32_t isa;             /* sf_isa of the loops it makes */
    const char *path;        /* of the bundle: a folder or a .sfb file */
    const char *onnxruntime; /* path or name of ONNX Runtime's library; null looks for the usual names */
    const char *provider;    /* "cpu", "cuda" or "tensorrt"; null is "cpu" */
    const char *precision;   /* "fp32", "fp16"...; null takes the bundle's default */
    int32_t device;          /* index of the GPU */
    int32_t threads;         /* of ONNX Runtime on the CPU; 0 lets it choose */
    uint64_t memory_limit;   /* bytes that stillflow itself may take for the bundle, and for each loop; 0 for 1 GiB */
    sf_log log;              /* may be null */
    void *log_user;
} sf_bundle_source;

typedef struct sf_bundle sf_bundle;

/* A photo: pixels, or the bytes of a JPEG, PNG or lossless WebP file. */
typedef struct sf_photo {
    uint32_t struct_size; /* sizeof(sf_photo) */
    int32_t format;       /* of data: SF_RGB, SF_BGRA or SF_RGBA */
    int32_t width, height;
    const uint8_t *data;  /* pixels, or null */
    ptrdiff_t stride;     /* bytes from row to row */
    const void *file;     /* or the file's bytes */
    size_t file_bytes;
} sf_photo;

/* How a loop is wished to be. Zero everywhere is: 4 seconds, 30 frames a second, natural strength. */
typedef struct sf_wish {
    uint32_t struct_size;  /* sizeof(sf_wish) */
    int32_t long_side;     /* pixels to which a larger photo is shrunk, at least 16; 0 keeps its size */
    double seconds;        /* at most 60; 0 for 4 */
    double fps;            /* 1..240; 0 for 30 */
    double strength;       /* factor on every speed, at most 3; 0 for what suits the photo */
    uint32_t seed;         /* which of the photo's futures; 0 is the most probable one */
    int32_t strict;        /* not 0: a photo that will not make a good loop is refused with SF_ERROR_UNSUITED */
    /* Called between stages with the share that is done, 0..1; anything but 0 stops with SF_ERROR_STOPPED. */
    int32_t (*progress)(void *user, double done);
    void *progress_user;
} sf_wish;

/* Open a bundle: read its manifest, check its files, load ONNX Runtime and the networks. */
SF_API int32_t sf_bundle_open(const sf_bundle_source *source, sf_bundle **bundle, sf_error *error);

/* Run the bundle's test vectors; SF_ERROR_DIFFERS names the first output that is off by more than its tolerance. */
SF_API int32_t sf_bundle_test(sf_bundle *bundle, sf_error *error);

/*
 * Make a loop of a photo, as Animator().animate(photo) does (docs/adr/0030 says how near). It outlives the bundle. wish
 * may be null. Where the photo will hardly make a good loop, the log hears a warning, and sf_facts has the chance.
 */
SF_API int32_t sf_bundle_loop(sf_bundle *bundle, const sf_photo *photo, const sf_wish *wish, sf_loop **loop,
                              sf_error *error);

/* Give everything back; null is allowed. */
SF_API void sf_bundle_close(sf_bundle *bundle);

#ifdef __cplusplus
}
#endif

#endif
