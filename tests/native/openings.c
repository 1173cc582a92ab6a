/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What products do a thousand times, and what happens to them once: openings PART SCENE [MORE...]
 *
 *     frames SCENE                    every format, size and split; nothing is allocated per frame
 *     thousand SCENE DAMAGED...       a thousand openings, of which half fail: nothing is left over
 *     threads SCENE                   8 threads play one loop while 8 others open and play their own
 *     starved SCENE                   the n-th allocation fails, for every n until opening succeeds
 *     limits SCENE                    every memory limit from small to enough
 *     bundle SCENE BUNDLE ENGINE      starved and limits for a bundle, opened and tested
 *     photo SCENE BUNDLE ENGINE       starved for a photo that is made a loop
 *
 * Built with the sanitizers. The linker (--wrap) leads the library's own calls for memory, and these only, through the
 * functions below.
 */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stillflow.h"

#define OPENINGS 1000
#define THREADS 8

static atomic_long taken, live;
static long fail_at; /* number of the call that fails, 0 for none; set while one thread runs */

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
int __real_posix_memalign(void **, size_t, size_t);
char *__real_realpath(const char *, char *);
void *__real_mmap(void *, size_t, int, int, int, off_t);
void __real_free(void *);
int __real_munmap(void *, size_t);

static int fails(void) { return ++taken == fail_at; }

static void *counted(void *memory) {
    live += memory != 0;
    return memory;
}

void *__wrap_malloc(size_t size) { return fails() ? 0 : counted(__real_malloc(size)); }
void *__wrap_calloc(size_t count, size_t size) { return fails() ? 0 : counted(__real_calloc(count, size)); }

void *__wrap_realloc(void *old, size_t size) {
    if (fails()) return 0;
    void *memory = __real_realloc(old, size);
    live += memory && !old;
    return memory;
}

int __wrap_posix_memalign(void **out, size_t alignment, size_t size) {
    if (fails()) return ENOMEM;
    const int status = __real_posix_memalign(out, alignment, size);
    live += !status;
    return status;
}

char *__wrap_realpath(const char *path, char *out) {
    errno = ENOMEM;
    return fails() ? 0 : counted(__real_realpath(path, out));
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int file, off_t offset) {
    errno = ENOMEM;
    void *memory = fails() ? MAP_FAILED : __real_mmap(at, size, protection, flags, file, offset);
    live += memory != MAP_FAILED;
    return memory;
}

void __wrap_free(void *memory) {
    live -= memory != 0;
    __real_free(memory);
}

int __wrap_munmap(void *memory, size_t size) {
    live--;
    return __real_munmap(memory, size);
}

#define EXPECT(condition)                                                                    \
    do {                                                                                     \
        if (!(condition)) {                                                                  \
            fprintf(stderr, "openings: line %d: not so: %s\n", __LINE__, #condition);        \
            exit(1);                                                                         \
        }                                                                                    \
    } while (0)

/* Memory of the program's own, which is not counted and never fails; it ends where it should. */
static void *take(size_t bytes) {
    void *memory = 0;
    EXPECT(!__real_posix_memalign(&memory, SF_ALIGNMENT, bytes ? bytes : 1));
    return memory;
}

typedef struct screen {
    sf_target target;
    size_t rows, columns, bytes, row, rows_bytes;
    void *frame, *memory;
    size_t frame_bytes;
} screen;

static screen make_screen(const sf_loop *loop, int32_t format, int32_t width, int32_t height) {
    screen s = {.target = {.struct_size = sizeof s.target, .format = format, .width = width, .height = height}};
    sf_facts facts = {.struct_size = sizeof facts};
    EXPECT(sf_loop_facts(loop, &s.target, &facts) == SF_OK);
    s.rows = (size_t)(height ? height : facts.height);
    s.columns = (size_t)(width ? width : facts.width);
    s.row = format == SF_RGB ? 3 * s.columns : format == SF_NV12 ? s.columns + s.columns % 2 : 4 * s.columns;
    const size_t lines = format == SF_NV12 ? s.rows + s.rows % 2 : s.rows;
    s.bytes = s.row * (lines + (format == SF_NV12 ? lines / 2 : 0));
    s.target.data = take(s.bytes);
    s.target.chroma = format == SF_NV12 ? s.target.data + s.row * lines : 0;
    s.target.stride = s.target.chroma_stride = (ptrdiff_t)s.row;
    s.frame = take(s.frame_bytes = facts.frame_bytes);
    s.memory = take(s.rows_bytes = facts.rows_bytes);
    return s;
}

static void drop_screen(const screen *s) {
    __real_free(s->target.data);
    __real_free(s->frame);
    __real_free(s->memory);
}

/* One frame in bands of so many rows, even for SF_NV12. */
static void show(const sf_loop *loop, const screen *s, double t, size_t band) {
    EXPECT(sf_loop_at(loop, t, s->frame, s->frame_bytes) == SF_OK);
    for (size_t y = 0; y < s->rows; y += band) {
        const size_t end = y + band < s->rows ? y + band : s->rows;
        EXPECT(sf_loop_rows(loop, s->frame, (int32_t)y, (int32_t)end, &s->target, s->memory, s->rows_bytes) == SF_OK);
    }
}

static int32_t open_scene(const char *path, uint64_t limit, sf_loop **loop, sf_error *error) {
    const sf_source source = {.struct_size = sizeof source, .path = path, .memory_limit = limit};
    *error = (sf_error){.struct_size = sizeof *error};
    const int32_t status = sf_loop_open(&source, loop, error);
    EXPECT(status == error->status && !status == !!*loop);
    EXPECT(!status || (error->what[0] && error->why[0] && error->fix[0]));
    return status;
}

static sf_loop *open_sound(const char *path) {
    sf_loop *loop = 0;
    sf_error error;
    EXPECT(open_scene(path, 0, &loop, &error) == SF_OK);
    return loop;
}

static void play_frames(const char *path) {
    static const int32_t sizes[][2] = {{0, 0}, {31, 45}, {129, 7}, {3, 290}, {200, 113}, {1, 1}};
    static const size_t bands[] = {2, 6, 64};
    sf_loop *loop = open_sound(path);
    const long before = taken;
    for (int32_t format = SF_RGB; format <= SF_NV12; format++)
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            const screen s = make_screen(loop, format, sizes[k][0], sizes[k][1]);
            uint8_t *whole = take(s.bytes);
            show(loop, &s, 3.25, 100000);
            memcpy(whole, s.target.data, s.bytes);
            for (size_t b = 0; b < sizeof bands / sizeof *bands; b++) {
                memset(s.target.data, 0xA5, s.bytes);
                show(loop, &s, 3.25, bands[b]);
                EXPECT(!memcmp(whole, s.target.data, s.bytes));
            }
            __real_free(whole);
            drop_screen(&s);
        }
    EXPECT(taken == before); /* playing allocates nothing */
    sf_loop_close(loop);
}

static void open_often(const char *sound, char **damaged, int count) {
    long first = 0;
    EXPECT(count > 0);
    for (int i = 0; i < OPENINGS / 2; i++) {
        const long before = taken;
        sf_loop *loop = open_sound(sound);
        sf_error error;
        sf_loop_close(loop);
        EXPECT(live == 0);
        if (!first) first = taken - before;
        EXPECT(taken - before == first); /* no opening takes more than the first did */
        EXPECT(open_scene(damaged[i % count], 0, &loop, &error) != SF_OK && live == 0);
    }
}

typedef struct player {
    const char *path;
    const sf_loop *loop; /* or null, to open one's own */
    const uint8_t *expected;
} player;

static void *play_many(void *given) {
    const player *p = given;
    for (int n = 0; n < 6; n++) {
        sf_loop *own = p->loop ? 0 : open_sound(p->path);
        const screen s = make_screen(p->loop ? p->loop : own, SF_NV12, 0, 0);
        show(p->loop ? p->loop : own, &s, 2.5, n % 2 ? 6 : 100000);
        EXPECT(!memcmp(p->expected, s.target.data, s.bytes));
        drop_screen(&s);
        sf_loop_close(own);
    }
    return 0;
}

static void play_together(const char *path) {
    sf_loop *loop = open_sound(path);
    const screen s = make_screen(loop, SF_NV12, 0, 0);
    show(loop, &s, 2.5, 100000);
    player sharing = {path, loop, s.target.data}, alone = {path, 0, s.target.data};
    pthread_t threads[2 * THREADS];
    for (int k = 0; k < 2 * THREADS; k++) EXPECT(!pthread_create(&threads[k], 0, play_many, k % 2 ? &sharing : &alone));
    for (int k = 0; k < 2 * THREADS; k++) EXPECT(!pthread_join(threads[k], 0));
    drop_screen(&s);
    sf_loop_close(loop);
}

/* Call by call, one after the other fails, until nothing does any more. */
static long starve(int32_t (*body)(char **, uint64_t), char **given) {
    for (long n = 1;; n++) {
        taken = 0;
        fail_at = n;
        const int32_t status = body(given, 0);
        const int reached = taken >= n;
        fail_at = 0;
        EXPECT(live == 0);
        EXPECT(status || !reached); /* what failed is told */
        if (!reached) return n - 1;
    }
}

/* Limit by limit, until one is enough; above it none is too little. */
static uint64_t enough(int32_t (*body)(char **, uint64_t), char **given, uint64_t step) {
    uint64_t limit = 1;
    for (int32_t status = SF_ERROR_LIMIT; status; limit += step) {
        status = body(given, limit);
        EXPECT(live == 0 && (!status || status == SF_ERROR_LIMIT));
    }
    for (int k = 0; k < 20; k++) EXPECT(body(given, limit + step * (uint64_t)(k * k)) == SF_OK);
    return limit;
}

static int32_t scene_once(char **given, uint64_t limit) {
    sf_loop *loop = 0;
    sf_error error;
    const int32_t status = open_scene(given[0], limit, &loop, &error);
    sf_facts facts = {.struct_size = sizeof facts};
    EXPECT(!loop || (!sf_loop_facts(loop, 0, &facts) && (!limit || facts.memory_bytes <= limit)));
    sf_loop_close(loop);
    return status;
}

static int32_t bundle_once(char **given, uint64_t limit) {
    const sf_bundle_source source = {.struct_size = sizeof source, .path = given[1], .onnxruntime = given[2], .memory_limit = limit};
    sf_error error = {.struct_size = sizeof error};
    sf_bundle *bundle = 0;
    int32_t status = sf_bundle_open(&source, &bundle, &error);
    EXPECT(status == error.status && !status == !!bundle);
    if (bundle) status = sf_bundle_test(bundle, &error);
    EXPECT(status == error.status && (!status || error.why[0]));
    sf_bundle_close(bundle);
    return status;
}

static int32_t photo_once(char **given, uint64_t limit) {
    enum { SIDE = 40 };
    static uint8_t pixels[SIDE * SIDE * 3];
    for (int i = 0; i < SIDE * SIDE * 3; i++) pixels[i] = (uint8_t)(i / SIDE * 5 + i % 7 * 9);
    const sf_bundle_source source = {.struct_size = sizeof source, .path = given[1], .onnxruntime = given[2], .memory_limit = limit};
    const sf_photo photo = {.struct_size = sizeof photo, .format = SF_RGB, .width = SIDE, .height = SIDE, .data = pixels, .stride = 3 * SIDE};
    const sf_wish wish = {.struct_size = sizeof wish, .seconds = 0.4};
    sf_error error = {.struct_size = sizeof error};
    sf_bundle *bundle = 0;
    sf_loop *loop = 0;
    int32_t status = sf_bundle_open(&source, &bundle, &error);
    if (bundle) status = sf_bundle_loop(bundle, &photo, &wish, &loop, &error);
    EXPECT(status == error.status && !status == !!loop && (!status || error.why[0]));
    sf_bundle_close(bundle);
    sf_loop_close(loop);
    return status;
}

/* The descriptor that the next file gets: the same at the end as at the beginning. */
static int next_descriptor(void) {
    const int file = open("/dev/null", O_RDONLY);
    close(file);
    return file;
}

int main(int count, char **given) {
    if (count < 3) return 2;
    const char *part = given[1];
    const int first = next_descriptor();
    if (!strcmp(part, "frames")) {
        play_frames(given[2]);
    } else if (!strcmp(part, "thousand")) {
        open_often(given[2], given + 3, count - 3);
    } else if (!strcmp(part, "threads")) {
        play_together(given[2]);
    } else if (!strcmp(part, "starved")) {
        printf("allocations=%ld\n", starve(scene_once, given + 2));
    } else if (!strcmp(part, "limits")) {
        printf("enough=%llu\n", (unsigned long long)enough(scene_once, given + 2, 256));
    } else if (!strcmp(part, "bundle") && count == 5) {
        printf("allocations=%ld\n", starve(bundle_once, given + 2));
        printf("enough=%llu\n", (unsigned long long)enough(bundle_once, given + 2, 4096));
    } else if (!strcmp(part, "photo") && count == 5) {
        printf("allocations=%ld\n", starve(photo_once, given + 2));
    } else {
        return 2;
    }
    EXPECT(live == 0 && next_descriptor() == first);
    printf("%s: good\n", part);
    return 0;
}
