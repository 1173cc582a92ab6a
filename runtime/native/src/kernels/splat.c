/* SPDX-License-Identifier: Apache-2.0 */
/* Displacements, and the calls of the splat: checks, the index of what lands in which row, and the way to the kernels. */
#include "scene.h"

#include <math.h>
#include <string.h>

int32_t sf_euler_step(const float *velocity, int32_t height, int32_t width, const uint32_t *pixels, size_t begin,
                      size_t end, float *position, uint8_t *invalid, float *displacement) {
    if (!sf_size_good(height, width)) return SF_ERROR_SIZE;
    const size_t all = (size_t)height * (size_t)width;
    if (!velocity || !position || !invalid || end < begin || (!pixels && end > all)) return SF_ERROR_ARGUMENT;
    const float last_x = (float)(width - 1), last_y = (float)(height - 1);
    const float beyond = (float)((height > width ? height : width) + 1);
    size_t row_begin = 0, row = 0;
    for (size_t i = begin; i < end; i++) {
        const size_t pixel = pixels ? pixels[i] : i;
        if (pixel >= all) return SF_ERROR_VALUE;
        /* Pixels mostly ascend: a division only where they jump. */
        if (pixel - row_begin >= (size_t)width) row = pixel / (size_t)width, row_begin = row * (size_t)width;
        const float x = (float)(pixel - row_begin), y = (float)row;
        float px = position[2 * i], py = position[2 * i + 1];
        if (!(px >= 0 && py >= 0 && px <= last_x && py <= last_y)) px = x, py = y;
        /* To the nearest, halves to even: the rounding that a program starts with. */
        const size_t nearest = (size_t)lrintf(py) * (size_t)width + (size_t)lrintf(px);
        px += velocity[2 * nearest];
        py += velocity[2 * nearest + 1];
        const int gone = (invalid[i] != 0) | !(px >= 0 && py >= 0 && px <= last_x && py <= last_y);
        position[2 * i] = gone ? x : px;
        position[2 * i + 1] = gone ? y : py;
        invalid[i] = (uint8_t)gone;
        if (!displacement) continue;
        displacement[2 * i] = gone ? beyond : px - x;
        displacement[2 * i + 1] = gone ? beyond : py - y;
    }
    return SF_OK;
}

/* Source pixels by the row they reach: those of row y are entries[start[y - y0]] .. entries[start[y - y0 + 1] - 1]. */
struct sf_splat_index {
    int32_t y0, y1;
    uint32_t sources; /* rows * columns of the splat it belongs to */
    uint32_t *start;
    uint32_t *entries;
};

/* A source reaches two rows at most; two more counts than rows let the fill run without asking for the ends. */
static size_t index_layout(const sf_splat *s, int32_t y0, int32_t y1, unsigned char *memory, sf_splat_index **index) {
    size_t sources = (size_t)s->rows * (size_t)s->columns, counts = (size_t)(y1 - y0) + 2;
    size_t head = sf_rounded_up(sizeof(sf_splat_index)), start = sf_rounded_up(counts * sizeof(uint32_t));
    if (memory) {
        sf_splat_index *i = (sf_splat_index *)(void *)memory;
        i->y0 = y0;
        i->y1 = y1;
        i->sources = (uint32_t)sources;
        i->start = (uint32_t *)(void *)(memory + head);
        i->entries = (uint32_t *)(void *)(memory + head + start);
        *index = i;
    }
    return head + start + sf_rounded_up(2 * sources * sizeof(uint32_t));
}

static int32_t check_splat(const sf_splat *s, const sf_splat_target *t) {
    if (!s || !t || s->struct_size < sizeof *s || t->struct_size < sizeof *t) return SF_ERROR_ARGUMENT;
    if (!sf_size_good(s->height, s->width) || !sf_size_good(s->rows, s->columns)) return SF_ERROR_SIZE;
    if (s->top < 0 || s->left < 0 || s->rows > s->height - s->top || s->columns > s->width - s->left)
        return SF_ERROR_ARGUMENT;
    if (s->channels < 1 || s->channels > SF_CHANNELS_MOST) return SF_ERROR_SIZE;
    if (s->denominators < 0 || s->denominators > SF_DENOMINATORS_MOST) return SF_ERROR_SIZE;
    if (s->throws < 1 || s->throws > SF_THROWS_MOST) return SF_ERROR_SIZE;
    for (int32_t g = 0, last = 0; g < s->denominators; last = s->ends[g++])
        if (s->ends[g] <= last) return SF_ERROR_SIZE;
    if (s->denominators && s->ends[s->denominators - 1] != s->channels - s->denominators) return SF_ERROR_SIZE;
    for (int32_t k = 0; k < s->throws; k++)
        if (!isfinite(s->share[k])) return SF_ERROR_ARGUMENT;
    if (t->y0 < 0 || t->y1 < t->y0 || t->y1 > s->height || t->x0 < 0 || t->x1 < t->x0 || t->x1 > s->width)
        return SF_ERROR_ARGUMENT;
    return SF_OK;
}

static size_t scratch_bytes_of(const sf_splat *s, const sf_splat_target *t) {
    return sf_rounded_up((size_t)(t->x1 - t->x0) * (size_t)s->channels * sizeof(float));
}

int32_t sf_splat_sizes(const sf_splat *splat, const sf_splat_target *target, size_t *index_bytes,
                       size_t *scratch_bytes) {
    int32_t status = check_splat(splat, target);
    if (status == SF_OK && (!index_bytes || !scratch_bytes)) status = SF_ERROR_ARGUMENT;
    if (index_bytes) *index_bytes = status == SF_OK ? index_layout(splat, target->y0, target->y1, 0, 0) : 0;
    if (scratch_bytes) *scratch_bytes = status == SF_OK ? scratch_bytes_of(splat, target) : 0;
    return status;
}

/* Whether a source lands in the picture at all; *row is then the upper of its rows, *two whether it has a lower. */
static int reaches(const sf_splat *s, float x, float y, const float *displacement, int32_t *row, int *two) {
    const float tx = x + displacement[0], ty = y + displacement[1];
    if (!(tx > -1 && ty > -1 && tx < (float)s->width && ty < (float)s->height)) return 0;
    int32_t py = (int32_t)ty;
    py -= (float)py > ty;
    *row = py;
    *two = ty - (float)py != 0;
    return 1;
}

int32_t sf_splat_prepare(const sf_splat *s, int32_t which, const sf_splat_target *target, void *memory,
                         size_t memory_bytes, const sf_splat_index **index) {
    if (!index) return SF_ERROR_ARGUMENT;
    *index = 0;
    int32_t status = check_splat(s, target);
    if (status != SF_OK) return status;
    if (!memory || which < 0 || which >= s->throws || !s->displacement[which]) return SF_ERROR_ARGUMENT;
    const int32_t y0 = target->y0, y1 = target->y1;
    if ((uintptr_t)memory % SF_ALIGNMENT || memory_bytes < index_layout(s, y0, y1, 0, 0)) return SF_ERROR_MEMORY;
    sf_splat_index *made;
    index_layout(s, y0, y1, memory, &made);
    const uint32_t rows = (uint32_t)(y1 - y0);
    uint32_t *start = made->start;
    memset(start, 0, ((size_t)rows + 2) * sizeof *start);
    /*
     * A counting sort, stable by source. Counts stand two places on; once summed up, place r + 1 holds where row r
     * begins and, after the fill has moved it, where it ends.
     */
    for (int pass = 0; pass < 2; pass++) {
        uint32_t source = 0;
        for (int32_t i = 0; i < s->rows; i++)
            for (int32_t j = 0; j < s->columns; j++, source++) {
                int32_t row;
                int two;
                if (!reaches(s, (float)(s->left + j), (float)(s->top + i),
                             s->displacement[which] + 2 * (size_t)source, &row, &two))
                    continue;
                /* As unsigned, rows above the target are beyond its last one too. */
                const uint32_t upper = (uint32_t)row - (uint32_t)y0, lower = upper + 1;
                if (upper < rows) {
                    if (pass) made->entries[start[upper + 1]++] = source;
                    else start[upper + 2]++;
                }
                if (two && lower < rows) {
                    if (pass) made->entries[start[lower + 1]++] = source;
                    else start[lower + 2]++;
                }
            }
        for (uint32_t r = 1; !pass && r <= rows + 1; r++) start[r] += start[r - 1];
    }
    *index = made;
    return SF_OK;
}

int32_t sf_splat_rows(const sf_splat *s, const sf_splat_target *target, int32_t y0, int32_t y1, void *scratch,
                      size_t scratch_bytes) {
    int32_t status = check_splat(s, target);
    if (status != SF_OK) return status;
    if (!s->values || !target->out || !scratch || y0 < target->y0 || y1 < y0 || y1 > target->y1)
        return SF_ERROR_ARGUMENT;
    for (int32_t k = 0; k < s->throws; k++) {
        const sf_splat_index *index = s->index[k];
        if (!index || !s->displacement[k] || index->y0 > y0 || index->y1 < y1 ||
            index->sources != (uint32_t)s->rows * (uint32_t)s->columns)
            return SF_ERROR_ARGUMENT;
    }
    if ((uintptr_t)scratch % SF_ALIGNMENT || scratch_bytes < scratch_bytes_of(s, target)) return SF_ERROR_MEMORY;
    const sf_kernels *kernels = sf_kernels_for(s->isa);
    if (!kernels) return SF_ERROR_UNSUPPORTED;
    float *sums = scratch;
    const size_t bytes = (size_t)(target->x1 - target->x0) * (size_t)s->channels * sizeof(float);
    for (int32_t y = y0; y < y1; y++) {
        memset(sums, 0, bytes);
        for (int k = 0; k < s->throws; k++) {
            const sf_splat_index *index = s->index[k];
            const uint32_t *start = index->start + (y - index->y0);
            if (s->share[k] != 0)
                kernels->add_row(s, k, index->entries + start[0], index->entries + start[1], target, y, sums);
        }
        kernels->divide_row(s, target, y, sums);
    }
    return SF_OK;
}
