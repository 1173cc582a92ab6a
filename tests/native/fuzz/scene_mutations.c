/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of a .sflow file (docs/sflow.md). It is taken apart, something is changed, and it is put together again with
 * places, sizes and hashes that fit: so that changes get as far as they can.
 */
#include <stdlib.h>
#include <string.h>

#include "codecs/codecs.h"
#include "pieces.h"
#include "target.h"

#define HEADER 128
#define ENTRY 80
#define PARTS_MOST 24
#define UNPACK_MOST ((size_t)1 << 18)

enum { RAW = 0, JPEG = 2, NUMBERS = 4, PACKED_NUMBERS = 5, PACKED_BYTES = 6 };

typedef struct part {
    uint8_t entry[ENTRY];
    uint8_t *bytes;
    size_t size, room;
} part;

typedef struct scene {
    uint8_t header[HEADER];
    part parts[PARTS_MOST];
    size_t count;
} scene;

static int add_part(scene *s, const uint8_t *entry, const uint8_t *bytes, size_t size) {
    part *p = &s->parts[s->count];
    p->size = size;
    p->room = 2 * size + 256;
    p->bytes = malloc(p->room);
    if (!p->bytes) return 0;
    memcpy(p->entry, entry, ENTRY);
    memcpy(p->bytes, bytes, size);
    s->count++;
    return 1;
}

/* Whether it could be taken apart. */
static int take_apart(const uint8_t *data, size_t size, scene *s) {
    s->count = 0;
    if (size < HEADER) return 0;
    memcpy(s->header, data, HEADER);
    const size_t count = get32(data + 36);
    if (count < 1 || count > PARTS_MOST || HEADER + count * ENTRY > size) return 0;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *entry = data + HEADER + i * ENTRY;
        const size_t at = get32(entry + 8), length = get32(entry + 16);
        if (at > size || length > size - at || !add_part(s, entry, data + at, length)) return 0;
    }
    return 1;
}

/* Its size, or 0 where it is larger than max_size. */
static size_t put_together(scene *s, uint8_t *data, size_t max_size) {
    size_t end = HEADER + s->count * ENTRY;
    if (end > max_size) return 0;
    for (size_t i = 0; i < s->count; i++) {
        part *p = &s->parts[i];
        const size_t at = (end + 63) / 64 * 64;
        if (at + p->size > max_size) return 0;
        memset(data + end, 0, at - end);
        memcpy(data + at, p->bytes, p->size);
        put64(p->entry + 8, at);
        put64(p->entry + 16, p->size);
        sf_sha256(p->bytes, p->size, p->entry + 48);
        memcpy(data + HEADER + i * ENTRY, p->entry, ENTRY);
        end = at + p->size;
    }
    put64(s->header + 16, end);
    put32(s->header + 36, (uint32_t)s->count);
    memset(s->header + 64, 0, 32);
    memcpy(data, s->header, HEADER);
    sf_sha256(data, HEADER + s->count * ENTRY, data + 64);
    return end;
}

static void change_part(part *p, dice *d) {
    const uint32_t encoding = get32(p->entry + 4);
    const size_t decoded = get32(p->entry + 24);
    if (encoding == RAW || encoding == NUMBERS) {
        change_bytes(p->bytes, p->size);
    } else if (encoding == PACKED_NUMBERS || encoding == PACKED_BYTES) {
        if (decoded + 64 > p->room && decoded < UNPACK_MOST) {
            uint8_t *larger = realloc(p->bytes, decoded + 64);
            if (larger) p->bytes = larger, p->room = decoded + 64;
        }
        if (roll(d, 3)) {
            p->size = change_unpacked(p->bytes, p->size, p->room, decoded);
        } else {
            p->size = LLVMFuzzerMutate(p->bytes, p->size, p->room);
            seal_zlib(p->bytes, p->size, decoded);
        }
    } else {
        p->size = change_picture(p->bytes, p->size, p->room, d);
    }
}

/* Sizes that fit a new width and height are left to crossing: these are for the checks. */
static void change_table(scene *s, dice *d) {
    part *p = &s->parts[roll(d, (uint32_t)s->count)], *other = &s->parts[roll(d, (uint32_t)s->count)];
    const part kept = *p;
    switch (roll(d, 5)) {
    case 0: change_bytes(p->entry, 8); break;       /* kind, encoding */
    case 1: change_bytes(p->entry + 24, 24); break; /* decoded, exponent, sizes */
    case 2:                                         /* order */
        *p = *other;
        *other = kept;
        break;
    case 3: /* gone */
        if (s->count < 2) break;
        *p = s->parts[--s->count];
        free(kept.bytes);
        break;
    default: /* a kind that may be skipped, or one twice */
        if (s->count == PARTS_MOST || !add_part(s, p->entry, p->bytes, p->size)) break;
        if (roll(d, 2)) put32(s->parts[s->count - 1].entry, 0x8000 + roll(d, 4));
    }
}

static void change(scene *s, dice *d) {
    const uint32_t how = roll(d, 12);
    if (how == 0) change_table(s, d);
    else if (how == 1) change_bytes(s->header + 8, 4);   /* versions */
    else if (how == 2) change_bytes(s->header + 24, 28); /* sizes, frames, rule */
    else if (how == 3) put32(s->parts[roll(d, (uint32_t)s->count)].entry + 32, roll(d, 121) - 60u);
    else change_part(&s->parts[roll(d, (uint32_t)s->count)], d);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    dice d = dice_of(seed);
    scene *s = roll(&d, 24) ? malloc(sizeof *s) : 0;
    size_t now = 0;
    if (s && take_apart(data, size, s)) {
        for (uint32_t n = 1 + roll(&d, 3); n; n--) change(s, &d);
        now = put_together(s, data, max_size);
    }
    for (size_t i = 0; s && i < s->count; i++) free(s->parts[i].bytes);
    free(s);
    return now ? now : LLVMFuzzerMutate(data, size, max_size);
}
