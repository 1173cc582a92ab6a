/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of bundles. A zip is opened as a bundle, with tests/native/bundle/fake_engine.c for ONNX Runtime, and its vectors
 * are run; then its entries are read as those of an .npz. Everything else is a manifest.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundle/manifest.h"
#include "bundle/zip.h"
#include "target.h"

#define MEMORY_LIMIT ((uint64_t)8 << 20)
#define ENTRIES_MOST 16 /* that are read of a zip */

static char path[] = "/tmp/stillflow-fuzz-XXXXXX";

static void forget_file(void) { unlink(path); }

/* Where a bundle's bytes lie as a file: always the same one, which goes when the program does. */
static void write_file(const uint8_t *data, size_t size) {
    static int file = -1;
    if (file < 0) {
        file = mkstemp(path);
        if (file < 0 || atexit(forget_file)) abort();
    }
    if (ftruncate(file, 0) || pwrite(file, data, size, 0) != (ssize_t)size) abort();
}

static void open_bundle(const uint8_t *data, size_t size) {
    sf_bundle_source source = {.struct_size = sizeof source, .path = path, .onnxruntime = STILLFLOW_ENGINE, .memory_limit = MEMORY_LIMIT};
    sf_error error = {.struct_size = sizeof error};
    sf_bundle *bundle = 0;
    write_file(data, size);
    const int32_t status = sf_bundle_open(&source, &bundle, &error);
    if (status != error.status || !status != !!bundle || (status && !error.why[0])) abort();
    if (bundle) sf_bundle_test(bundle, &error);
    sf_bundle_close(bundle);
}

typedef struct job {
    sf_zip zip;
    const uint8_t *data;
    size_t size;
    uint32_t number; /* of the entry */
} job;

static void read_manifest(sf_room *room, job *j) { sf_manifest_read(room, j->data, j->size); }

static void read_entry(sf_room *room, job *j) {
    char stem[300] = "";
    sf_tensor tensor;
    j->zip = (sf_zip){.disk = {-1, j->data, j->size}, .what = "cannot read", .fix = "do not care"};
    sf_zip_read(room, &j->zip, 256);
    if (j->number >= j->zip.count) return;
    const char *name = j->zip.entries[j->number].name;
    const size_t length = strlen(name);
    if (length > 4 && length < sizeof stem && !strcmp(name + length - 4, ".npy")) {
        memcpy(stem, name, length - 4);
        sf_npz_read(room, j->data, j->size, stem, &tensor);
    } else {
        sf_zip_bytes(room, &j->zip, &j->zip.entries[j->number]);
    }
}

static void attempt(void (*body)(sf_room *, job *), job *j) {
    sf_error error = {.struct_size = sizeof error};
    sf_room room;
    sf_room_open(&room, MEMORY_LIMIT, &error);
    if (!setjmp(room.way_out)) body(&room, j);
    else if (!error.status || !error.why[0] || !error.fix[0]) abort();
    sf_room_close(&room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    job j = {.data = data, .size = size};
    if (size < 2 || data[0] != 'P' || data[1] != 'K') {
        attempt(read_manifest, &j);
        return 0;
    }
    open_bundle(data, size);
    for (; j.number < ENTRIES_MOST && (!j.number || j.number < j.zip.count); j.number++) attempt(read_entry, &j);
    return 0;
}
