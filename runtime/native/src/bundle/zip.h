/* SPDX-License-Identifier: Apache-2.0 */
/* Zip files (PKWARE's appnote.txt): their list of entries, and single entries. No zip64, no passwords. */
#ifndef SF_ZIP_H
#define SF_ZIP_H

#include "bundle/disk.h"

typedef struct sf_zip_entry {
    const char *name; /* ended by 0 */
    uint32_t method;  /* 0 stored, 8 deflated */
    uint32_t flags, mode, crc, packed, size;
    uint32_t offset;  /* of its local header */
} sf_zip_entry;

typedef struct sf_zip {
    sf_disk disk;
    const char *what, *fix; /* of what cannot be read */
    const sf_zip_entry *entries;
    uint32_t count;
    uint64_t directory; /* where the list begins: entries lie before it */
} sf_zip;

/* Read the list of a zip whose disk, what and fix are set. Gives up where it is damaged or lists more than most entries. */
void sf_zip_read(sf_room *room, sf_zip *zip, uint32_t most);

const sf_zip_entry *sf_zip_find(const sf_zip *zip, const char *name);

/* The bytes of an entry, unpacked, its sum checked. */
const uint8_t *sf_zip_bytes(sf_room *room, const sf_zip *zip, const sf_zip_entry *entry);

#endif
