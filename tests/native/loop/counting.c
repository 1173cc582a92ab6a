/* SPDX-License-Identifier: Apache-2.0 */
/* Opens, plays and closes a scene with a malloc that counts. Prints how many pieces were taken while what was done. */
#include <stdio.h>
#include <stdlib.h>

#include "stillflow.h"

#if !defined(__GLIBC__)
int main(void) { return 77; }
#else

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static long taken, given;

void *malloc(size_t size) { return taken++, __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return taken++, __libc_calloc(count, size); }
void *realloc(void *old, size_t size) { return taken++, given += old != 0, __libc_realloc(old, size); }
void *aligned_alloc(size_t alignment, size_t size) { return taken++, __libc_memalign(alignment, size); }
int posix_memalign(void **out, size_t alignment, size_t size) {
    taken++;
    *out = __libc_memalign(alignment, size);
    return *out == 0;
}
void free(void *old) { given += old != 0, __libc_free(old); }

static _Alignas(SF_ALIGNMENT) unsigned char frame[1 << 20], rows[1 << 20], out[1 << 20];

static int play(const sf_loop *loop) {
    for (int format = SF_RGB; format <= SF_NV12; format++)
        for (int scaled = 0; scaled < 2; scaled++) {
            sf_target target = {.struct_size = sizeof target, .format = format, .width = scaled ? 90 : 0,
                                .height = scaled ? 20 : 0, .data = out, .stride = 1024, .chroma = out + (1 << 19),
                                .chroma_stride = 1024};
            sf_facts facts = {.struct_size = sizeof facts};
            if (sf_loop_facts(loop, &target, &facts) || facts.frame_bytes > sizeof frame || facts.rows_bytes > sizeof rows)
                return 1;
            for (int t = 0; t < 3; t++)
                if (sf_loop_at(loop, t, frame, sizeof frame) ||
                    sf_loop_rows(loop, frame, 0, scaled ? 20 : facts.height, &target, rows, sizeof rows))
                    return 1;
        }
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    sf_source source = {.struct_size = sizeof source, .path = argv[1]}, bad = source;
    bad.path = argv[2];
    sf_error error = {.struct_size = sizeof error};
    sf_loop *loop;
    const long first = taken, before = taken - given;
    if (sf_loop_open(&source, &loop, &error)) return 3;
    const long opening = taken - first, second = taken;
    if (play(loop)) return 4;
    const long playing = taken - second;
    sf_loop_close(loop);
    for (int i = 0; i < 1000; i++) {
        if (sf_loop_open(&source, &loop, &error)) return 5;
        sf_loop_close(loop);
        if (!sf_loop_open(&bad, &loop, &error) || loop) return 6;
    }
    const long kept = taken - given - before;
    printf("opening=%ld playing=%ld kept=%ld\n", opening, playing, kept);
    return 0;
}
#endif
