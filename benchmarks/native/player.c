/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a baked scene takes to open, by parts, and its frames take to play, as JSON on stdout.
 *
 *     cmake -S . -B build/bench -DSTILLFLOW_BENCH=ON && cmake --build build/bench --target stillflow_player
 *     build/bench/stillflow_player scene.sflow [THREADS [SECONDS]]
 *
 * Frames of every format at the scene's size, and RGB at 3840 pixels, on 1, 2, 4... THREADS threads that share the rows
 * of each frame. A memcpy of as many bytes is timed after every frame, so that both see the same machine. Medians.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loop/scene_file.h"
#include "loop/map.h"
#include "scene/making.h"

#define SAMPLES_MOST 4096
#define THREADS_MOST 64
#define BAND 16 /* rows that a thread takes at a time */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double part_of(double *values, int count, double part) {
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[(int)(part * (count - 1) + 0.5)];
}

static void *memory_of(size_t bytes) {
    void *memory = aligned_alloc(SF_ALIGNMENT, (bytes + SF_ALIGNMENT) / SF_ALIGNMENT * SF_ALIGNMENT);
    if (!memory) exit(3);
    return memset(memory, 1, bytes);
}

/* The steps of sf_loop_open, one after the other. */
enum { HEADER, HASHES, LASTING, PASSING, PREPARE, PARTS };
static const char *const part_names[PARTS] = {"header", "hashes", "photo_matte_sway", "plate_fields_mean", "prepare"};

static void open_in_parts(sf_room *room, const sf_map *map, double took[PARTS]) {
    sf_container container;
    sf_scene_arrays arrays;
    const sf_scene *scene;
    size_t scene_bytes, scratch_bytes;
    double at = now(), next;
    sf_container_read(room, map->bytes, map->size, &container);
    sf_scene_file_sizes(&container, &arrays);
    if (sf_sizes(&arrays, &scene_bytes, &scratch_bytes)) exit(4);
    sf_room_reserve(room, sf_scene_file_memory(&container, scene_bytes, scratch_bytes) +
                              5 * (uint64_t)container.width * (uint64_t)container.height);
    took[HEADER] = (next = now()) - at, at = next;
    sf_scene_file_check(room, &container);
    took[HASHES] = (next = now()) - at, at = next;
    sf_scene_file_lasting(room, &container, &arrays);
    took[LASTING] = (next = now()) - at, at = next;
    void *memory = sf_take(room, scene_bytes, 1);
    sf_scene_file_passing(room, &container, sf_lay_out(&arrays, memory), &arrays);
    took[PASSING] = (next = now()) - at, at = next;
    void *scratch = sf_take(room, scratch_bytes, 1);
    if (sf_prepare_rest(&arrays, memory, scene_bytes, scratch, scratch_bytes, &scene)) exit(4);
    took[PREPARE] = now() - at;
}

static void time_opening(const char *path) {
    enum { TIMES = 15 };
    double whole[TIMES], parts[PARTS][TIMES];
    for (int i = 0; i < TIMES; i++) {
        sf_source source = {.struct_size = sizeof source, .path = path};
        sf_error error = {.struct_size = sizeof error};
        sf_loop *loop;
        const double at = now();
        if (sf_loop_open(&source, &loop, &error)) {
            fprintf(stderr, "%s: %s; %s\n", error.what, error.why, error.fix);
            exit(2);
        }
        whole[i] = now() - at;
        sf_loop_close(loop);
        sf_map map;
        sf_room room;
        double took[PARTS];
        if (sf_map_open(&map, path, source.memory_limit, 0)) exit(4);
        sf_room_open(&room, 0, 0);
        if (setjmp(room.way_out)) exit(4);
        open_in_parts(&room, &map, took);
        for (int k = 0; k < PARTS; k++) parts[k][i] = took[k];
        sf_room_close(&room);
        sf_map_close(&map);
    }
    printf(" \"open_ms\": {\"whole\": %.3f, \"whole_best\": %.3f", part_of(whole, TIMES, 0.5), part_of(whole, TIMES, 0));
    for (int k = 0; k < PARTS; k++) printf(", \"%s\": %.3f", part_names[k], part_of(parts[k], TIMES, 0.5));
    printf("},\n");
}

typedef struct work {
    const sf_loop *loop;
    const sf_target *target;
    const void *frame;
    int32_t height;
    size_t rows_bytes;
    void *rows[THREADS_MOST];
    atomic_int next, failed;
    int stop;
    pthread_barrier_t begin, end;
} work;

typedef struct lane {
    work *work;
    int index;
} lane;

static void write_bands(work *w, int index) {
    for (;;) {
        const int y0 = atomic_fetch_add(&w->next, BAND);
        if (y0 >= w->height) return;
        const int y1 = w->height - y0 < BAND ? w->height : y0 + BAND;
        if (sf_loop_rows(w->loop, w->frame, y0, y1, w->target, w->rows[index], w->rows_bytes)) w->failed = 1;
    }
}

static void *run_lane(void *argument) {
    const lane *own = argument;
    for (;;) {
        pthread_barrier_wait(&own->work->begin);
        if (own->work->stop) return 0;
        write_bands(own->work, own->index);
        pthread_barrier_wait(&own->work->end);
    }
}

static const char *const format_names[] = {"RGB", "BGRA", "RGBA", "NV12"};

static void time_frames(const sf_loop *loop, int format, int32_t width, int32_t height, int threads, double seconds, int first) {
    const size_t pixel = format == SF_NV12 ? 1 : format == SF_RGB ? 3 : 4, even = (size_t)(width + width % 2);
    const size_t stride = format == SF_NV12 ? even : pixel * (size_t)width, tall = (size_t)(height + height % 2);
    const size_t bytes = format == SF_NV12 ? tall * even * 3 / 2 : stride * (size_t)height;
    uint8_t *out = memory_of(bytes), *copy = memory_of(bytes);
    sf_target target = {.struct_size = sizeof target, .format = format, .width = width, .height = height, .data = out,
                        .stride = (ptrdiff_t)stride, .chroma = out + tall * even, .chroma_stride = (ptrdiff_t)even};
    sf_facts facts = {.struct_size = sizeof facts};
    if (sf_loop_facts(loop, &target, &facts)) exit(4);
    void *frame = memory_of(facts.frame_bytes);
    work w = {.loop = loop, .target = &target, .frame = frame, .height = height, .rows_bytes = facts.rows_bytes};
    pthread_t started[THREADS_MOST];
    lane lanes[THREADS_MOST];
    pthread_barrier_init(&w.begin, 0, (unsigned)threads);
    pthread_barrier_init(&w.end, 0, (unsigned)threads);
    for (int k = 0; k < threads; k++) {
        w.rows[k] = memory_of(facts.rows_bytes);
        lanes[k] = (lane){&w, k};
        if (k && pthread_create(&started[k], 0, run_lane, &lanes[k])) exit(4);
    }
    static double frames[SAMPLES_MOST], copies[SAMPLES_MOST], fields[SAMPLES_MOST];
    int count = 0;
    const double end = now() + 1e3 * seconds;
    for (int i = -3; count < 5 || (now() < end && count < SAMPLES_MOST); i++) {
        const double at = now();
        if (sf_loop_at(loop, 0.37 + 7.0 * i, frame, facts.frame_bytes)) exit(4);
        const double middle = now();
        atomic_store(&w.next, 0);
        if (threads > 1) pthread_barrier_wait(&w.begin);
        write_bands(&w, 0);
        if (threads > 1) pthread_barrier_wait(&w.end);
        const double done = now();
        memcpy(copy, out, bytes);
        if (i < 0) continue;
        copies[count] = now() - done;
        fields[count] = middle - at;
        frames[count++] = done - at;
    }
    w.stop = 1;
    if (threads > 1) pthread_barrier_wait(&w.begin);
    for (int k = 1; k < threads; k++) pthread_join(started[k], 0);
    if (w.failed) exit(4);
    const double frame_ms = part_of(frames, count, 0.5), copy_ms = part_of(copies, count, 0.5);
    printf("%s  {\"format\": \"%s\", \"width\": %d, \"height\": %d, \"threads\": %d, \"frames\": %d, \"ms\": %.4f, "
           "\"ms_best\": %.4f, \"fields_ms\": %.4f, \"memcpy_ms\": %.4f, \"memcpys\": %.2f}",
           first ? "" : ",\n", format_names[format], (int)width, (int)height, threads, count, frame_ms,
           part_of(frames, count, 0), part_of(fields, count, 0.5), copy_ms, copy_ms > 0 ? frame_ms / copy_ms : 0.0);
    for (int k = 0; k < threads; k++) free(w.rows[k]);
    pthread_barrier_destroy(&w.begin);
    pthread_barrier_destroy(&w.end);
    free(out), free(copy), free(frame);
}

int main(int argc, char **argv) {
    const int threads = argc > 2 ? atoi(argv[2]) : 1;
    const double seconds = argc > 3 ? atof(argv[3]) : 1;
    if (argc < 2 || threads < 1 || threads > THREADS_MOST || !(seconds > 0)) {
        fprintf(stderr, "usage: stillflow_player SCENE.sflow [THREADS [SECONDS]]\n");
        return 2;
    }
    sf_source source = {.struct_size = sizeof source, .path = argv[1]};
    sf_error error = {.struct_size = sizeof error};
    sf_loop *loop;
    if (sf_loop_open(&source, &loop, &error)) {
        fprintf(stderr, "%s: %s; %s\n", error.what, error.why, error.fix);
        return 2;
    }
    sf_facts facts = {.struct_size = sizeof facts};
    if (sf_loop_facts(loop, 0, &facts)) return 4;
    printf("{\"width\": %d, \"height\": %d, \"moving\": %.4f, \"isa\": %d, \"memory_bytes\": %llu, \"frame_bytes\": %zu,\n",
           (int)facts.width, (int)facts.height, facts.moving, (int)sf_isa_best(), (unsigned long long)facts.memory_bytes,
           facts.frame_bytes);
    time_opening(argv[1]);
    printf(" \"play\": [\n");
    const int32_t large = (int32_t)((int64_t)facts.height * 3840 / facts.width);
    for (int n = 1, first = 1; n <= threads; n = n == threads ? n + 1 : 2 * n < threads ? 2 * n : threads) {
        for (int format = SF_RGB; format <= SF_NV12; format++, first = 0)
            time_frames(loop, format, facts.width, facts.height, n, seconds, first);
        time_frames(loop, SF_RGB, 3840, large ? large : 1, n, seconds, 0);
        time_frames(loop, SF_NV12, 3840, large ? large : 1, n, seconds, 0);
    }
    printf("\n ]}\n");
    sf_loop_close(loop);
    return 0;
}
