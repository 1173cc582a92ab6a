/* SPDX-License-Identifier: Apache-2.0 */
/* A .sflow file: opened, asked, and one frame played at its own and at an odd size, in all formats in turn. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>

#include "stillflow.h"
#include "target.h"

#define MEMORY_LIMIT ((uint64_t)4 << 20) /* no scene of this size is slow */

/* Memory that ends where it should, so that the sanitizer sees a byte too much. */
static void *take(size_t bytes) {
    void *memory = 0;
    if (posix_memalign(&memory, SF_ALIGNMENT, bytes ? bytes : 1)) abort();
    return memory;
}

static void play(const sf_loop *loop, int32_t format, int32_t width, int32_t height, double t) {
    sf_target target = {.struct_size = sizeof target, .format = format, .width = width, .height = height};
    sf_facts facts = {.struct_size = sizeof facts};
    if (sf_loop_facts(loop, &target, &facts)) abort();
    const size_t rows = (size_t)(height ? height : facts.height), columns = (size_t)(width ? width : facts.width);
    const size_t lines = rows + (format == SF_NV12 && rows % 2);
    const size_t row = format == SF_RGB ? 3 * columns : format == SF_NV12 ? columns + columns % 2 : 4 * columns;
    void *frame = take(facts.frame_bytes), *memory = take(facts.rows_bytes);
    target.data = take(row * lines);
    target.stride = (ptrdiff_t)row;
    target.chroma = format == SF_NV12 ? take(row * lines / 2) : 0;
    target.chroma_stride = (ptrdiff_t)row;
    const int32_t middle = (int32_t)(rows / 4 * 2);
    if (sf_loop_at(loop, t, frame, facts.frame_bytes)) abort();
    if (sf_loop_rows(loop, frame, 0, middle, &target, memory, facts.rows_bytes)) abort();
    if (sf_loop_rows(loop, frame, middle, (int32_t)rows, &target, memory, facts.rows_bytes)) abort();
    free(frame);
    free(memory);
    free(target.data);
    free(target.chroma);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const int32_t sides[4][2] = {{31, 45}, {129, 7}, {3, 290}, {200, 113}}; /* larger and smaller, both ways */
    uint8_t *bytes = take(size);
    if (size) memcpy(bytes, data, size);
    const unsigned choice = size ? data[size / 2] : 0u; /* any byte: the same for the same input */
    const sf_source source = {.struct_size = sizeof source, .isa = (int32_t)(choice / 16 % 2), .bytes = bytes, .size = size,
                              .memory_limit = MEMORY_LIMIT};
    sf_error error = {.struct_size = sizeof error};
    sf_loop *loop = 0;
    const int32_t status = sf_loop_open(&source, &loop, &error);
    if (status != error.status || !status != !!loop) abort();
    if (status && (!error.what[0] || !error.why[0] || !error.fix[0])) abort(); /* whoever reads it must learn something */
    if (loop) {
        sf_facts facts = {.struct_size = sizeof facts};
        if (sf_loop_facts(loop, 0, &facts) || facts.memory_bytes > MEMORY_LIMIT) abort();
        const int32_t *odd = sides[choice / 4 % 4];
        play(loop, (int32_t)(choice % 4), 0, 0, choice * 0.37);
        play(loop, (int32_t)((choice + 1) % 4), odd[0], odd[1], -1.5 * choice);
    }
    sf_loop_close(loop);
    free(bytes);
    return 0;
}
