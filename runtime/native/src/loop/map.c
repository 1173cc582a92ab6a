/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "loop/map.h"

#include <errno.h>
#include <string.h>

#define SF_CANNOT_READ "cannot read the file"
#define SF_TRY_PATH "check the path, and that this program may read it"

#if defined(__unix__) || defined(__APPLE__)

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int32_t refuse(sf_error *error, const char *path, int number) {
    return sf_fail(error, SF_ERROR_FILE, SF_CANNOT_READ, SF_TRY_PATH, "%.200s: %.80s", path, strerror(number));
}

int32_t sf_map_open(sf_map *map, const char *path, uint64_t most, sf_error *error) {
    (void)most; /* a mapped file takes no memory of its own */
    map->bytes = 0;
    map->size = 0;
    /* Without O_NONBLOCK opening a pipe would wait for somebody who writes to it. */
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return refuse(error, path, errno);
    struct stat facts;
    int number = fstat(file, &facts) ? errno : 0;
    if (!number && !S_ISREG(facts.st_mode)) {
        close(file);
        return sf_fail(error, SF_ERROR_FILE, SF_CANNOT_READ, "give the path of a baked scene", "%.200s: it is %s", path,
                       S_ISDIR(facts.st_mode) ? "a folder" : "no plain file");
    }
    if (!number && (facts.st_size < 1 || (uint64_t)facts.st_size > SIZE_MAX)) {
        close(file);
        return sf_fail(error, SF_ERROR_FORMAT, SF_CANNOT_READ, "copy or download it again", "%.200s has %lld bytes",
                       path, (long long)facts.st_size);
    }
    void *bytes = MAP_FAILED;
    if (!number) {
        bytes = mmap(0, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE, file, 0);
        if (bytes == MAP_FAILED) number = errno;
    }
    close(file);
    if (number) return refuse(error, path, number);
    map->bytes = bytes;
    map->size = (size_t)facts.st_size;
    return SF_OK;
}

void sf_map_close(sf_map *map) {
    if (map->bytes) munmap((void *)(uintptr_t)map->bytes, map->size);
    map->bytes = 0;
}

#else

#include <stdio.h>
#include <stdlib.h>

/* Reads may be of whole vectors, and pictures are used in place: the bytes begin at a multiple of SF_ALIGNMENT. */
int32_t sf_map_open(sf_map *map, const char *path, uint64_t most, sf_error *error) {
    map->bytes = 0;
    map->size = 0;
    FILE *file = fopen(path, "rb");
    long size = -1;
    if (file && !fseek(file, 0, SEEK_END)) size = ftell(file);
    int32_t status = SF_ERROR_FILE;
    if (size > 0 && (uint64_t)size > most) status = SF_ERROR_LIMIT;
    if (size > 0 && (uint64_t)size <= most && !fseek(file, 0, SEEK_SET)) {
        unsigned char *memory = malloc((size_t)size + 2 * SF_ALIGNMENT);
        if (memory) {
            /* The byte before tells how far from the beginning the bytes lie. */
            const size_t shift = SF_ALIGNMENT - (size_t)((uintptr_t)memory % SF_ALIGNMENT);
            memory[shift - 1] = (unsigned char)shift;
            if (fread(memory + shift, 1, (size_t)size, file) == (size_t)size) {
                map->bytes = memory + shift;
                map->size = (size_t)size;
                status = SF_OK;
            } else {
                free(memory);
            }
        } else {
            status = SF_ERROR_LIMIT;
        }
    }
    if (file) fclose(file);
    return status ? sf_fail(error, status, SF_CANNOT_READ, SF_TRY_PATH, "%.200s", path) : SF_OK;
}

void sf_map_close(sf_map *map) {
    if (map->bytes) {
        unsigned char *bytes = (unsigned char *)(uintptr_t)map->bytes;
        free(bytes - bytes[-1]);
    }
    map->bytes = 0;
}

#endif
