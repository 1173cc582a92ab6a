/* SPDX-License-Identifier: Apache-2.0 */
/* How far each place is to be trusted as a source: 1 well inside what flows, the floor where something else may be. */
#include <string.h>

#include "scene/stages.h"

#define SF_EDGE_DOUBT 6.0f        /* pixels of a 1280-wide picture inside an edge where its outline may already show */
#define SF_RAMP 12.0              /* the same, over which a source then loses its confidence */
#define SF_BEHIND_CONFIDENCE 0.3f /* in what a layer is made to look like behind something nearer */
#define SF_BEHIND_REACH 64.0f     /* pixels of a 1280-wide picture at which that has fallen to nothing */
#define SF_AROUND_SWAY 7          /* samples: side of the box in which the plate holds what sways */

static float larger(float a, float b) { return a > b ? a : b; }

/* A field's samples of a mask, as cv2.resize means them. */
static void sampled(sf_room *room, const sf_regions *r, const uint8_t *mask, uint8_t *out) {
    sf_resize_area_u8(room, mask, r->height, r->width, 1, out, r->h, r->w);
}

void sf_flow_samples(sf_room *room, const sf_regions *r, uint8_t *flow) {
    const sf_mark mark = sf_room_mark(room);
    const size_t count = (size_t)r->h * (size_t)r->w;
    uint8_t *sway = sf_take(room, count, 1);
    sampled(room, r, r->sways, sway);
    sampled(room, r, r->flows, flow);
    sf_dilate_u8(room, flow, r->h, r->w, 3, 1, flow);
    for (size_t i = 0; i < count; i++) flow[i] = flow[i] > 0 && sway[i] < 128 ? r->kinds[i] : 0;
    sf_room_rewind(room, mark);
}

void sf_apart(sf_room *room, const sf_regions *r, const uint8_t *flow, float *apart) {
    const sf_mark mark = sf_room_mark(room);
    const size_t count = (size_t)r->h * (size_t)r->w;
    const double ramp = SF_RAMP * r->unit;
    int32_t *labels = sf_take(room, count, sizeof(int32_t));
    uint8_t *owner = sf_take(room, count, 1), *most = sf_take(room, count, 1), *least = sf_take(room, count, 1);
    for (size_t i = 0; i < count; i++) labels[i] = flow[i];
    sf_nearest_owner(room, labels, r->h, r->w, labels);
    for (size_t i = 0; i < count; i++) owner[i] = (uint8_t)labels[i];
    sf_dilate_u8(room, owner, r->h, r->w, 3, 1, most);
    sf_erode_u8(room, owner, r->h, r->w, 3, 1, least);
    int meets = 0;
    for (size_t i = 0; i < count; i++) {
        owner[i] = most[i] == least[i];
        meets |= !owner[i];
    }
    if (meets) sf_distance(room, owner, r->h, r->w, apart);
    for (size_t i = 0; i < count; i++)
        apart[i] = meets ? sf_clamp(apart[i] * 4 / (float)(ramp > 1 ? ramp : 1), 0, 1) : 1;
    sf_room_rewind(room, mark);
}

/* Confidence by the distance from what flows, less near what sways: scene._confidence_ramp without what meets. */
static void ramp_of(sf_room *room, const sf_regions *r, float *inside) {
    const sf_mark mark = sf_room_mark(room);
    const size_t whole = (size_t)r->height * (size_t)r->width;
    const double width = SF_RAMP * r->unit;
    const float ramp = (float)(width > 1 ? width : 1);
    const int rounds = sf_rounds(SF_EDGE_DOUBT, r->unit);
    uint8_t *mask = sf_take(room, whole, 1);
    float *value = sf_take(room, whole, sizeof(float));
    /* Beyond the picture's border the region goes on: the border is no outline. */
    sf_erode_u8(room, r->flows, r->height, r->width, 3, rounds, mask);
    if (!sf_any(mask, whole)) memcpy(mask, r->flows, whole);
    for (size_t i = 0; i < whole; i++) mask[i] = !mask[i];
    sf_distance(room, mask, r->height, r->width, value);
    sf_dilate_u8(room, r->sways, r->height, r->width, 3, rounds, mask);
    for (size_t i = 0; i < whole; i++) value[i] = mask[i] ? 0 : 1 - value[i] / ramp;
    sf_resize_area_f32(room, value, r->height, r->width, 1, inside, r->h, r->w);
    sf_room_rewind(room, mark);
}

/* Raise the confidence where a layer goes on behind something nearer that stands still: scene._confidence_behind. */
static void raise_behind(sf_room *room, const sf_regions *r, float *inside) {
    const sf_mark mark = sf_room_mark(room);
    const size_t count = (size_t)r->h * (size_t)r->w;
    const float unit = (float)(4 / r->unit);
    uint8_t *shown = sf_take(room, count, 1), *sway = sf_take(room, count, 1);
    float *distance = sf_take(room, count, sizeof(float));
    int32_t *nearest = sf_take(room, count, sizeof(int32_t));
    for (size_t i = 0; i < count; i++) shown[i] = r->known[i] > 0;
    if (sf_any(shown, count)) {
        sf_nearest_to(room, shown, r->h, r->w, distance, nearest);
        sampled(room, r, r->sways, sway);
        /* In what sways, and a little around it, the plate holds that and not the layer. */
        sf_dilate_u8(room, sway, r->h, r->w, SF_AROUND_SWAY, 1, sway);
        for (size_t i = 0; i < count; i++) {
            if (shown[i] || sway[i] || r->order[i] <= r->order[nearest[i]]) continue;
            const float pixels = distance[i] * unit;
            /* The outline itself is no source; further behind there is only colour. */
            const float ramp = sf_clamp((pixels - SF_EDGE_DOUBT) / SF_EDGE_DOUBT, 0, 1) *
                               sf_clamp(2 - 2 * pixels / SF_BEHIND_REACH, 0, 1);
            inside[i] = larger(inside[i], SF_BEHIND_CONFIDENCE * ramp);
        }
    }
    sf_room_rewind(room, mark);
}

void sf_confidence(sf_room *room, const sf_regions *r, const float *apart, const float *at_lips, float *inside) {
    const size_t count = (size_t)r->h * (size_t)r->w;
    const int any = sf_any(r->flows, (size_t)r->height * (size_t)r->width);
    if (any) ramp_of(room, r, inside);
    for (size_t i = 0; i < count; i++)
        inside[i] = any ? larger(inside[i] < apart[i] ? inside[i] : apart[i],
                                 SF_CONFIDENCE_FLOOR) : SF_CONFIDENCE_FLOOR;
    raise_behind(room, r, inside);
    for (size_t i = 0; i < count; i++) inside[i] = larger(inside[i] * at_lips[i], SF_CONFIDENCE_FLOOR);
}
