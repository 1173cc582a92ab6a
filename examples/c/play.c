/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Play a baked scene to raw frames: play SCENE [OUT] [FORMAT] [WIDTHxHEIGHT] [THREADS] [LOOPS]
 *
 *     stillflow bake waterfall.jpg -o waterfall.sflow
 *     play waterfall.sflow - nv12 1920x1080 2 | ffplay -f rawvideo -pixel_format nv12 -video_size 1920x1080 -
 *
 * OUT is a file or - for standard output. FORMAT is rgb, bgra, rgba or nv12. Everything is allocated before the first
 * frame; the threads of one frame share its rows.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stillflow.h>

#define MOST_THREADS 64

typedef struct job {
    const sf_loop *loop;
    const sf_target *target;
    const void *frame;
    void *memory; /* of this thread's rows */
    size_t bytes;
    int32_t y0, y1, status;
} job;

static void *write_rows(void *given) {
    job *j = given;
    j->status = sf_loop_rows(j->loop, j->frame, j->y0, j->y1, j->target, j->memory, j->bytes);
    return NULL;
}

/* Memory that the library takes: at a multiple of SF_ALIGNMENT. */
static void *take(size_t bytes) {
    void *memory = NULL;
    if (posix_memalign(&memory, SF_ALIGNMENT, bytes ? bytes : SF_ALIGNMENT)) memory = NULL;
    return memory;
}

static int format_of(const char *name) {
    static const char *const names[] = {"rgb", "bgra", "rgba", "nv12"};
    for (int k = 0; k < 4; k++)
        if (!strcmp(name, names[k])) return k;
    return -1;
}

/* One frame by all threads; the caller's is one of them. */
static int32_t render(job *jobs, int threads) {
    pthread_t running[MOST_THREADS];
    int started = 1;
    while (started < threads && !pthread_create(&running[started], NULL, write_rows, &jobs[started])) started++;
    for (int k = started; k < threads; k++) write_rows(&jobs[k]); /* no thread to be had */
    write_rows(&jobs[0]);
    for (int k = 1; k < started; k++) pthread_join(running[k], NULL);
    int32_t status = SF_OK;
    for (int k = 0; k < threads; k++)
        if (jobs[k].status) status = jobs[k].status;
    return status;
}

static int play(const sf_loop *loop, FILE *out, sf_target *target, int threads, int loops) {
    sf_facts facts = {.struct_size = sizeof facts};
    int32_t status = sf_loop_facts(loop, target, &facts);
    if (status) {
        fprintf(stderr, "play: %s\n", sf_status_text(status));
        return 2;
    }
    const size_t width = (size_t)(target->width ? target->width : facts.width);
    const size_t height = (size_t)(target->height ? target->height : facts.height);
    const int nv12 = target->format == SF_NV12;
    const size_t columns = nv12 ? width + width % 2 : width, lines = nv12 ? height + height % 2 : height;
    const size_t stride = columns * (nv12 ? 1 : target->format == SF_RGB ? 3 : 4);
    const size_t bytes = stride * lines + (nv12 ? stride * lines / 2 : 0);
    uint8_t *pixels = take(bytes);
    void *frame = take(facts.frame_bytes);
    target->data = pixels;
    target->stride = (ptrdiff_t)stride;
    target->chroma = nv12 && pixels ? pixels + stride * lines : NULL;
    target->chroma_stride = (ptrdiff_t)stride;
    job jobs[MOST_THREADS] = {{0}};
    int good = pixels && frame;
    for (int k = 0; k < threads; k++) {
        job *j = &jobs[k];
        *j = (job){.loop = loop, .target = target, .frame = frame, .bytes = facts.rows_bytes};
        j->memory = take(j->bytes);
        good = good && j->memory;
        /* Even rows, so that NV12's pairs stay together. */
        j->y0 = (int32_t)(lines * (size_t)k / (size_t)threads / 2 * 2);
        j->y1 = k + 1 == threads ? (int32_t)height : (int32_t)(lines * (size_t)(k + 1) / (size_t)threads / 2 * 2);
    }
    if (!good) fprintf(stderr, "play: there is not enough memory\n");
    for (int n = 0; good && n < loops * facts.frames; n++) {
        status = sf_loop_at(loop, n % facts.frames, frame, facts.frame_bytes);
        if (!status) status = render(jobs, threads);
        if (status) fprintf(stderr, "play: frame %d: %s\n", n, sf_status_text(status));
        good = !status && fwrite(pixels, 1, bytes, out) == bytes;
        if (!status && !good) fprintf(stderr, "play: frame %d cannot be written\n", n);
    }
    for (int k = 0; k < threads; k++) free(jobs[k].memory);
    free(frame);
    free(pixels);
    if (good)
        fprintf(stderr, "play: %d frames of %zux%zu, %g a second\n", loops * facts.frames, columns, lines, facts.fps);
    return good ? 0 : 2;
}

int main(int count, char **given) {
    sf_target target = {.struct_size = sizeof target, .format = count > 3 ? format_of(given[3]) : SF_RGB};
    const int threads = count > 5 ? atoi(given[5]) : 1, loops = count > 6 ? atoi(given[6]) : 1;
    const int sized = count <= 4 || sscanf(given[4], "%dx%d", &target.width, &target.height) == 2;
    if (count < 2 || target.format < 0 || !sized || threads < 1 || threads > MOST_THREADS || loops < 1) {
        fprintf(stderr, "usage: play SCENE [OUT] [rgb|bgra|rgba|nv12] [WIDTHxHEIGHT, 0x0 for the scene's] [THREADS] "
                        "[LOOPS]\n");
        return 2;
    }
    if (sf_abi_version() != SF_ABI_VERSION) {
        fprintf(stderr, "play: built for ABI version %d, found %d\n", SF_ABI_VERSION, (int)sf_abi_version());
        return 2;
    }
    sf_source source = {.struct_size = sizeof source, .path = given[1]};
    sf_error error = {.struct_size = sizeof error};
    sf_loop *loop = NULL;
    if (sf_loop_open(&source, &loop, &error)) {
        fprintf(stderr, "play: %s: %s\n  fix: %s\n", error.what, error.why, error.fix);
        return 2;
    }
    const int named = count > 2 && strcmp(given[2], "-");
    FILE *out = named ? fopen(given[2], "wb") : stdout;
    int result = 2;
    if (!out) fprintf(stderr, "play: cannot write %s\n", given[2]);
    else result = play(loop, out, &target, threads, loops);
    if (named && out && fclose(out)) result = 2;
    sf_loop_close(loop);
    return result;
}
