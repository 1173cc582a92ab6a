/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A photo to raw RGB frames, networks and all, without Python:
 *
 *     photo waterfall.jpg BUNDLE frames.rgb [SECONDS] [LONG_SIDE] [ONNXRUNTIME] [PROVIDER]
 *
 * BUNDLE is a folder or a .sfb file; ONNXRUNTIME the path of ONNX Runtime's shared library, where the loader does not
 * find it by its name; PROVIDER cpu, cuda or tensorrt. The bundle's test vectors are run first.
 */
#define _POSIX_C_SOURCE 200112L
#include <stdio.h>
#include <stdlib.h>

#include <stillflow.h>

static int complain(const sf_error *error) {
    fprintf(stderr, "photo: %s: %s\n  fix: %s\n", error->what, error->why, error->fix);
    return 2;
}

static void log_line(void *user, int32_t level, const char *line) {
    (void)user;
    fprintf(stderr, "%s%s\n", level > 1 ? "warning: " : "", line);
}

/* A whole file; null where it cannot be read. */
static unsigned char *read_file(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    unsigned char *memory = NULL;
    long size = file && !fseek(file, 0, SEEK_END) ? ftell(file) : -1;
    if (size > 0 && !fseek(file, 0, SEEK_SET)) memory = malloc((size_t)size);
    if (memory && fread(memory, 1, (size_t)size, file) != (size_t)size) {
        free(memory);
        memory = NULL;
    }
    if (file) fclose(file);
    *bytes = memory ? (size_t)size : 0;
    return memory;
}

static void *take(size_t bytes) {
    return aligned_alloc(SF_ALIGNMENT, (bytes + SF_ALIGNMENT) / SF_ALIGNMENT * SF_ALIGNMENT);
}

static int play(const sf_loop *loop, const char *path) {
    sf_facts facts = {.struct_size = sizeof facts};
    sf_loop_facts(loop, NULL, &facts);
    const size_t bytes = (size_t)facts.width * (size_t)facts.height * 3;
    sf_target target = {.struct_size = sizeof target, .data = take(bytes), .stride = 3 * (ptrdiff_t)facts.width};
    void *frame = take(facts.frame_bytes);
    FILE *out = fopen(path, "wb");
    int good = out && frame && target.data;
    for (int32_t t = 0; good && t < facts.frames; t++)
        good = !sf_loop_at(loop, t, frame, facts.frame_bytes) &&
               !sf_loop_rows(loop, frame, 0, facts.height, &target, NULL, 0) &&
               fwrite(target.data, 1, bytes, out) == bytes;
    if (out && fclose(out)) good = 0;
    free(target.data);
    free(frame);
    if (good)
        fprintf(stderr, "photo: %d frames of %dx%d, %.0f %% of the picture moves\n", facts.frames, facts.width,
                facts.height, 100 * facts.moving);
    else
        fprintf(stderr, "photo: cannot write %s\n", path);
    return good ? 0 : 2;
}

int main(int count, char **given) {
    if (count < 4) {
        fprintf(stderr, "usage: photo PHOTO BUNDLE FRAMES.rgb [SECONDS] [LONG_SIDE] [ONNXRUNTIME] [PROVIDER]\n");
        return 2;
    }
    setenv("ORT_DISABLE_TELEMETRY", "1", 0); /* ONNX Runtime reads it when it is loaded */
    sf_error error = {.struct_size = sizeof error};
    sf_bundle_source source = {.struct_size = sizeof source, .path = given[2], .log = log_line};
    source.onnxruntime = count > 6 && given[6][0] ? given[6] : NULL;
    source.provider = count > 7 ? given[7] : "cpu";
    sf_bundle *bundle = NULL;
    sf_loop *loop = NULL;
    sf_photo photo = {.struct_size = sizeof photo};
    unsigned char *file = read_file(given[1], &photo.file_bytes);
    photo.file = file;
    sf_wish wish = {.struct_size = sizeof wish};
    if (count > 4) wish.seconds = atof(given[4]);
    if (count > 5) wish.long_side = atoi(given[5]);
    int result = 2;
    if (!file) fprintf(stderr, "photo: cannot read %s\n", given[1]);
    else if (sf_bundle_open(&source, &bundle, &error) || sf_bundle_test(bundle, &error)) result = complain(&error);
    else if (sf_bundle_loop(bundle, &photo, &wish, &loop, &error)) result = complain(&error);
    sf_bundle_close(bundle); /* a loop outlives it */
    free(file);
    if (loop) result = play(loop, given[3]);
    sf_loop_close(loop);
    return result;
}
