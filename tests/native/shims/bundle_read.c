/* SPDX-License-Identifier: Apache-2.0 */
/* The readers of bundles from Python: what gives up comes back as its status. */
#include <stdlib.h>

#include "bundle/opened.h"

int32_t test_try(sf_room *room, void (*body)(sf_room *, void *), void *argument);

typedef struct job {
    const char *name;
    const void *bytes, *out;
    size_t size;
    sf_tensor *tensor;
    const sf_photo *photo;
    int32_t found, long_side, *height, *width;
} job;

static void read_json(sf_room *room, void *argument) {
    job *j = argument;
    j->out = sf_json_read(room, j->bytes, j->size);
}

int32_t test_json_read(sf_room *room, const void *bytes, size_t size, const sf_json **out) {
    job j = {.bytes = bytes, .size = size};
    const int32_t status = test_try(room, read_json, &j);
    *out = j.out;
    return status;
}

static void read_manifest(sf_room *room, void *argument) {
    const job *j = argument;
    sf_manifest_read(room, j->bytes, j->size);
}

int32_t test_manifest_read(sf_room *room, const void *bytes, size_t size) {
    job j = {.bytes = bytes, .size = size};
    return test_try(room, read_manifest, &j);
}

static void read_npz(sf_room *room, void *argument) {
    job *j = argument;
    j->found = sf_npz_read(room, j->bytes, j->size, j->name, j->tensor);
}

int32_t test_npz_read(sf_room *room, const void *bytes, size_t size, const char *name, sf_tensor *tensor, int32_t *found) {
    job j = {.bytes = bytes, .size = size, .name = name, .tensor = tensor};
    const int32_t status = test_try(room, read_npz, &j);
    *found = j.found;
    return status;
}

/* Open a bundle's folder or zip, read one file of it, close it. */
int32_t test_files_read(sf_room *room, const char *path, const char *name, size_t most, const void **out, size_t *size) {
    sf_files **files = calloc(1, sizeof *files); /* not a local, which a jump would leave undefined */
    room->status = SF_OK;
    if (!setjmp(room->way_out)) {
        sf_files_open(room, path, files);
        *out = sf_files_read(room, *files, name, most, size);
    }
    sf_files_close(*files);
    free(files);
    return room->status;
}

static void read_photo(sf_room *room, void *argument) {
    job *j = argument;
    j->out = sf_photo_read(room, j->photo, j->long_side, j->height, j->width);
}

int32_t test_photo_read(sf_room *room, const sf_photo *photo, int32_t long_side, int32_t *height, int32_t *width,
                        const void **out) {
    job j = {.photo = photo, .long_side = long_side, .height = height, .width = width};
    const int32_t status = test_try(room, read_photo, &j);
    *out = j.out;
    return status;
}
