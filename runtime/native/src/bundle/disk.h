/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that lie in a file or in memory, read where they are asked for. */
#ifndef SF_DISK_H
#define SF_DISK_H

#include "room.h"

/*
 * Files are read, not mapped: what was hashed is then what is used, whatever another process does to the file, and
 * one that is cut short meanwhile is an error and no signal.
 */
typedef struct sf_disk {
    int file;             /* a descriptor, or -1 */
    const uint8_t *bytes; /* in place of a file, or null */
    uint64_t size;
} sf_disk;

typedef enum sf_disk_kind { SF_DISK_NOTHING, SF_DISK_FOLDER, SF_DISK_FILE, SF_DISK_OTHER } sf_disk_kind;

sf_disk_kind sf_disk_look(const char *path);

/*
 * Open a plain file; with a folder, its full path, also through links, must lie in that. Returns null, or why not: a
 * static sentence, and nothing is open then.
 */
const char *sf_disk_open(sf_disk *disk, const char *path, const char *folder);

/* Read exactly count bytes; 0, or 1 where there are not so many. */
int sf_disk_read(const sf_disk *disk, uint64_t offset, void *out, size_t count);

void sf_disk_close(sf_disk *disk);

#endif
