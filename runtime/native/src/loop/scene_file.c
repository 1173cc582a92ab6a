/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/scene_file.h"

#include <string.h>

#include "bytes.h"
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
    uint64_t lasting = scene_bytes + picture_memory(&s[SF_KIND_PHOTO], pixels) + picture_memory(&s[SF_KIND_MATTE],
                                                                                                pixels);
    lasting += cells * 4 * (uint64_t)(s[SF_KIND_SWAY].planes + s[SF_KIND_LIGHT].planes + s[SF_KIND_BLEND].planes);
    uint64_t passing = cells * 4 * (2 + 1 + 3); /* velocity, inside, low */
    for (int kind = SF_KIND_FLOW; kind <= SF_KIND_CYCLES; kind++) passing += picture_memory(&s[kind], cells);
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

/* Give up where a section that is not raw does not hold the picture that it should. */
static void check_picture(sf_room *room, const sf_container *c, sf_kind kind) {
    const sf_section *s = &c->sections[kind];
    const char *name = sf_kind_name(kind);
    static const int32_t kinds[] = {[SF_PNG] = SF_PICTURE_PNG, [SF_JPEG] = SF_PICTURE_JPEG,
                                    [SF_WEBP] = SF_PICTURE_WEBP};
    sf_picture picture;
    if (sf_picture_look(s->bytes, s->size, &picture) || picture.kind != kinds[s->encoding])
        sf_damaged(room, "its section %s is no picture of its encoding", name);
    if (picture.width != c->width || picture.height != c->height)
        sf_damaged(room, "its section %s holds %d x %d pixels", name, (int)picture.width, (int)picture.height);
    if (s->encoding == SF_PNG && picture.channels != s->planes)
        sf_damaged(room, "its section %s holds a PNG of %d channels", name, (int)picture.channels);
    const char *wrong = sf_picture_wrong(s);
    if (wrong) sf_damaged(room, "its section %s holds %s", name, wrong);
}

/* A picture as dense bytes of its planes. */
static const uint8_t *read_picture(sf_room *room, const sf_container *c, sf_kind kind) {
    const sf_section *s = &c->sections[kind];
    if (s->encoding == SF_RAW) return s->bytes;
    check_picture(room, c, kind);
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
        const uint32_t period = sf_le32(s->bytes + 4 * (size_t)k);
        if (period < 1 || period > SF_PERIOD_MOST)
            sf_give_up(room, SF_ERROR_VALUE, "cannot play the scene", "bake the photo again: stillflow bake PHOTO",
                       "its section %s holds %u", sf_kind_name(kind), period);
        out[k] = (int32_t)period;
    }
    return out;
}

/* A row of RGB where the plate's alpha is 0, from the photo, else the plate's own. */
static void lay_row(const uint8_t *rgba, const uint8_t *photo, size_t pixels, uint8_t *out) {
    static const uint8_t alphas[8] = {0, 0, 0, 0xff, 0, 0, 0, 0xff};
    uint64_t mask, two[4];
    memcpy(&mask, alphas, sizeof mask);
    size_t i = 0;
    /* Most of a plate is the photo: eight such pixels are seen at once. Of the others four bytes are copied at once. */
    for (; i + 8 <= pixels; i += 8) {
        const uint8_t *own = rgba + 4 * i, *other = photo + 3 * i;
        uint8_t *to = out + 3 * i;
        memcpy(two, own, sizeof two);
        if (!((two[0] | two[1] | two[2] | two[3]) & mask)) {
            memcpy(to, other, 24);
            continue;
        }
        for (int k = 0; k < 7; k++, own += 4, other += 3, to += 3) memcpy(to, own[3] ? own : other, 4);
        memcpy(to, own[3] ? own : other, 3);
    }
    for (; i < pixels; i++) memcpy(out + 3 * i, rgba[4 * i + 3] ? rgba + 4 * i : photo + 3 * i, 3);
}

/* Where rows of a plate go: to the scene and to the mean. */
typedef struct plate_rows {
    const uint8_t *photo;
    size_t pixels;
    uint8_t *rows; /* four in turn, which the mean needs */
    sf_scene *scene;
    sf_mean mean;
} plate_rows;

static void take_rgb(plate_rows *p, int32_t y, const uint8_t *row) {
    sf_pack_row(p->scene, y, row);
    sf_mean_row(&p->mean, y, row);
}

static void take_rgba(void *user, int32_t y, const uint8_t *rgba) {
    plate_rows *p = user;
    uint8_t *row = p->rows + (size_t)(y % SF_BLOCK) * 3 * p->pixels;
    lay_row(rgba, p->photo + (size_t)y * 3 * p->pixels, p->pixels, row);
    take_rgb(p, y, row);
}

static void read_plate(sf_room *room, const sf_container *c, sf_scene *scene, sf_scene_arrays *arrays) {
    const sf_section *s = &c->sections[SF_KIND_PLATE];
    const size_t pixels = (size_t)c->width;
    float *low = sf_take(room, cells_of(c) * 3, sizeof *low);
    const sf_mark mark = sf_room_mark(room);
    plate_rows p = {arrays->photo, pixels, 0, scene, {0}};
    sf_mean_begin(&p.mean, room, c->height, c->width, low);
    if (s->bytes) p.rows = sf_take(room, SF_BLOCK * (uint64_t)pixels, 3);
    if (s->bytes && s->encoding != SF_RAW) check_picture(room, c, SF_KIND_PLATE);
    if (s->encoding == SF_PNG) sf_png_rows(room, s->bytes, s->size, 4, take_rgba, &p);
    else if (s->encoding == SF_WEBP) sf_webp_rows(room, s->bytes, s->size, 4, take_rgba, &p);
    else
        for (int32_t y = 0; y < c->height; y++) {
            if (s->bytes) take_rgba(&p, y, s->bytes + (size_t)y * 4 * pixels);
            else take_rgb(&p, y, arrays->photo + (size_t)y * 3 * pixels);
        }
    sf_mean_end(&p.mean, room);
    sf_room_rewind(room, mark);
    arrays->low = low;
}

void sf_scene_file_lasting(sf_room *room, const sf_container *c, sf_scene_arrays *arrays) {
    arrays->photo = read_picture(room, c, SF_KIND_PHOTO);
    arrays->matte = read_picture(room, c, SF_KIND_MATTE);
    arrays->sway = read_numbers(room, c, SF_KIND_SWAY, 4);
    arrays->blend = read_numbers(room, c, SF_KIND_BLEND, 2);
    arrays->light = read_numbers(room, c, SF_KIND_LIGHT, 2);
}

void sf_scene_file_passing(sf_room *room, const sf_container *c, sf_scene *scene, sf_scene_arrays *arrays) {
    arrays->velocity = read_numbers(room, c, SF_KIND_VELOCITY, 2);
    arrays->inside = read_numbers(room, c, SF_KIND_INSIDE, 1);
    arrays->flow = read_bytes(room, c, SF_KIND_FLOW);
    arrays->cycles = read_bytes(room, c, SF_KIND_CYCLES);
    arrays->sway_periods = read_periods(room, c, SF_KIND_SWAY_PERIODS);
    arrays->light_periods = read_periods(room, c, SF_KIND_LIGHT_PERIODS);
    read_plate(room, c, scene, arrays);
}
