/* SPDX-License-Identifier: Apache-2.0 */
/* Random scenes and splats through the whole API, built with the sanitizers: no read or write out of bounds may happen. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stillflow.h"

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

static uint8_t *bytes_of(size_t count, int sparse) {
    uint8_t *data = malloc(count);
    if (!data) exit(3);
    for (size_t i = 0; i < count; i++) data[i] = (uint8_t)(sparse && next() % 3 == 0 ? 0 : next() % 256);
    return data;
}

static float *reals_of(size_t count, float low, float high) {
    float *data = malloc(count * sizeof(float));
    if (!data) exit(3);
    for (size_t i = 0; i < count; i++) data[i] = real(low, high);
    return data;
}

static int play(int32_t height, int32_t width, int32_t isa) {
    size_t pixels = (size_t)height * (size_t)width, cells = (size_t)((height + 3) / 4) * (size_t)((width + 3) / 4);
    int32_t harmonics = (int32_t)(next() % 3), lights = (int32_t)(next() % 3);
    float reach = next() % 2 ? 1.0f : 300.0f;
    uint8_t *photo = bytes_of(3 * pixels, 0), *matte = bytes_of(pixels, 1), *flow = bytes_of(cells, 1);
    uint8_t *cycles = bytes_of(cells, 0);
    for (size_t i = 0; i < cells; i++) cycles[i] = (uint8_t)(1 + cycles[i] % 3), flow[i] %= 3;
    float *velocity = reals_of(2 * cells, -reach, reach), *inside = reals_of(cells, 0, 1), *low = reals_of(3 * cells, 0, 255);
    float *sway = reals_of(4 * cells * (size_t)(harmonics ? harmonics : 1), -2, 2), *blend = reals_of(2 * cells, -3, 3);
    const int32_t periods[2] = {3, 7};
    float *light = reals_of(2 * cells * (size_t)(lights ? lights : 1), -8, 8);
    sf_scene_arrays arrays = {sizeof arrays, height, width, harmonics, 30, isa, photo, photo, matte, velocity, flow,
                              cycles, inside, harmonics ? sway : 0, next() % 2 ? blend : 0, low, lights ? light : 0, lights, next() % 2 ? periods : 0, next() % 2 ? periods : 0};
    size_t scene_bytes, scratch_bytes;
    int failed = 1;
    if (sf_sizes(&arrays, &scene_bytes, &scratch_bytes) == SF_OK) {
        void *memory = room(scene_bytes), *scratch = room(scratch_bytes);
        float *planes = malloc(SF_PLANES * cells * sizeof(float));
        uint8_t *out = malloc(3 * pixels);
        const sf_scene *scene = 0;
        if (planes && out) {
            memset(planes, 0, SF_PLANES * cells * sizeof(float));
            failed = sf_prepare(&arrays, memory, scene_bytes, scratch, scratch_bytes, &scene) != SF_OK;
            for (int i = 0; !failed && i < 3; i++)
                failed = sf_fields(scene, (double)real(-40, 80), planes, scratch, scratch_bytes) != SF_OK ||
                         sf_compose(scene, planes, 0, height, out, 3 * (ptrdiff_t)width) != SF_OK;
            velocity[0] = NAN;
            const sf_scene *refused = scene;
            if (!failed) failed = sf_prepare(&arrays, memory, scene_bytes, scratch, scratch_bytes, &refused) == SF_OK || refused;
        }
        free(memory), free(scratch), free(planes), free(out);
    }
    free(photo), free(matte), free(flow), free(cycles), free(velocity), free(inside), free(low), free(sway), free(blend), free(light);
    return failed;
}

/* Numbers that a displacement should not be. */
static float odd(void) {
    const float values[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 2147483648.0f, -2147483648.0f, 1e-45f, -0.0f, -1};
    return values[next() % 10];
}

/* Positions that wander, then a splat in uneven bands and windows, from a part of the picture. */
static int throw(int32_t height, int32_t width, int32_t isa) {
    int32_t rows = 1 + (int32_t)(next() % (uint32_t)height), columns = 1 + (int32_t)(next() % (uint32_t)width);
    int32_t groups = (int32_t)(next() % 3), channels = groups + 1 + (int32_t)(next() % 30);
    size_t pixels = (size_t)height * (size_t)width, sources = (size_t)rows * (size_t)columns;
    float *velocity = reals_of(2 * pixels, -3, 3), *position = reals_of(2 * pixels, -9, 99);
    float *values = reals_of(sources * (size_t)channels, -2, 2), *moved = reals_of(2 * pixels, 0, 0);
    float *d[2] = {reals_of(2 * sources, -9, 9), reals_of(2 * sources, -200, 200)};
    uint8_t *invalid = bytes_of(pixels, 1);
    uint32_t *list = calloc(pixels, sizeof *list);
    if (!list) exit(3);
    for (size_t i = 0; i < pixels; i++) {
        if (next() % 5 == 0) velocity[2 * i] = odd(), position[2 * i + 1] = odd();
        list[i] = next() % (uint32_t)pixels;
    }
    for (size_t i = 0; i < sources; i++)
        if (next() % 4 == 0) d[next() % 2][2 * i + next() % 2] = odd();
    int failed = sf_euler_step(velocity, height, width, list, 0, pixels, position, invalid, moved) != SF_OK ||
                 sf_euler_step(velocity, height, width, 0, pixels / 3, pixels, position, invalid, 0) != SF_OK;
    list[pixels / 2] = (uint32_t)pixels;
    failed |= sf_euler_step(velocity, height, width, list, 0, pixels, position, invalid, moved) != SF_ERROR_VALUE;

    sf_splat splat = {.struct_size = sizeof splat, .height = height, .width = width, .rows = rows, .columns = columns,
                      .top = (int32_t)(next() % (uint32_t)(height - rows + 1)),
                      .left = (int32_t)(next() % (uint32_t)(width - columns + 1)), .channels = channels,
                      .denominators = groups, .isa = isa, .throws = 2, .share = {0.25f, 0.75f}, .values = values,
                      .displacement = {d[0], d[1]}};
    if (groups) splat.ends[0] = groups == 1 ? channels - 1 : 1, splat.ends[1] = channels - 2;
    if (groups == 2 && splat.ends[1] < 2) splat.denominators = 0;
    sf_splat_target target = {.struct_size = sizeof target};
    target.y0 = (int32_t)(next() % (uint32_t)height), target.x0 = (int32_t)(next() % (uint32_t)width);
    target.y1 = target.y0 + (int32_t)(next() % (uint32_t)(height - target.y0 + 1));
    target.x1 = target.x0 + (int32_t)(next() % (uint32_t)(width - target.x0 + 1));
    ptrdiff_t outputs = channels - splat.denominators, h = target.y1 - target.y0, w = target.x1 - target.x0;
    target.out = reals_of((size_t)(outputs * h * w) + 1, 0, 0);
    target.landed = reals_of((size_t)(h * w) + 1, 0, 0), target.landed_stride = w;
    if (next() % 2) target.row_stride = w, target.pixel_stride = 1, target.channel_stride = h * w;
    else target.row_stride = w * outputs, target.pixel_stride = outputs, target.channel_stride = 1;
    size_t index_bytes, scratch_bytes;
    if (!failed) failed = sf_splat_sizes(&splat, &target, &index_bytes, &scratch_bytes) != SF_OK;
    if (!failed) {
        void *memory[2] = {room(index_bytes), room(index_bytes)}, *scratch = room(scratch_bytes + 1);
        for (int32_t k = 0; k < 2; k++)
            failed |= sf_splat_prepare(&splat, k, &target, memory[k], index_bytes, &splat.index[k]) != SF_OK;
        int32_t middle = target.y0 + (int32_t)(next() % (uint32_t)(h + 1));
        if (!failed)
            failed = sf_splat_rows(&splat, &target, target.y0, middle, scratch, scratch_bytes) != SF_OK ||
                     sf_splat_rows(&splat, &target, middle, target.y1, scratch, scratch_bytes) != SF_OK ||
                     sf_splat_rows(&splat, &target, target.y0, target.y1 + 1, scratch, scratch_bytes) == SF_OK;
        /* Displacements that changed after all: another frame, but no stray write. */
        for (size_t i = 0; i < 2 * sources; i++) d[0][i] = next() % 9 ? -d[0][i] : odd();
        if (!failed) failed = sf_splat_rows(&splat, &target, target.y0, target.y1, scratch, scratch_bytes) != SF_OK;
        free(memory[0]), free(memory[1]), free(scratch);
    }
    free(velocity), free(position), free(values), free(moved), free(d[0]), free(d[1]), free(invalid), free(list);
    free(target.out), free(target.landed);
    return failed;
}

int main(void) {
    for (int32_t isa = SF_ISA_BEST; isa <= sf_isa_best(); isa++)
        for (int i = 0; i < 25; i++) {
            int32_t height = 1 + (int32_t)(next() % 70), width = 1 + (int32_t)(next() % 90);
            if (play(height, width, isa) || throw(height, width, isa)) {
                printf("failed: %dx%d, instruction set %d\n", width, height, isa);
                return 1;
            }
        }
    sf_scene_arrays absurd = {0};
    size_t a, b;
    for (int32_t size = -1; size < 2; size++) {
        absurd.struct_size = sizeof absurd, absurd.height = absurd.width = size * 70000, absurd.frames = 1;
        if (sf_sizes(&absurd, &a, &b) == SF_OK) return 2;
    }
    return sf_sizes(0, &a, &b) == SF_OK;
}
