/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of stillflow.h: checks, the layout of a scene in the caller's memory, and the way to the kernels. */
#include "scene.h"

#include <math.h>
#include <string.h>

#define SF_SIDE_MOST 65535
#define SF_PIXELS_MOST ((int64_t)1 << 27)
#define SF_FRAMES_MOST 1000000
#define SF_SPEED_MOST 1e5f
#define SF_LIGHT_MOST 8.0f
#define SF_TAU 6.283185307179586476925286766559

int32_t sf_abi_version(void) { return SF_ABI_VERSION; }

const char *sf_status_text(int32_t status) {
    switch (status) {
    case SF_OK: return "no error";
    case SF_ERROR_ARGUMENT: return "a pointer is null, a struct_size, format or stride is wrong, rows lie outside the picture or begin or end at an odd one in NV12, or a time or share is not finite";
    case SF_ERROR_SIZE: return "height, width, harmonics, lights, frames, channels or weights are out of range";
    case SF_ERROR_MEMORY: return "memory, index or scratch is too small or not aligned";
    case SF_ERROR_VALUE: return "an array holds a value that is not finite or absurdly large, or cycles or periods hold a 0";
    case SF_ERROR_UNSUPPORTED: return "this processor or library lacks the instruction set that was asked for, or the library what the bundle asks for";
    case SF_ERROR_FILE: return "a file cannot be read";
    case SF_ERROR_FORMAT: return "a file or a photo's bytes are damaged or of a kind that is not known";
    case SF_ERROR_VERSION: return "a file or a library is of another version";
    case SF_ERROR_LIMIT: return "more memory is needed than the limit, or than there is";
    case SF_ERROR_ENGINE: return "ONNX Runtime is missing or failed";
    case SF_ERROR_DIFFERS: return "a network does not give what its test vector says";
    case SF_ERROR_STOPPED: return "the caller asked to stop";
    case SF_ERROR_UNSUITED: return "the photo will not make a good loop";
    default: return "unknown status";
    }
}

int32_t sf_isa_best(void) {
#if defined(SF_AVX2)
    if (__builtin_cpu_supports("avx2")) return SF_ISA_AVX2;
#endif
    return SF_ISA_BASELINE;
}

const sf_kernels *sf_kernels_for(int32_t isa) {
    if (isa == SF_ISA_BEST) isa = sf_isa_best();
    if (isa == SF_ISA_BASELINE) return &sf_kernels_baseline;
#if defined(SF_AVX2)
    if (isa == SF_ISA_AVX2 && __builtin_cpu_supports("avx2")) return &sf_kernels_avx2;
#endif
#if defined(SF_AVX512)
    if (isa == SF_ISA_AVX512 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        return &sf_kernels_avx512;
#endif
    return 0;
}

/* Hands out aligned pieces of a block; with no block it only counts. */
typedef struct sf_block {
    unsigned char *memory;
    size_t used;
} sf_block;

static void *take(sf_block *block, size_t count, size_t size) {
    void *piece = block->memory ? block->memory + block->used : 0;
    block->used += sf_rounded_up(count * size);
    return piece;
}

static int32_t field_size(int32_t pixels) { return (pixels + SF_FIELD_SCALE - 1) / SF_FIELD_SCALE; }

int sf_size_good(int32_t height, int32_t width) {
    if (height < 1 || width < 1 || height > SF_SIDE_MOST || width > SF_SIDE_MOST) return 0;
    return (int64_t)height * width <= SF_PIXELS_MOST;
}

static int32_t check_arguments(const sf_scene_arrays *a) {
    if (!a || a->struct_size < sizeof(sf_scene_arrays)) return SF_ERROR_ARGUMENT;
    if (!sf_size_good(a->height, a->width)) return SF_ERROR_SIZE;
    if (a->harmonics < 0 || a->harmonics > SF_HARMONICS_MOST) return SF_ERROR_SIZE;
    if (a->lights < 0 || a->lights > SF_HARMONICS_MOST) return SF_ERROR_SIZE;
    if (a->frames < 1 || a->frames > SF_FRAMES_MOST) return SF_ERROR_SIZE;
    return SF_OK;
}

static void take_runs(sf_block *block, size_t rows, size_t most_in_row, sf_runs *runs) {
    runs->start = take(block, rows + 1, sizeof *runs->start);
    runs->runs = take(block, rows * most_in_row, sizeof *runs->runs);
}

static size_t scene_layout(const sf_scene_arrays *a, void *memory, sf_scene **scene) {
    sf_block block = {memory, 0};
    sf_scene local, *s = take(&block, 1, sizeof *s);
    if (!s) s = &local;
    memset(s, 0, sizeof *s);
    s->height = a->height;
    s->width = a->width;
    s->h = field_size(a->height);
    s->w = field_size(a->width);
    s->cell_stride = s->w + 1;
    s->harmonics = a->harmonics;
    s->lights = a->lights;
    s->frames = a->frames;
    /* An odd number of cache lines, so that the four rows of taps never share a set of the cache. */
    int32_t lines = (4 * (a->width + SF_PLATE_BEFORE + SF_PLATE_AFTER) + 63) / 64 | 1;
    s->plate_stride = 64 * lines;
    size_t cells = (size_t)s->cell_stride * ((size_t)s->h + 1);
    s->plate = take(&block, (size_t)s->plate_stride, (size_t)a->height + SF_PLATE_BEFORE + SF_PLATE_AFTER);
    s->velocity = take(&block, cells + 1, 2 * sizeof(float));
    s->low = take(&block, cells + 1, 4 * sizeof(float));
    s->cycles = take(&block, cells, 1);
    s->reach = take(&block, cells, 1);
    s->layer = take(&block, cells, 1);
    s->cubic = take(&block, SF_FRACTIONS, 8 * sizeof(int16_t));
    take_runs(&block, (size_t)s->height, (size_t)s->width / (2 * SF_GROUP) + 2, &s->groups);
    size_t most = (size_t)s->w / 2 + 1;
    take_runs(&block, (size_t)s->h, most, &s->blend_cells);
    for (int k = 0; k <= SF_DOUBLINGS; k++) take_runs(&block, (size_t)s->h, most, &s->levels[k]);
    take_runs(&block, (size_t)s->h, 1, &s->everywhere[0]);
    for (int k = 1; k <= SF_DOUBLINGS; k++) s->everywhere[k] = s->everywhere[0];
    if (scene) *scene = s;
    return block.used;
}

static size_t scratch_layout(const sf_scene_arrays *a, void *memory, sf_scratch *scratch) {
    sf_block block = {memory, 0};
    size_t h = (size_t)field_size(a->height), w = (size_t)field_size(a->width);
    sf_scratch local, *s = scratch ? scratch : &local;
    for (int k = 0; k < 2; k++)
        for (int source = 0; source < 2; source++)
            s->d[k][source] = take(&block, (h + 1) * (w + 1) + 1, 2 * sizeof(float));
    s->ring_row = 4 * (int32_t)(w + 2 * SF_STATISTICS_RADIUS + 4);
    s->ring = take(&block, (size_t)(2 * SF_STATISTICS_RADIUS + 1) * (size_t)s->ring_row, sizeof(float));
    s->columns = take(&block, (size_t)2 * (size_t)s->ring_row, sizeof(float));
    for (int k = 0; k < 3; k++) s->marks[k] = take(&block, h * w, 1);
    return block.used;
}

int32_t sf_sizes(const sf_scene_arrays *arrays, size_t *scene_bytes, size_t *scratch_bytes) {
    int32_t status = check_arguments(arrays);
    if (status == SF_OK && (!scene_bytes || !scratch_bytes)) status = SF_ERROR_ARGUMENT;
    if (scene_bytes) *scene_bytes = status == SF_OK ? scene_layout(arrays, 0, 0) : 0;
    if (scratch_bytes) *scratch_bytes = status == SF_OK ? scratch_layout(arrays, 0, 0) : 0;
    return status;
}

/* Whether all are numbers of at most the given size. */
static int all_within(const float *values, size_t count, float most) {
    int good = 1;
    for (size_t i = 0; i < count; i++) good &= fabsf(values[i]) <= most;
    return good;
}

/* Whole periods: only they close the loop. */
static int periods_good(const int32_t *periods, int32_t count) {
    int good = 1;
    for (int32_t k = 0; periods && k < count; k++) good &= periods[k] >= 1 && periods[k] <= SF_FRAMES_MOST;
    return good;
}

static int32_t check_values(const sf_scene_arrays *a) {
    size_t cells = (size_t)field_size(a->height) * (size_t)field_size(a->width);
    if (!all_within(a->velocity, 2 * cells, SF_SPEED_MOST) || !all_within(a->inside, cells, 1e3f) ||
        !all_within(a->low, 3 * cells, 1e5f))
        return SF_ERROR_VALUE;
    if (a->harmonics && !all_within(a->sway, (size_t)a->harmonics * cells * 4, SF_SPEED_MOST)) return SF_ERROR_VALUE;
    if (a->lights && !all_within(a->light, (size_t)a->lights * cells * 2, SF_LIGHT_MOST)) return SF_ERROR_VALUE;
    if (a->blend && !all_within(a->blend, 2 * cells, 1e5f)) return SF_ERROR_VALUE;
    if (!periods_good(a->sway_periods, a->harmonics) || !periods_good(a->light_periods, a->lights))
        return SF_ERROR_VALUE;
    uint8_t none = 0;
    for (size_t i = 0; i < cells; i++) none |= a->cycles[i] == 0;
    return none ? SF_ERROR_VALUE : SF_OK;
}

/* Cubic convolution (Keys 1981) in int16; rows sum to 2^14 exactly, so that a flat plate stays what it is. */
static void fill_cubic(int16_t *table) {
    for (int i = 0; i < SF_FRACTIONS; i++) {
        double f = (double)i / SF_FRACTIONS, f2 = f * f, f3 = f2 * f;
        const double a = SF_CUBIC_A;
        double weights[4] = {a * (f - 2 * f2 + f3), 1 - (a + 3) * f2 + (a + 2) * f3,
                             -a * f + (2 * a + 3) * f2 - (a + 2) * f3, a * (f2 - f3)};
        int32_t fixed[4], sum = 0;
        for (int k = 0; k < 4; k++) sum += fixed[k] = (int32_t)floor(weights[k] * 16384 + 0.5);
        fixed[f < 0.5 ? 1 : 2] += 16384 - sum;
        for (int k = 0; k < 8; k++) table[8 * i + k] = (int16_t)fixed[k / 2];
    }
}

static int32_t check_scratch(const sf_scene_arrays *sizes, void *memory, size_t bytes, sf_scratch *scratch) {
    if (!memory) return SF_ERROR_ARGUMENT;
    if ((uintptr_t)memory % SF_ALIGNMENT || bytes < scratch_layout(sizes, memory, scratch)) return SF_ERROR_MEMORY;
    return SF_OK;
}

/* A field of one column or row has only padding beside it: its weight is 0, but it must be a number. */
static void clear_padding(const sf_scene *s, const sf_scratch *scratch) {
    if (s->w > 1 && s->h > 1) return;
    for (int k = 0; k < 4; k++)
        memset(scratch->d[k / 2][k % 2], 0, ((size_t)s->cell_stride * ((size_t)s->h + 1) + 1) * 2 * sizeof(float));
}

sf_scene *sf_lay_out(const sf_scene_arrays *sizes, void *memory) {
    sf_scene *s;
    scene_layout(sizes, memory, &s);
    s->kernels = sf_kernels_for(sizes->isa);
    return s;
}

static int32_t prepare(const sf_scene_arrays *a, int has_plate, void *memory, size_t memory_bytes, void *scratch,
                       size_t scratch_bytes, const sf_scene **scene) {
    if (!scene) return SF_ERROR_ARGUMENT;
    *scene = 0;
    int32_t status = check_arguments(a);
    if (status != SF_OK) return status;
    if (!memory || !a->photo || (has_plate && !a->plate) || !a->matte || !a->velocity || !a->flow || !a->cycles ||
        !a->inside || !a->low || (a->harmonics && !a->sway) || (a->lights && !a->light))
        return SF_ERROR_ARGUMENT;
    if (!sf_kernels_for(a->isa)) return SF_ERROR_UNSUPPORTED;
    sf_scratch pieces;
    status = check_scratch(a, scratch, scratch_bytes, &pieces);
    if (status != SF_OK) return status;
    if ((uintptr_t)memory % SF_ALIGNMENT || memory_bytes < scene_layout(a, 0, 0)) return SF_ERROR_MEMORY;
    status = check_values(a);
    if (status != SF_OK) return status;
    sf_scene *s = sf_lay_out(a, memory);
    s->photo = a->photo;
    s->matte = a->matte;
    s->sway = a->sway;
    s->blend = a->blend;
    s->light = a->light;
    for (int32_t k = 0; k < a->harmonics; k++) s->sway_periods[k] = a->sway_periods ? a->sway_periods[k] : k + 1;
    for (int32_t k = 0; k < a->lights; k++) s->light_periods[k] = a->light_periods ? a->light_periods[k] : k + 1;
    for (int32_t y = 0; has_plate && y < s->height; y++) sf_pack_row(s, y, a->plate + (size_t)y * 3 * (size_t)s->width);
    sf_pack_fields(s, a);
    fill_cubic(s->cubic);
    clear_padding(s, &pieces);
    sf_find_regions(s, &pieces);
    *scene = s;
    return SF_OK;
}

int32_t sf_prepare(const sf_scene_arrays *a, void *memory, size_t memory_bytes, void *scratch, size_t scratch_bytes,
                   const sf_scene **scene) {
    return prepare(a, 1, memory, memory_bytes, scratch, scratch_bytes, scene);
}

int32_t sf_prepare_rest(const sf_scene_arrays *a, void *memory, size_t memory_bytes, void *scratch,
                        size_t scratch_bytes, const sf_scene **scene) {
    return prepare(a, 0, memory, memory_bytes, scratch, scratch_bytes, scene);
}

/* The reference computes phases in double and the rest in float; so does this. */
static void fill_phases(const sf_scene *s, double t, sf_phase *phases) {
    for (int c = 1; c < 256; c++) {
        if (!s->cycles_used[c]) continue;
        double phase = c * (t / s->frames);
        float u = (float)(phase - floor(phase)), period = (float)s->frames / (float)c;
        sf_phase *p = phases + c;
        p->step[0] = p->step[1] = -u * period / (1 << SF_DOUBLINGS);
        p->step[2] = p->step[3] = (1 - u) * period / (1 << SF_DOUBLINGS);
        p->share[0] = p->share[1] = 1 - u;
        p->share[2] = p->share[3] = u;
        p->sin1 = p->sin2 = 0;
        if (s->blend) {
            p->sin1 = (float)sin(SF_TAU / 2 * u);
            p->sin2 = (float)sin(SF_TAU * u);
        }
    }
}

static void fill_swing(const sf_scene *s, double t, const int32_t *periods, int32_t harmonics, float *swing) {
    for (int32_t k = 0; k < harmonics; k++) {
        double theta = SF_TAU * periods[k] * t / s->frames;
        swing[2 * k] = (float)cos(theta) - 1.0f;
        swing[2 * k + 1] = (float)sin(theta);
    }
}

int32_t sf_fields(const sf_scene *s, double t, float *planes, void *scratch, size_t scratch_bytes) {
    if (!s || !planes || !isfinite(t)) return SF_ERROR_ARGUMENT;
    sf_scene_arrays sizes = {.height = s->height, .width = s->width};
    sf_scratch pieces;
    int32_t status = check_scratch(&sizes, scratch, scratch_bytes, &pieces);
    if (status != SF_OK) return status;
    clear_padding(s, &pieces);
    sf_phase phases[256];
    sf_swing swing;
    fill_phases(s, t, phases);
    fill_swing(s, t, s->sway_periods, s->harmonics, swing.sway);
    fill_swing(s, t, s->light_periods, s->lights, swing.light);
    const sf_kernels *kernels = s->kernels;
    if (!s->flows) {
        kernels->finish(s, phases, &swing, &pieces, planes);
        return SF_OK;
    }
    const uint32_t good = (1u << SF_DOUBLINGS) - 1;
    uint32_t reached = kernels->trace(s, phases, &pieces, s->levels, SF_DOUBLINGS - 1);
    if ((reached & good) == good) reached &= kernels->finish(s, phases, &swing, &pieces, planes);
    if ((reached & good) != good) {
        kernels->trace(s, phases, &pieces, s->everywhere, SF_DOUBLINGS - 1);
        kernels->finish(s, phases, &swing, &pieces, planes);
    }
    return SF_OK;
}

int32_t sf_compose(const sf_scene *s, const float *planes, int32_t y0, int32_t y1, uint8_t *out,
                   ptrdiff_t out_stride) {
    if (!s || !planes || !out) return SF_ERROR_ARGUMENT;
    if (y0 < 0 || y1 < y0 || y1 > s->height || out_stride < (ptrdiff_t)3 * s->width) return SF_ERROR_ARGUMENT;
    s->kernels->compose(s, planes, y0, y1, out + (ptrdiff_t)y0 * out_stride, out_stride);
    return SF_OK;
}
