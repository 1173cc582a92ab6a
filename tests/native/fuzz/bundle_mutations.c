/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of a zip: of what an entry holds, also within a zip that an entry is, with sums, sizes and places that fit; and
 * in the manifest the hash of what was changed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/codecs.h"
#include "pieces.h"
#include "target.h"

#define ENTRIES_MOST 24
#define NAME_MOST 64
#define LOCAL 30
#define LISTED 46
#define END 22
#define UNPACK_MOST ((size_t)1 << 18)

typedef struct entry {
    uint8_t listed[LISTED];
    char name[NAME_MOST];
    uint8_t *bytes;
    size_t size, unpacked, room;
} entry;

typedef struct zip {
    entry entries[ENTRIES_MOST];
    size_t count;
} zip;

static uint32_t get16(const uint8_t *at) { return (uint32_t)at[0] | (uint32_t)at[1] << 8; }

static void put16(uint8_t *at, size_t value) {
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static int add_entry(zip *z, const uint8_t *listed, const char *name, const uint8_t *bytes, size_t size) {
    entry *e = &z->entries[z->count];
    memcpy(e->listed, listed, LISTED);
    memcpy(e->name, name, NAME_MOST);
    e->size = size;
    e->unpacked = get32(listed + 24);
    e->room = size + size / 4 + 256;
    e->bytes = malloc(e->room);
    if (!e->bytes) return 0;
    memcpy(e->bytes, bytes, size);
    z->count++;
    return 1;
}

static int take_apart(const uint8_t *data, size_t size, zip *z) {
    z->count = 0;
    if (size < END || get32(data + size - END) != 0x06054b50) return 0; /* with no comment */
    const uint8_t *end = data + size - END;
    size_t at = get32(end + 16);
    const uint32_t count = get16(end + 10);
    if (!count || count > ENTRIES_MOST) return 0;
    for (uint32_t i = 0; i < count; i++) {
        if (at > size - END || size - END - at < LISTED) return 0;
        const uint8_t *listed = data + at;
        const size_t length = get16(listed + 28), packed = get32(listed + 20), local = get32(listed + 42);
        char name[NAME_MOST] = "";
        if (length >= NAME_MOST || size - END - at - LISTED < length || local > size - LOCAL) return 0;
        memcpy(name, listed + LISTED, length);
        const size_t begin = local + LOCAL + get16(data + local + 26) + get16(data + local + 28);
        if (begin > size || packed > size - begin || !add_entry(z, listed, name, data + begin, packed)) return 0;
        at += LISTED + length + get16(listed + 30) + get16(listed + 32);
    }
    return 1;
}

static size_t put_together(zip *z, uint8_t *data, size_t max_size) {
    size_t at = 0, begin = 0;
    for (size_t i = 0; i < z->count; i++) {
        entry *e = &z->entries[i];
        const size_t length = strlen(e->name);
        if (at + LOCAL + length + e->size > max_size) return 0;
        put32(e->listed + 20, (uint32_t)e->size);
        put32(e->listed + 24, (uint32_t)e->unpacked);
        put16(e->listed + 28, length);
        put32(e->listed + 30, 0); /* neither extra fields nor a comment */
        put32(e->listed + 42, (uint32_t)at);
        put32(data + at, 0x04034b50);
        memcpy(data + at + 4, e->listed + 6, 24); /* the same members, but for the first */
        put16(data + at + 28, 0);
        memcpy(data + at + LOCAL, e->name, length);
        memcpy(data + at + LOCAL + length, e->bytes, e->size);
        at += LOCAL + length + e->size;
    }
    begin = at;
    for (size_t i = 0; i < z->count; i++) {
        const size_t length = strlen(z->entries[i].name);
        if (at + LISTED + length + END > max_size) return 0;
        memcpy(data + at, z->entries[i].listed, LISTED);
        memcpy(data + at + LISTED, z->entries[i].name, length);
        at += LISTED + length;
    }
    memset(data + at, 0, END);
    put32(data + at, 0x06054b50);
    put16(data + at + 8, z->count);
    put16(data + at + 10, z->count);
    put32(data + at + 12, (uint32_t)(at - begin));
    put32(data + at + 16, (uint32_t)begin);
    return at + END;
}

static void name_sum(const entry *e, char text[65]) {
    uint8_t sum[32];
    sf_sha256(e->bytes, e->size, sum);
    for (int i = 0; i < 32; i++) snprintf(text + 2 * i, 3, "%02x", sum[i]);
}

/* Where the manifest names the old sum, let it name the new one. */
static void tell_manifest(zip *z, const char *before, const char *after) {
    for (size_t i = 0; i < z->count; i++) {
        entry *e = &z->entries[i];
        const size_t length = strlen(e->name);
        if (length < 13 || strcmp(e->name + length - 13, "manifest.json")) continue;
        for (size_t at = 0; at + 64 <= e->size; at++)
            if (!memcmp(e->bytes + at, before, 64)) memcpy(e->bytes + at, after, 64);
        put32(e->listed + 16, sf_crc32(e->bytes, e->size));
    }
}

static size_t change_zip(uint8_t *data, size_t size, size_t max_size, dice *d, int depth);

/* What an entry holds. Mostly of the same size, which the manifest tells too. */
static void change_content(zip *z, entry *e, dice *d, int depth) {
    char before[65], after[65];
    name_sum(e, before);
    uint8_t *out = 0;
    if (get16(e->listed + 10) == 8 && e->unpacked < UNPACK_MOST) {
        out = malloc(e->unpacked + 1);
        if (out && !roll(d, 4)) e->size = LLVMFuzzerMutate(e->bytes, e->size, e->room);
        if (out && !sf_inflate(e->bytes, e->size, out, e->unpacked, 0)) {
            if (roll(d, 2)) { /* changed, and stored from now on */
                change_bytes(out, e->unpacked);
                free(e->bytes);
                e->bytes = out, e->size = e->unpacked, e->room = e->unpacked + 1;
                out = 0;
                put16(e->listed + 10, 0);
                put32(e->listed + 16, sf_crc32(e->bytes, e->size));
            } else {
                put32(e->listed + 16, sf_crc32(out, e->unpacked));
            }
        }
        free(out);
    } else {
        if (depth && e->size > 4 && !memcmp(e->bytes, "PK\3\4", 4) && roll(d, 4)) e->size = change_zip(e->bytes, e->size, e->room, d, 0);
        else if (roll(d, 3)) change_bytes(e->bytes, e->size);
        else e->size = LLVMFuzzerMutate(e->bytes, e->size, e->room);
        e->unpacked = e->size;
        put32(e->listed + 16, sf_crc32(e->bytes, e->size));
    }
    name_sum(e, after);
    tell_manifest(z, before, after);
}

static void change(zip *z, dice *d, int depth) {
    entry *e = &z->entries[roll(d, (uint32_t)z->count)];
    const entry kept = *e;
    switch (roll(d, 12)) {
    case 0: change_bytes(e->listed + 8, 4); break;  /* flags, method */
    case 1: change_bytes(e->listed + 16, 12); break; /* sum and sizes: the last is kept */
    case 2: change_bytes((uint8_t *)e->name, strlen(e->name)); break;
    case 3:
        if (z->count < 2) break;
        *e = z->entries[--z->count];
        free(kept.bytes);
        break;
    case 4:
        if (z->count < ENTRIES_MOST) add_entry(z, e->listed, e->name, e->bytes, e->size);
        break;
    case 5: e->unpacked = roll(d, 2) ? roll(d, 4096) : 0xFFFFFFFFu - roll(d, 3); break;
    default: change_content(z, e, d, depth);
    }
}

static size_t change_zip(uint8_t *data, size_t size, size_t max_size, dice *d, int depth) {
    zip *z = roll(d, 16) ? malloc(sizeof *z) : 0;
    size_t now = 0;
    if (z && take_apart(data, size, z)) {
        for (uint32_t n = 1 + roll(d, 2); n; n--) change(z, d, depth);
        now = put_together(z, data, max_size);
    }
    for (size_t i = 0; z && i < z->count; i++) free(z->entries[i].bytes);
    free(z);
    return now ? now : LLVMFuzzerMutate(data, size, max_size);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    dice d = dice_of(seed);
    if (size > 4 && data[0] == 'P') return change_zip(data, size, max_size, &d, 1);
    return LLVMFuzzerMutate(data, size, max_size);
}
