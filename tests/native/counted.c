/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of drawn scenes and a splat, for callgrind to count: stillflow_bench/guard/callgrind.py runs it.
 *
 * One case after the other: what it needs is made, one frame is thrown away so that the simulated cache holds what a
 * frame leaves there, then FRAMES frames are made and case_ends is called, at which callgrind writes what it counted
 * within the library's functions. Nothing here depends on a file, the time or the processor, so that two runs count the
 * same. Prints what it was built with, then a line a case: its name and 0, or the status with which the library refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GLIBC__)
#include <gnu/libc-version.h>
#endif

#include "stillflow.h"

#define HEIGHT 144
#define WIDTH 256
#define H (HEIGHT / 4)
#define W (WIDTH / 4)
#define FRAMES 2
/* Channels of the splat, a weight included; it is of the size of the scene's fields. */
#define CHANNELS 65

static const double warm = 11.5, times[FRAMES] = {3.25, 17.75};

static uint32_t state = 12345;

static uint32_t next(void) {
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

static float real(float low, float high) { return low + (high - low) * (float)(next() % 10000) / 9999.0f; }

static void *room(size_t bytes) {
    void *memory = aligned_alloc(SF_ALIGNMENT, (bytes + SF_ALIGNMENT - 1) / SF_ALIGNMENT * SF_ALIGNMENT);
    if (!memory) exit(3);
    return memory;
}

static void *noughts(size_t bytes) { return memset(room(bytes), 0, bytes); }

static uint8_t *bytes_of(size_t count) {
    uint8_t *data = room(count);
    for (size_t i = 0; i < count; i++) data[i] = (uint8_t)next();
    return data;
}

static float *reals_of(size_t count, float low, float high) {
    float *data = room(count * sizeof(float));
    for (size_t i = 0; i < count; i++) data[i] = real(low, high);
    return data;
}

/* callgrind is told of this name: everything counted so far belongs to the case that ends. */
__attribute__((noinline)) void case_ends(const char *name, int32_t isa, int32_t status);
void case_ends(const char *name, int32_t isa, int32_t status) { printf("%s|%d|%d\n", name, isa, status); }

static int32_t play(const sf_scene_arrays *arrays) {
    size_t scene_bytes, scratch_bytes;
    int32_t status = sf_sizes(arrays, &scene_bytes, &scratch_bytes);
    if (status != SF_OK) return status;
    void *memory = room(scene_bytes), *scratch = room(scratch_bytes);
    float *planes = noughts(sizeof(float) * SF_PLANES * H * W);
    uint8_t *out = room(3 * HEIGHT * WIDTH);
    const sf_scene *scene;
    status = sf_prepare(arrays, memory, scene_bytes, scratch, scratch_bytes, &scene);
    for (int i = -1; status == SF_OK && i < FRAMES; i++) {
        if (i == 0) case_ends("warm", arrays->isa, status);
        status = sf_fields(scene, i < 0 ? warm : times[i], planes, scratch, scratch_bytes);
        if (status == SF_OK) status = sf_compose(scene, planes, 0, HEIGHT, out, 3 * WIDTH);
    }
    free(memory), free(scratch), free(planes), free(out);
    return status;
}

/* What every scene and every splat is made of, drawn once. */
typedef struct drawn {
    uint8_t *photo, *plate;
    float *low, *sway, *blend, *light, *gusts, *values;
} drawn;

static drawn draw(void) {
    drawn d = {.photo = bytes_of(3 * HEIGHT * WIDTH), .plate = bytes_of(3 * HEIGHT * WIDTH)};
    d.low = reals_of(3 * H * W, 60, 190), d.sway = reals_of(2 * 4 * H * W, -0.5f, 0.5f);
    d.blend = reals_of(2 * H * W, -2, 2), d.light = reals_of(2 * 2 * H * W, -0.1f, 0.1f);
    d.gusts = reals_of(2 * H * W, -1.2f, 1.2f), d.values = reals_of((size_t)CHANNELS * H * W, -1, 1);
    return d;
}

/* A column in the middle, percent of the picture wide, falls; rich: it also sways, shines and has a network's blend. */
static void frame(const drawn *d, const char *name, int32_t isa, int percent, int rich) {
    const int first = (WIDTH - WIDTH * percent / 100) / 2, last = WIDTH - first;
    uint8_t *matte = noughts(HEIGHT * WIDTH), *flow = noughts(H * W), *cycles = memset(room(H * W), 1, H * W);
    float *velocity = noughts(sizeof(float) * 2 * H * W), *inside = noughts(sizeof(float) * H * W);
    for (int y = 0; percent && y < HEIGHT; y++) {
        memset(matte + y * WIDTH + first, 128, (size_t)(last - first));
        memset(matte + y * WIDTH + first + 4, 255, (size_t)(last - first - 8));
    }
    for (int y = 0; y < H; y++)
        for (int x = first / 4; percent && x < (last + 3) / 4; x++) {
            const int i = y * W + x;
            flow[i] = 1;
            inside[i] = 1;
            velocity[2 * i] = 0.02f * d->gusts[2 * i];
            velocity[2 * i + 1] = 0.125f + 0.02f * d->gusts[2 * i + 1];
        }
    const sf_scene_arrays arrays = {
        .struct_size = sizeof arrays, .height = HEIGHT, .width = WIDTH, .frames = 30, .isa = isa, .photo = d->photo,
        .plate = d->plate, .matte = matte, .velocity = velocity, .flow = flow, .cycles = cycles, .inside = inside,
        .low = d->low, .harmonics = rich ? 2 : 0, .sway = rich ? d->sway : 0, .blend = rich ? d->blend : 0,
        .lights = rich ? 2 : 0, .light = rich ? d->light : 0};
    case_ends(name, isa, play(&arrays));
    free(matte), free(flow), free(cycles), free(velocity), free(inside);
}

/* Features thrown along positions that are followed for a few frames, both ways in time. */
static void splat(const drawn *d, int32_t isa) {
    float *position = room(sizeof(float) * 2 * H * W), *out = room(sizeof(float) * (CHANNELS - 1) * H * W);
    float *moved[2] = {room(sizeof(float) * 2 * H * W), room(sizeof(float) * 2 * H * W)};
    float *landed = room(sizeof(float) * H * W);
    uint8_t *invalid = noughts(H * W);
    sf_splat throw = {.struct_size = sizeof throw, .height = H, .width = W, .rows = H, .columns = W, .channels = CHANNELS,
                      .denominators = 1, .ends = {CHANNELS - 1}, .isa = isa, .throws = 2, .share = {0.25f, 0.75f},
                      .values = d->values, .displacement = {moved[0], moved[1]}};
    sf_splat_target target = {.struct_size = sizeof target, .y1 = H, .x1 = W, .out = out, .row_stride = W,
                              .pixel_stride = 1, .channel_stride = H * W, .landed = landed, .landed_stride = W};
    for (int k = 0; k < H * W; k++) position[2 * k] = (float)(k % W), position[2 * k + 1] = (float)(k / W);
    size_t index_bytes, scratch_bytes;
    int32_t status = sf_splat_sizes(&throw, &target, &index_bytes, &scratch_bytes);
    void *memory[2] = {room(index_bytes), room(index_bytes)}, *scratch = room(scratch_bytes);
    for (int i = -1; status == SF_OK && i < FRAMES; i++) {
        if (i == 0) case_ends("warm", isa, status);
        for (int k = 0; k < 2; k++)
            status |= sf_euler_step(d->gusts, H, W, 0, 0, H * W, position, invalid, moved[k]) |
                      sf_splat_prepare(&throw, k, &target, memory[k], index_bytes, &throw.index[k]);
        if (status == SF_OK) status = sf_splat_rows(&throw, &target, 0, H, scratch, scratch_bytes);
    }
    case_ends("splat", isa, status);
    free(position), free(moved[0]), free(moved[1]), free(out), free(landed), free(invalid);
    free(memory[0]), free(memory[1]), free(scratch);
}

#if defined(__clang__)
#define COMPILER "clang"
#else
#define COMPILER "gcc"
#endif
#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

int main(void) {
#if defined(__GLIBC__)
    const char *libc = gnu_get_libc_version();
#else
    const char *libc = "unknown";
#endif
#if defined(__clang__)
    printf(COMPILER " " TEXT(__clang_major__) "." TEXT(__clang_minor__) "." TEXT(__clang_patchlevel__) "|%s\n", libc);
#else
    printf(COMPILER " " TEXT(__GNUC__) "." TEXT(__GNUC_MINOR__) "." TEXT(__GNUC_PATCHLEVEL__) "|%s\n", libc);
#endif
    printf("frames|%d\n", FRAMES);
    const drawn d = draw();
    /* What the library chooses by itself. */
    frame(&d, "frame, 30 % moves", SF_ISA_BEST, 30, 0);
    for (int32_t isa = SF_ISA_BASELINE; isa <= SF_ISA_AVX512; isa++) {
        frame(&d, "frame, nothing moves", isa, 0, 0);
        frame(&d, "frame, 30 % moves", isa, 30, 0);
        frame(&d, "frame, everything moves", isa, 100, 0);
        frame(&d, "frame, 30 % moves, sways and shines", isa, 30, 1);
        splat(&d, isa);
    }
    return 0;
}
