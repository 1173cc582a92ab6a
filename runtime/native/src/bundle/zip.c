/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/zip.h"

#include <string.h>

#include "bytes.h"
#include "codecs/codecs.h"

#define END_BYTES 22
#define COMMENT_MOST 65535
#define LIST_MOST ((uint32_t)4 << 20) /* bytes of the list of entries */
#define ENTRY_BYTES 46
#define LOCAL_BYTES 30
#define ENCRYPTED 1u

#define DAMAGED(room, zip, ...) sf_give_up(room, SF_ERROR_FORMAT, (zip)->what, (zip)->fix, __VA_ARGS__)

/* The record that ends a zip: the last one whose comment reaches to the end of the file. */
static uint64_t find_end(sf_room *room, const sf_zip *zip, uint8_t record[END_BYTES]) {
    const uint64_t size = zip->disk.size;
    const uint64_t most = size < END_BYTES + COMMENT_MOST ? size : END_BYTES + COMMENT_MOST;
    const sf_mark mark = sf_room_mark(room);
    uint8_t *tail = sf_take(room, most, 1);
    uint64_t at = size;
    if (sf_disk_read(&zip->disk, size - most, tail, (size_t)most)) DAMAGED(room, zip, "it cannot be read to its end");
    for (uint64_t length = END_BYTES; length <= most && at == size; length++) {
        const uint8_t *here = tail + most - length;
        if (sf_le32(here) != 0x06054b50 || sf_le16(here + 20) != length - END_BYTES) continue;
        memcpy(record, here, END_BYTES);
        at = size - length;
    }
    sf_room_rewind(room, mark);
    if (at == size) DAMAGED(room, zip, "it is neither a folder nor a zip file that is whole");
    return at;
}

/* One entry of the list; returns where the next one begins. */
static uint32_t read_entry(sf_room *room, const sf_zip *zip, const uint8_t *list, uint32_t at, uint32_t bytes,
                           char *names, sf_zip_entry *entry) {
    const uint8_t *head = list + at;
    if (bytes - at < ENTRY_BYTES || sf_le32(head) != 0x02014b50) DAMAGED(room, zip, "its list of entries is damaged");
    const uint32_t length = sf_le16(head + 28), after = ENTRY_BYTES + length + sf_le16(head + 30) + sf_le16(head + 32);
    if (bytes - at < after) DAMAGED(room, zip, "its list of entries is cut short");
    *entry = (sf_zip_entry){names, sf_le16(head + 10), sf_le16(head + 8), sf_le32(head + 38) >> 16, sf_le32(head + 16),
                            sf_le32(head + 20), sf_le32(head + 24), sf_le32(head + 42)};
    memcpy(names, head + ENTRY_BYTES, length);
    names[length] = 0;
    if (memchr(names, 0, length)) DAMAGED(room, zip, "the name of an entry holds a 0");
    if (entry->flags & ENCRYPTED)
        sf_give_up(room, SF_ERROR_FORMAT, zip->what, "pack it without a password", "its entry '%.80s' is encrypted",
                   names);
    if (entry->offset >= zip->directory || entry->packed > zip->directory - entry->offset)
        DAMAGED(room, zip, "its entry '%.80s' does not lie in the file", names);
    return at + after;
}

void sf_zip_read(sf_room *room, sf_zip *zip, uint32_t most) {
    uint8_t record[END_BYTES] = {0};
    const uint64_t end = find_end(room, zip, record);
    const uint32_t count = sf_le16(record + 10), bytes = sf_le32(record + 12), begin = sf_le32(record + 16);
    if (count == 0xFFFF || bytes == 0xFFFFFFFF || begin == 0xFFFFFFFF)
        sf_give_up(room, SF_ERROR_FORMAT, zip->what, "keep a zip below 4 GB, or give the folder", "it is a zip64 file");
    if (count > most || bytes > LIST_MOST)
        DAMAGED(room, zip, "it lists %u entries in %u bytes, too many", (unsigned)count, (unsigned)bytes);
    if (sf_le16(record + 4) || sf_le16(record + 6) || sf_le16(record + 8) != count || (uint64_t)begin + bytes != end)
        DAMAGED(room, zip, "its list of entries is not where it should be");
    uint8_t *list = sf_take(room, bytes, 1);
    char *names = sf_take(room, bytes, 1); /* each name and its 0 take less than its entry */
    sf_zip_entry *entries = sf_take(room, count, sizeof *entries);
    zip->directory = begin;
    if (sf_disk_read(&zip->disk, begin, list, bytes)) DAMAGED(room, zip, "its list of entries cannot be read");
    uint32_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        at = read_entry(room, zip, list, at, bytes, names, &entries[i]);
        names += strlen(names) + 1;
    }
    if (at != bytes) DAMAGED(room, zip, "its list of entries is longer than it says");
    zip->entries = entries;
    zip->count = count;
}

const sf_zip_entry *sf_zip_find(const sf_zip *zip, const char *name) {
    for (uint32_t i = 0; i < zip->count; i++)
        if (strcmp(zip->entries[i].name, name) == 0) return &zip->entries[i];
    return 0;
}

/* Where an entry's bytes begin, after the header that stands before them and says the same name. */
static uint64_t find_bytes(sf_room *room, const sf_zip *zip, const sf_zip_entry *entry) {
    uint8_t head[LOCAL_BYTES];
    const size_t length = strlen(entry->name);
    if (sf_disk_read(&zip->disk, entry->offset, head, sizeof head) || sf_le32(head) != 0x04034b50 ||
        sf_le16(head + 26) != length)
        DAMAGED(room, zip, "the header of its entry '%.80s' is damaged", entry->name);
    const sf_mark mark = sf_room_mark(room);
    char *name = sf_take(room, length, 1);
    if (sf_disk_read(&zip->disk, entry->offset + LOCAL_BYTES, name, length) || memcmp(name, entry->name, length) != 0)
        DAMAGED(room, zip, "its entry '%.80s' has two names", entry->name);
    sf_room_rewind(room, mark);
    const uint64_t begin = (uint64_t)entry->offset + LOCAL_BYTES + length + sf_le16(head + 28);
    if (begin > zip->directory || entry->packed > zip->directory - begin)
        DAMAGED(room, zip, "its entry '%.80s' does not lie in the file", entry->name);
    return begin;
}

const uint8_t *sf_zip_bytes(sf_room *room, const sf_zip *zip, const sf_zip_entry *entry) {
    if (entry->method != 0 && entry->method != 8)
        DAMAGED(room, zip, "its entry '%.80s' is packed in a rare way", entry->name);
    const uint64_t begin = find_bytes(room, zip, entry);
    uint8_t *bytes = sf_take(room, entry->size, 1);
    const sf_mark mark = sf_room_mark(room);
    int bad = entry->method == 0 && entry->size != entry->packed;
    if (entry->method == 0) {
        bad = bad || sf_disk_read(&zip->disk, begin, bytes, entry->size);
    } else {
        uint8_t *packed = sf_take(room, entry->packed, 1);
        bad = sf_disk_read(&zip->disk, begin, packed, entry->packed) ||
              sf_inflate(packed, entry->packed, bytes, entry->size, 0);
    }
    sf_room_rewind(room, mark);
    if (bad || sf_crc32(bytes, entry->size) != entry->crc)
        DAMAGED(room, zip, "its entry '%.80s' is damaged", entry->name);
    return bytes;
}
