/* SPDX-License-Identifier: Apache-2.0 */
/* The matte inside what moves, and the plate: the flowing layer continued, the photo wherever the matte shows it. */
#include <math.h>
#include <string.h>

#include "scene/stages.h"

#define SF_MATTE_RAMP 6.0  /* pixels of a 1280-wide picture over which the matte rises from an edge inwards */
#define SF_SOFT_RAMP 24.0  /* the same where a cloud or smoke ends before the sky: it has no outline there */
#define SF_EDGE_PIXELS 2.0 /* the outermost pixels of a region hold colours mixed with the background: no source */
#define SF_SWAY_READS 8.0  /* what sways reads this far around itself */
#define SF_PLATE_REACH 64.0 /* up to here texture is mirrored, beyond there is only colour */

int sf_rounds(double pixels, double unit) {
    const double rounds = rint(pixels * unit);
    return rounds > 1 ? (int)rounds : 1;
}

/* 1 where what a cloud or smoke ends at is farther than itself, as the sky is: scene._soft_outside. */
static void soft_outside(sf_room *room, const sf_regions *r, uint8_t *soft) {
    const sf_mark mark = sf_room_mark(room);
    const size_t count = (size_t)r->h * (size_t)r->w;
    uint8_t *shown = sf_take(room, count, 1);
    float *distance = sf_take(room, count, sizeof(float));
    int32_t *nearest = sf_take(room, count, sizeof(int32_t));
    for (size_t i = 0; i < count; i++) shown[i] = r->known[i] > 0;
    memset(soft, 0, count);
    if (sf_any(shown, count)) {
        sf_nearest_to(room, shown, r->h, r->w, distance, nearest);
        for (size_t i = 0; i < count; i++) {
            const uint8_t kind = r->kinds[nearest[i]];
            soft[i] = !shown[i] && r->order[i] < r->order[nearest[i]] && (kind == SF_CLOUD || kind == SF_SMOKE);
        }
    }
    sf_room_rewind(room, mark);
}

static void keep_smaller(uint8_t *values, const uint8_t *others, size_t count) {
    for (size_t i = 0; i < count; i++) values[i] = others[i] < values[i] ? others[i] : values[i];
}

static void keep_larger(uint8_t *values, const uint8_t *others, size_t count) {
    for (size_t i = 0; i < count; i++) values[i] = others[i] > values[i] ? others[i] : values[i];
}

/* core is what flows less its outermost pixels. */
static void matte_of(sf_room *room, const sf_regions *r, const uint8_t *core, uint8_t *matte) {
    const sf_mark mark = sf_room_mark(room);
    const int height = r->height, width = r->width;
    const size_t whole = (size_t)height * (size_t)width, count = (size_t)r->h * (size_t)r->w;
    uint8_t *soft = sf_take(room, count, 1), *region = sf_take(room, whole, 1), *other = sf_take(room, whole, 1);
    sf_inner_ramp(room, core, height, width, SF_MATTE_RAMP * r->unit, matte);
    soft_outside(room, r, soft);
    if (sf_any(soft, count)) {
        sf_resize_nearest(soft, r->h, r->w, 1, region, height, width);
        for (size_t i = 0; i < whole; i++) region[i] = core[i] ? core[i] : region[i] ? 0 : 255;
        sf_inner_ramp(room, region, height, width, SF_SOFT_RAMP * r->unit, other);
        keep_smaller(matte, other, whole);
    }
    sf_inner_ramp(room, r->sways, height, width, SF_MATTE_RAMP * r->unit, other);
    keep_larger(matte, other, whole);
    sf_room_rewind(room, mark);
}

void sf_matte_and_plate(sf_room *room, const sf_regions *r, const uint8_t *photo, const uint8_t *owner,
                        const float *fill, uint8_t *matte, uint8_t *plate) {
    const sf_mark mark = sf_room_mark(room);
    const int height = r->height, width = r->width;
    const size_t whole = (size_t)height * (size_t)width;
    uint8_t *core = sf_take(room, whole, 1), *region = sf_take(room, whole, 1);
    sf_erode_u8(room, r->flows, height, width, 3, sf_rounds(SF_EDGE_PIXELS, r->unit), core);
    matte_of(room, r, core, matte);
    const uint8_t *shown = sf_any(core, whole) ? core : r->flows;
    sf_resize_nearest(owner, r->h, r->w, 1, region, height, width);
    for (size_t i = 0; i < whole; i++)
        if (!shown[i]) region[i] = 0;
    sf_continue_plate(room, photo, region, height, width, owner, fill, r->h, r->w, SF_PLATE_REACH * r->unit, plate);
    /* What sways reads a few pixels around itself: the photo, not the flowing layer. */
    uint8_t *near = core;
    if (sf_any(r->sways, whole))
        sf_dilate_u8(room, r->sways, height, width, 3, sf_rounds(SF_SWAY_READS, r->unit), near);
    else
        memset(near, 0, whole);
    for (size_t i = 0; i < whole; i++)
        if (matte[i] || (near[i] && !r->flows[i])) memcpy(plate + 3 * i, photo + 3 * i, 3);
    sf_room_rewind(room, mark);
}
