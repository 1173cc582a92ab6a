/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/scene_file.h"

#include <string.h>

#include "codecs/codecs.h"
#include "loop/packed.h"
#include "loop/pictures.h"
#include "scene/making.h"

#define SF_PERIOD_MOST 1000000u

static uint64_t pixels_of(const sf_container *c) { return (uint64_t)c->width * (uint64_t)c->height; }
static uint64_t cells_of(const sf_container *c) { return (uint64_t)c->w * (uint64_t)c->h; }

void sf_scene_file_sizes(const sf_container *c, sf_scene_arrays *arrays) {
    memset(arrays, 0, sizeof *arrays);
    arrays->struct_size = sizeof *arrays;
    arrays->height = c->height;
    arrays->width = c->width;
    arrays->frames = c->frames;
    arrays->harmonics = c->harmonics;
    arrays->lights = c->lights;
}

/* Bytes of memory that a picture of the given planes takes: raw ones are used where they are. */
static uint64_t picture_memory(const sf_section *s, uint64_t pixels) {
    return s->encoding == SF_RAW ? 0 : (uint64_t)s->planes * pixels;
}

uint64_t sf_scene_file_memory(const sf_container *c, size_t scene_bytes, size_t scratch_bytes) {
    const uint64_t pixels = pixels_of(c), cells = cells_of(c);
    const sf_section *s = c->sections;
    uint64_t lasting = scene_bytes + picture_memory(&s[SF_KIND_PHOTO], pixels) + picture_memory(&s[SF_KIND_MATTE], pixels);
    lasting += cells * 4 * (uint64_t)(s[SF_KIND_SWAY].planes + s[SF_KIND_LIGHT].planes + s[SF_KIND_BLEND].planes);
    uint64_t passing = cells * 4 * (2 + 1 + 3); /* velocity, inside, low */
    for (int kind = SF_KIND_FLOW; kind <= SF_KIND_CYCLES; kind++) passing += picture_memory(&s[kind], cells);
    if (s[SF_KIND_PLATE].bytes) passing += s[SF_KIND_PLATE].encoding == SF_RAW ? 3 * pixels : 4 * pixels;
    uint64_t largest = scratch_bytes;
    for (int kind = 1; kind < SF_KINDS; kind++)
        if (sf_unpack_memory(&s[kind]) > largest) largest = sf_unpack_memory(&s[kind]);
    return lasting + passing + largest;
}

void sf_scene_file_check(sf_room *room, const sf_container *c) {
    for (int kind = 1; kind < SF_KINDS; kind++) {
        const sf_section *s = &c->sections[kind];
        if (!s->bytes) continue;
        uint8_t sum[32];
        sf_sha256(s->bytes, s->size, sum);
        if (memcmp(sum, s->sum, sizeof sum) != 0)
            sf_damaged(room, "the hash of its section %s does not fit", sf_kind_name((sf_kind)kind));
    }
}

/* A picture as dense bytes of its planes. */
static const uint8_t *read_picture(sf_room *room, const sf_container *c, sf_kind kind) {
    const sf_section *s = &c->sections[kind];
    if (s->encoding == SF_RAW) return s->bytes;
    const char *name = sf_kind_name(kind);
    static const int32_t kinds[] = {[SF_PNG] = SF_PICTURE_PNG, [SF_JPEG] = SF_PICTURE_JPEG, [SF_WEBP] = SF_PICTURE_WEBP};
    sf_picture picture;
    if (sf_picture_look(s->bytes, s->size, &picture) || picture.kind != kinds[s->encoding])
        sf_damaged(room, "its section %s is no picture of its encoding", name);
    if (picture.width != c->width || picture.height != c->height)
        sf_damaged(room, "its section %s holds %d x %d pixels", name, (int)picture.width, (int)picture.height);
    if (s->encoding == SF_PNG && picture.channels != s->planes)
        sf_damaged(room, "its section %s holds a PNG of %d channels", name, (int)picture.channels);
    const char *wrong = sf_picture_wrong(s);
    if (wrong) sf_damaged(room, "its section %s holds %s", name, wrong);
    uint8_t *out = sf_take(room, pixels_of(c), (uint64_t)s->planes);
    sf_picture_decode(room, s->bytes, s->size, out, s->planes);
    return out;
}

static const float *read_numbers(sf_room *room, const sf_container *c, sf_kind kind, int32_t together) {
    const sf_section *s = &c->sections[kind];
    if (!s->bytes) return 0;
    float *out = sf_take(room, cells_of(c) * (uint64_t)s->planes, sizeof *out);
    sf_unpack_numbers(room, s, sf_kind_name(kind), together, out);
    return out;
}

static const uint8_t *read_bytes(sf_room *room, const sf_container *c, sf_kind kind) {
    const sf_section *s = &c->sections[kind];
    if (s->encoding == SF_RAW) return s->bytes;
    uint8_t *out = sf_take(room, cells_of(c), 1);
    sf_unpack_plane(room, s, sf_kind_name(kind), out);
    return out;
}

static const int32_t *read_periods(sf_room *room, const sf_container *c, sf_kind kind) {
    const sf_section *s = &c->sections[kind];
    if (!s->bytes) return 0;
    int32_t *out = sf_take(room, (uint64_t)s->columns, sizeof *out);
    for (int32_t k = 0; k < s->columns; k++) {
        const uint8_t *p = s->bytes + 4 * (size_t)k;
        const uint32_t period = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        if (period < 1 || period > SF_PERIOD_MOST)
            sf_give_up(room, SF_ERROR_VALUE, "cannot play the scene", "bake the photo again: stillflow bake PHOTO",
                       "its section %s holds %u", sf_kind_name(kind), period);
        out[k] = (int32_t)period;
    }
    return out;
}

/* RGB where the plate's alpha is 0, from the photo, else the plate's own. out may be where rgba is. */
static void lay_plate(const uint8_t *rgba, const uint8_t *photo, size_t pixels, uint8_t *out) {
    size_t i = 0;
    /* Most of a plate is the photo: four such pixels are seen at once. */
    for (; i + 4 <= pixels; i += 4) {
        uint8_t four[16];
        memcpy(four, rgba + 4 * i, sizeof four);
        if (!(four[3] | four[7] | four[11] | four[15])) {
            memcpy(out + 3 * i, photo + 3 * i, 12);
            continue;
        }
        for (size_t k = 0; k < 4; k++) memcpy(out + 3 * (i + k), four[4 * k + 3] ? four + 4 * k : photo + 3 * (i + k), 3);
    }
    for (; i < pixels; i++) {
        uint8_t one[4];
        memcpy(one, rgba + 4 * i, sizeof one);
        memcpy(out + 3 * i, one[3] ? one : photo + 3 * i, 3);
    }
}

static const uint8_t *read_plate(sf_room *room, const sf_container *c, const uint8_t *photo) {
    const sf_section *s = &c->sections[SF_KIND_PLATE];
    if (!s->bytes) return photo;
    uint8_t *out = s->encoding == SF_RAW ? sf_take(room, pixels_of(c), 3) : 0;
    const uint8_t *rgba = read_picture(room, c, SF_KIND_PLATE);
    if (!out) out = (uint8_t *)(uintptr_t)rgba; /* our own memory, which was just decoded into */
    lay_plate(rgba, photo, (size_t)pixels_of(c), out);
    return out;
}

void sf_scene_file_lasting(sf_room *room, const sf_container *c, sf_scene_arrays *arrays) {
    arrays->photo = read_picture(room, c, SF_KIND_PHOTO);
    arrays->matte = read_picture(room, c, SF_KIND_MATTE);
    arrays->sway = read_numbers(room, c, SF_KIND_SWAY, 4);
    arrays->blend = read_numbers(room, c, SF_KIND_BLEND, 2);
    arrays->light = read_numbers(room, c, SF_KIND_LIGHT, 2);
}

void sf_scene_file_passing(sf_room *room, const sf_container *c, sf_scene_arrays *arrays) {
    arrays->velocity = read_numbers(room, c, SF_KIND_VELOCITY, 2);
    arrays->inside = read_numbers(room, c, SF_KIND_INSIDE, 1);
    arrays->flow = read_bytes(room, c, SF_KIND_FLOW);
    arrays->cycles = read_bytes(room, c, SF_KIND_CYCLES);
    arrays->sway_periods = read_periods(room, c, SF_KIND_SWAY_PERIODS);
    arrays->light_periods = read_periods(room, c, SF_KIND_LIGHT_PERIODS);
    arrays->plate = read_plate(room, c, arrays->photo);
    float *low = sf_take(room, cells_of(c) * 3, sizeof *low);
    sf_local_mean(room, arrays->plate, c->height, c->width, low);
    arrays->low = low;
}
