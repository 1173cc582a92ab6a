/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a target on the files that are given, with any compiler: what a fuzzer found once stays found. */
#include <stdio.h>
#include <stdlib.h>

#include "target.h"

static int replay(const char *path) {
    FILE *file = fopen(path, "rb");
    const long size = file && !fseek(file, 0, SEEK_END) ? ftell(file) : -1;
    uint8_t *bytes = size < 0 ? 0 : malloc(size ? (size_t)size : 1); /* no more than that, for the sanitizer's sake */
    const int good = bytes && !fseek(file, 0, SEEK_SET) && fread(bytes, 1, (size_t)size, file) == (size_t)size;
    if (file) fclose(file);
    if (good) LLVMFuzzerTestOneInput(bytes, (size_t)size);
    else fprintf(stderr, "replay: cannot read %s\n", path);
    free(bytes);
    return good;
}

int main(int count, char **given) {
    int done = 0;
    for (int i = 1; i < count; i++) {
        if (!replay(given[i])) return 2;
        done++;
    }
    printf("%d files\n", done);
    return done ? 0 : 2;
}
