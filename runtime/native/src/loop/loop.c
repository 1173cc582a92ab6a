/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a loop, what is known of it, the part of a frame that its rows have in common, and closing it. */
#include "loop/loop.h"

#include <math.h>
#include <string.h>

#include "kernels/scene.h"
#include "loop/scene_file.h"
#include "loop/target.h"

#define SF_CANNOT_OPEN "cannot open the scene"

/* Lies before the planes of a frame: whose they are. */
typedef struct sf_frame_head {
    const sf_loop *loop;
    uint64_t made;
} sf_frame_head;

#define SF_MADE 0x656d6172662d6673u
#define SF_SMALL_PIECES ((uint64_t)1 << 21) /* tables and rows of decoders */
#define SF_FRAME_HEAD ((size_t)SF_ALIGNMENT)

/* Share of the picture that moves: a matte of 1 is only under the light. */
static double moving_share(const uint8_t *matte, size_t pixels) {
    size_t moving = 0;
    for (size_t i = 0; i < pixels;) {
        const size_t end = pixels - i < 128 ? pixels : i + 128;
        uint8_t some = 0; /* at most 128, so that whole vectors of bytes are summed */
        for (; i < end; i++) some = (uint8_t)(some + (matte[i] > 1));
        moving += some;
    }
    return (double)moving / (double)pixels;
}

static void sizes_of(sf_room *room, const sf_scene_arrays *arrays, size_t *scene_bytes, size_t *scratch_bytes) {
    const int32_t status = sf_sizes(arrays, scene_bytes, scratch_bytes);
    if (status) sf_give_up(room, status, SF_CANNOT_OPEN, "use a smaller picture", "%s", sf_status_text(status));
    if (!sf_kernels_for(arrays->isa))
        sf_give_up(room, SF_ERROR_UNSUPPORTED, SF_CANNOT_OPEN, "set isa to SF_ISA_BEST", "%s",
                   sf_status_text(SF_ERROR_UNSUPPORTED));
}

/* Let the kernels lay the scene out in memory; the arrays that only they read may be given back afterwards. */
static void prepare(sf_room *room, sf_loop *loop, const sf_scene_arrays *arrays, void *memory, size_t scene_bytes,
                    size_t scratch_bytes) {
    const sf_mark mark = sf_room_mark(room);
    void *scratch = sf_take(room, scratch_bytes, 1);
    const int32_t status = (arrays->plate ? sf_prepare : sf_prepare_rest)(arrays, memory, scene_bytes, scratch,
                                                                          scratch_bytes, &loop->scene);
    if (status)
        sf_give_up(room, status, SF_CANNOT_OPEN, "bake the photo again: stillflow bake PHOTO", "%s",
                   sf_status_text(status));
    sf_room_rewind(room, mark);
    const size_t cells = (size_t)((arrays->height + 3) / 4) * (size_t)((arrays->width + 3) / 4);
    loop->planes_bytes = sf_rounded_up(SF_PLANES * cells * sizeof(float));
    loop->scratch_bytes = scratch_bytes;
    loop->chance = loop->strength = NAN;
    loop->moving = moving_share(arrays->matte, (size_t)arrays->height * (size_t)arrays->width);
    loop->arrays = (sf_scene_arrays){
        .struct_size = sizeof loop->arrays, .height = arrays->height, .width = arrays->width, .frames = arrays->frames,
        .harmonics = arrays->harmonics, .lights = arrays->lights, .isa = arrays->isa, .photo = arrays->photo,
        .matte = arrays->matte, .sway = arrays->sway, .blend = arrays->blend, .light = arrays->light};
}

/* The loop holds the room from now on. */
static void move_in(sf_loop *loop, const sf_room *room) {
    loop->room = *room;
    loop->room.error = 0;
}

static sf_loop *open_file(sf_room *room, const uint8_t *bytes, size_t size, const sf_map *map,
                          const sf_source *source) {
    sf_container container;
    sf_container_read(room, bytes, size, &container);
    sf_scene_arrays arrays;
    sf_scene_file_sizes(&container, &arrays);
    arrays.isa = source->isa;
    size_t scene_bytes, scratch_bytes;
    sizes_of(room, &arrays, &scene_bytes, &scratch_bytes);
    const uint64_t need = sf_scene_file_memory(&container, scene_bytes, scratch_bytes) + sf_rounded_up(sizeof(sf_loop));
    if (need > room->limit)
        sf_give_up(room, SF_ERROR_LIMIT, SF_CANNOT_OPEN, "raise memory_limit, or bake a smaller picture",
                   "a scene of %d x %d pixels needs at least %llu bytes, and the limit is %llu", (int)container.width,
                   (int)container.height, (unsigned long long)need, (unsigned long long)room->limit);
    if (container.skipped)
        sf_tell(room, 1, "the scene is of version 1.%d: %d sections that this library does not know were skipped",
                (int)container.minor, (int)container.skipped);
    if (!source->trusted) sf_scene_file_check(room, &container);
    /* What decoders need is not counted in need: most often a picture of 4 bytes. */
    sf_room_reserve(room, need + 4 * (uint64_t)container.width * (uint64_t)container.height + SF_SMALL_PIECES);
    sf_loop *loop = sf_take_zeroed(room, 1, sizeof *loop);
    void *memory = sf_take(room, scene_bytes, 1);
    sf_scene_file_lasting(room, &container, &arrays);
    const sf_mark mark = sf_room_mark(room);
    sf_scene_file_passing(room, &container, sf_lay_out(&arrays, memory), &arrays);
    prepare(room, loop, &arrays, memory, scene_bytes, scratch_bytes);
    sf_room_rewind(room, mark);
    sf_room_settle(room);
    loop->map = *map;
    loop->fps = container.fps;
    loop->about = (const char *)container.sections[SF_KIND_ABOUT].bytes;
    loop->about_bytes = container.sections[SF_KIND_ABOUT].size;
    move_in(loop, room);
    return loop;
}

int32_t sf_loop_open(const sf_source *source, sf_loop **loop, sf_error *error) {
    const char *fix = "fill in an sf_source as stillflow.h says";
    if (loop) *loop = 0;
    if (!loop || !source || source->struct_size < sizeof *source)
        return sf_fail(error, SF_ERROR_ARGUMENT, SF_CANNOT_OPEN, fix,
                       "a pointer is null, or struct_size is not the struct's");
    if (!source->path == !source->bytes)
        return sf_fail(error, SF_ERROR_ARGUMENT, SF_CANNOT_OPEN, fix, "a path or bytes must be given, and not both");
    if (source->bytes && (uintptr_t)source->bytes % SF_ALIGNMENT)
        return sf_fail(error, SF_ERROR_MEMORY, SF_CANNOT_OPEN, fix, "bytes do not begin at a multiple of %d",
                       SF_ALIGNMENT);
    sf_map map = {0, 0};
    sf_room room;
    sf_room_open(&room, source->memory_limit, error);
    room.log = source->log;
    room.log_user = source->log_user;
    if (source->path) {
        const int32_t status = sf_map_open(&map, source->path, room.limit, error);
        if (status) return status;
    }
    if (setjmp(room.way_out)) {
        sf_room_close(&room);
        sf_map_close(&map);
        if (source->path) sf_fail_of(error, source->path);
        return room.status;
    }
    *loop = open_file(&room, source->path ? map.bytes : source->bytes, source->path ? map.size : source->size, &map,
                      source);
    return SF_OK;
}

static void *copy_of(sf_room *room, const void *from, uint64_t count, uint64_t size) {
    return from && count ? memcpy(sf_take(room, count, size), from, (size_t)(count * size)) : 0;
}

static sf_loop *loop_of_copies(sf_room *room, const sf_scene_arrays *given, double fps) {
    sf_scene_arrays arrays = *given;
    size_t scene_bytes, scratch_bytes;
    sizes_of(room, &arrays, &scene_bytes, &scratch_bytes);
    const uint64_t pixels = (uint64_t)arrays.height * (uint64_t)arrays.width;
    const uint64_t cells = (uint64_t)((arrays.height + 3) / 4) * (uint64_t)((arrays.width + 3) / 4);
    sf_loop *loop = sf_take_zeroed(room, 1, sizeof *loop);
    arrays.photo = copy_of(room, given->photo, pixels, 3);
    arrays.matte = copy_of(room, given->matte, pixels, 1);
    arrays.sway = copy_of(room, given->sway, cells * (uint64_t)arrays.harmonics, 4 * sizeof(float));
    arrays.blend = copy_of(room, given->blend, cells, 2 * sizeof(float));
    arrays.light = copy_of(room, given->light, cells * (uint64_t)arrays.lights, 2 * sizeof(float));
    prepare(room, loop, &arrays, sf_take(room, scene_bytes, 1), scene_bytes, scratch_bytes);
    loop->fps = fps;
    return loop;
}

sf_loop *sf_loop_of(sf_room *room, const sf_scene_arrays *arrays, double fps) {
    sf_room own;
    const uint64_t left = room->limit - room->used;
    sf_room_open(&own, left ? left : 1, room->error);
    own.given = room->given;
    own.log = room->log;
    own.log_user = room->log_user;
    if (setjmp(own.way_out)) {
        sf_room_close(&own);
        room->status = own.status;
        longjmp(room->way_out, 1);
    }
    sf_loop *loop = loop_of_copies(&own, arrays, fps);
    sf_room_close(room);
    own.limit = room->limit;
    move_in(loop, &own);
    return loop;
}

void sf_loop_close(sf_loop *loop) {
    if (!loop) return;
    sf_room room = loop->room; /* the loop lies in it */
    sf_map_close(&loop->map);
    sf_room_close(&room);
}

int32_t sf_loop_facts(const sf_loop *loop, const sf_target *target, sf_facts *facts) {
    if (!loop || !facts || facts->struct_size < sizeof *facts) return SF_ERROR_ARGUMENT;
    sf_view view;
    const int32_t status = sf_view_of(loop, target, &view);
    if (status) return status;
    facts->width = loop->arrays.width;
    facts->height = loop->arrays.height;
    facts->frames = loop->arrays.frames;
    facts->fps = loop->fps;
    facts->moving = loop->moving;
    facts->memory_bytes = loop->room.used;
    facts->frame_bytes = SF_FRAME_HEAD + loop->planes_bytes + loop->scratch_bytes;
    facts->rows_bytes = sf_view_rows_bytes(loop, &view);
    facts->about = loop->about;
    facts->about_bytes = loop->about_bytes;
    facts->chance = loop->chance;
    facts->strength = loop->strength;
    return SF_OK;
}

int32_t sf_loop_at(const sf_loop *loop, double t, void *frame, size_t frame_bytes) {
    if (!loop || !frame || !isfinite(t)) return SF_ERROR_ARGUMENT;
    if ((uintptr_t)frame % SF_ALIGNMENT || frame_bytes < SF_FRAME_HEAD + loop->planes_bytes + loop->scratch_bytes)
        return SF_ERROR_MEMORY;
    sf_frame_head *head = frame;
    unsigned char *planes = (unsigned char *)frame + SF_FRAME_HEAD;
    head->loop = loop;
    head->made = 0;
    /* Within one loop, so that phases of any finite time are numbers. */
    t = fmod(t, loop->arrays.frames);
    if (t < 0) t += loop->arrays.frames;
    if (t >= loop->arrays.frames) t = 0;
    const int32_t status = sf_fields(loop->scene, t, (float *)(void *)planes, planes + loop->planes_bytes,
                                     loop->scratch_bytes);
    if (status == SF_OK) head->made = SF_MADE;
    return status;
}

const float *sf_frame_planes(const sf_loop *loop, const void *frame) {
    const sf_frame_head *head = frame;
    if ((uintptr_t)frame % SF_ALIGNMENT || head->loop != loop || head->made != SF_MADE) return 0;
    return (const float *)(const void *)((const unsigned char *)frame + SF_FRAME_HEAD);
}
