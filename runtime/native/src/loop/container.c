/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/container.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "codecs/codecs.h"

#define SF_HEADER 128
#define SF_ENTRY 80
#define SF_MAJOR 1
#define SF_SUM_AT 64
#define SF_SUM 32
#define SF_ABOUT_IN_FILE 0x8001u
#define SF_MAY_BE_SKIPPED 0x8000u
#define SF_ABOUT_MOST 65536
#define SF_CROSS_FADE 1u
#define SF_SIDE_MOST 65535u
#define SF_PIXELS_MOST ((uint64_t)1 << 27)
#define SF_FRAMES_MOST 1000000u
#define SF_HARMONICS_MOST 64
#define SF_EXPONENT_MOST 60

#define SF_CANNOT_PLAY "cannot play the scene"
#define SF_BAKE_AGAIN "copy or download it again, or bake the photo again: stillflow bake PHOTO"
#define SF_UPGRADE "use a stillflow of the version that made it, or bake the photo again with this one"

static const uint8_t magic[8] = {0x89, 0x53, 0x46, 0x4C, 0x4F, 0x57, 0x0D, 0x0A};

/* What a kind may be, in bits of 1 << encoding; and whether its elements are bytes of pictures, fields or numbers. */
static const struct {
    char name[14];
    uint8_t encodings;
    uint8_t element; /* bytes of one when decoded */
    uint8_t needed;
} kinds[SF_KINDS] = {
    [SF_KIND_PHOTO] = {"photo", 1 << SF_RAW | 1 << SF_PNG | 1 << SF_JPEG | 1 << SF_WEBP, 1, 1},
    [SF_KIND_MATTE] = {"matte", 1 << SF_RAW | 1 << SF_PNG | 1 << SF_WEBP, 1, 1},
    [SF_KIND_PLATE] = {"plate", 1 << SF_RAW | 1 << SF_PNG | 1 << SF_WEBP, 1, 0},
    [SF_KIND_VELOCITY] = {"velocity", 1 << SF_NUMBERS | 1 << SF_PACKED_NUMBERS, 2, 1},
    [SF_KIND_FLOW] = {"flow", 1 << SF_RAW | 1 << SF_PACKED_BYTES, 1, 1},
    [SF_KIND_CYCLES] = {"cycles", 1 << SF_RAW | 1 << SF_PACKED_BYTES, 1, 1},
    [SF_KIND_INSIDE] = {"inside", 1 << SF_NUMBERS | 1 << SF_PACKED_NUMBERS, 2, 1},
    [SF_KIND_SWAY] = {"sway", 1 << SF_NUMBERS | 1 << SF_PACKED_NUMBERS, 2, 0},
    [SF_KIND_SWAY_PERIODS] = {"sway periods", 1 << SF_RAW, 4, 0},
    [SF_KIND_LIGHT] = {"light", 1 << SF_NUMBERS | 1 << SF_PACKED_NUMBERS, 2, 0},
    [SF_KIND_LIGHT_PERIODS] = {"light periods", 1 << SF_RAW, 4, 0},
    [SF_KIND_BLEND] = {"blend", 1 << SF_NUMBERS | 1 << SF_PACKED_NUMBERS, 2, 0},
    [SF_KIND_ABOUT] = {"about", 1 << SF_RAW, 1, 0},
};

const char *sf_kind_name(sf_kind kind) { return kinds[kind].name; }

void sf_damaged(sf_room *room, const char *why, ...) {
    char text[200];
    va_list values;
    va_start(values, why);
    vsnprintf(text, sizeof text, why, values);
    va_end(values);
    sf_give_up(room, SF_ERROR_FORMAT, SF_CANNOT_PLAY, SF_BAKE_AGAIN, "%s", text);
}

static int32_t i32_at(const uint8_t *p) {
    const uint32_t bits = sf_le32(p);
    int32_t value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double f64_at(const uint8_t *p) {
    const uint64_t bits = sf_le64(p);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int all_zero(const uint8_t *bytes, size_t count) {
    uint8_t any = 0;
    for (size_t i = 0; i < count; i++) any |= bytes[i];
    return !any;
}

/* Magic, versions, size and the table's hash; returns how many sections the table has. */
static uint32_t check_header(sf_room *room, const uint8_t *bytes, size_t size) {
    if (size < sizeof magic || memcmp(bytes, magic, sizeof magic) != 0)
        sf_give_up(room, SF_ERROR_FORMAT, SF_CANNOT_PLAY, "make one: stillflow bake PHOTO",
                   "it is not a baked scene, or was changed by a transfer as text");
    if (size < SF_HEADER) sf_damaged(room, "it ends within its header");
    if (sf_le16(bytes + 8) != SF_MAJOR)
        sf_give_up(room, SF_ERROR_VERSION, SF_CANNOT_PLAY, SF_UPGRADE,
                   "its version is %u, and this library reads version %d", sf_le16(bytes + 8), SF_MAJOR);
    const uint32_t count = sf_le32(bytes + 36);
    if (sf_le32(bytes + 12) != SF_HEADER || count < 1 || count > SF_SECTIONS_MOST || !all_zero(bytes + 52, 12) ||
        !all_zero(bytes + 96, 32))
        sf_damaged(room, "its header is damaged");
    if (sf_le64(bytes + 16) != size)
        sf_damaged(room, "it has %llu bytes, and its header says %llu", (unsigned long long)size,
                   (unsigned long long)sf_le64(bytes + 16));
    const size_t table_end = SF_HEADER + (size_t)count * SF_ENTRY;
    if (table_end > size) sf_damaged(room, "it ends within its table");
    uint8_t copy[SF_HEADER + SF_SECTIONS_MOST * SF_ENTRY], sum[SF_SUM];
    memcpy(copy, bytes, table_end);
    memset(copy + SF_SUM_AT, 0, SF_SUM);
    sf_sha256(copy, table_end, sum);
    if (memcmp(sum, bytes + SF_SUM_AT, SF_SUM) != 0) sf_damaged(room, "the hash of its header and table does not fit");
    return count;
}

static void read_sizes(sf_room *room, const uint8_t *bytes, sf_container *c) {
    const uint32_t width = sf_le32(bytes + 24), height = sf_le32(bytes + 28), frames = sf_le32(bytes + 32);
    const double fps = f64_at(bytes + 40);
    if (width < 1 || width > SF_SIDE_MOST || height < 1 || height > SF_SIDE_MOST ||
        (uint64_t)width * height > SF_PIXELS_MOST)
        sf_damaged(room, "a picture of %u x %u pixels is beyond the limits", width, height);
    if (frames < 1 || frames > SF_FRAMES_MOST || !(isfinite(fps) && fps > 0 && fps <= 240))
        sf_damaged(room, "a loop of %u frames at %g a second is beyond the limits", frames, fps);
    if (sf_le32(bytes + 48) != SF_CROSS_FADE)
        sf_give_up(room, SF_ERROR_VERSION, SF_CANNOT_PLAY, SF_UPGRADE,
                   "its loop rule is %u, and this library plays rule 1", sf_le32(bytes + 48));
    c->width = (int32_t)width;
    c->height = (int32_t)height;
    c->w = (int32_t)((width + 3) / 4);
    c->h = (int32_t)((height + 3) / 4);
    c->frames = (int32_t)frames;
    c->fps = fps;
    c->minor = (int32_t)sf_le16(bytes + 10);
}

/* The kind of a table entry, or 0 where it may be skipped. */
static sf_kind kind_of(sf_room *room, uint32_t number) {
    if (number == SF_ABOUT_IN_FILE) return SF_KIND_ABOUT;
    if (number >= SF_KIND_PHOTO && number <= SF_KIND_BLEND) return (sf_kind)number;
    if (number < SF_MAY_BE_SKIPPED)
        sf_give_up(room, SF_ERROR_VERSION, SF_CANNOT_PLAY, SF_UPGRADE,
                   "it holds a section %#x that this library does not know", number);
    return (sf_kind)0;
}

/* Whether planes, rows and columns are those of the kind; numbers of harmonics are held against each other later. */
static int shape_good(const sf_container *c, sf_kind kind, uint32_t planes, uint32_t rows, uint32_t columns) {
    const uint32_t h = (uint32_t)c->h, w = (uint32_t)c->w, height = (uint32_t)c->height, width = (uint32_t)c->width;
    switch (kind) {
    case SF_KIND_PHOTO: return planes == 3 && rows == height && columns == width;
    case SF_KIND_MATTE: return planes == 1 && rows == height && columns == width;
    case SF_KIND_PLATE: return planes == 4 && rows == height && columns == width;
    case SF_KIND_VELOCITY:
    case SF_KIND_BLEND: return planes == 2 && rows == h && columns == w;
    case SF_KIND_FLOW:
    case SF_KIND_CYCLES:
    case SF_KIND_INSIDE: return planes == 1 && rows == h && columns == w;
    case SF_KIND_SWAY: return planes >= 4 && planes % 4 == 0 && planes <= 4 * SF_HARMONICS_MOST && rows == h && columns == w;
    case SF_KIND_LIGHT: return planes >= 2 && planes % 2 == 0 && planes <= 2 * SF_HARMONICS_MOST && rows == h && columns == w;
    case SF_KIND_SWAY_PERIODS:
    case SF_KIND_LIGHT_PERIODS: return planes == 1 && rows == 1 && columns >= 1 && columns <= SF_HARMONICS_MOST;
    case SF_KIND_ABOUT: return planes == 1 && rows == 1 && columns >= 1 && columns <= SF_ABOUT_MOST;
    default: return 0;
    }
}

static void read_section(sf_room *room, const uint8_t *entry, const uint8_t *bytes, sf_kind kind, sf_container *c) {
    const char *name = kinds[kind].name;
    const uint32_t encoding = sf_le32(entry + 4), planes = sf_le32(entry + 36), rows = sf_le32(entry + 40), columns = sf_le32(entry + 44);
    const uint64_t size = sf_le64(entry + 16);
    const int32_t exponent = i32_at(entry + 32);
    sf_section *s = &c->sections[kind];
    if (!shape_good(c, kind, planes, rows, columns))
        sf_damaged(room, "its section %s has a size of %u x %u x %u", name, planes, rows, columns);
    const uint64_t decoded = (uint64_t)planes * rows * columns * kinds[kind].element; /* at most 2^27 * 256 * 4 */
    if (sf_le64(entry + 24) != decoded)
        sf_damaged(room, "its section %s does not say the bytes that its size says", name);
    if (encoding > SF_PACKED_BYTES || !(kinds[kind].encodings >> encoding & 1))
        sf_damaged(room, "its section %s has the encoding %u, which is not one of its kind's", name, encoding);
    if (size < 1 || ((encoding == SF_RAW || encoding == SF_NUMBERS) && size != decoded))
        sf_damaged(room, "its section %s has %llu bytes", name, (unsigned long long)size);
    const int numbers = encoding == SF_NUMBERS || encoding == SF_PACKED_NUMBERS;
    if (exponent < -SF_EXPONENT_MOST || exponent > SF_EXPONENT_MOST || (!numbers && exponent))
        sf_damaged(room, "its section %s has the exponent %d", name, exponent);
    *s = (sf_section){bytes, (size_t)size, entry + 48, (int32_t)encoding, exponent, (int32_t)planes, (int32_t)rows, (int32_t)columns};
}

static void read_table(sf_room *room, const uint8_t *bytes, size_t size, uint32_t count, sf_container *c) {
    size_t end = SF_HEADER + (size_t)count * SF_ENTRY;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *entry = bytes + SF_HEADER + (size_t)i * SF_ENTRY;
        const uint32_t number = sf_le32(entry);
        const uint64_t offset = sf_le64(entry + 8), length = sf_le64(entry + 16);
        if (offset % SF_ALIGNMENT || offset < end || offset - end >= SF_ALIGNMENT || offset > size ||
            length > size - offset)
            sf_damaged(room, "its section %#x does not lie where one may", number);
        if (!all_zero(bytes + end, (size_t)offset - end))
            sf_damaged(room, "there is something before its section %#x", number);
        for (uint32_t k = 0; k < i; k++)
            if (sf_le32(bytes + SF_HEADER + (size_t)k * SF_ENTRY) == number)
                sf_damaged(room, "its section %#x is there twice", number);
        const sf_kind kind = kind_of(room, number);
        if (kind) read_section(room, entry, bytes + offset, kind, c);
        else c->skipped++;
        end = (size_t)(offset + length);
    }
    if (end != size) sf_damaged(room, "its sections end before the file does");
}

/* Harmonics that a section and its periods agree on. */
static int32_t harmonics_of(sf_room *room, const sf_container *c, sf_kind kind, sf_kind periods, int32_t planes) {
    const sf_section *s = &c->sections[kind], *p = &c->sections[periods];
    if (!s->bytes != !p->bytes || s->planes != planes * p->columns)
        sf_damaged(room, "its sections %s and %s do not fit each other", kinds[kind].name, kinds[periods].name);
    return p->columns;
}

void sf_container_read(sf_room *room, const uint8_t *bytes, size_t size, sf_container *container) {
    memset(container, 0, sizeof *container);
    const uint32_t count = check_header(room, bytes, size);
    read_sizes(room, bytes, container);
    read_table(room, bytes, size, count, container);
    for (int kind = 1; kind < SF_KINDS; kind++)
        if (kinds[kind].needed && !container->sections[kind].bytes)
            sf_damaged(room, "it holds no %s", kinds[kind].name);
    container->harmonics = harmonics_of(room, container, SF_KIND_SWAY, SF_KIND_SWAY_PERIODS, 4);
    container->lights = harmonics_of(room, container, SF_KIND_LIGHT, SF_KIND_LIGHT_PERIODS, 2);
}
