/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plate: moving layers continued beyond their edges, their own texture mirrored on colours that push-pull made.
 * The mirrored texture keeps the grain of water or cloud; its local mean gives way to the fill's as the distance grows.
 */
#include <string.h>

#include "scene/stages.h"

#define SF_BLUR_SIGMA 8.0 /* pixels over which a region's own colours are averaged */

/* Gaussian mean of a region's own pixels, (height, width, 3), found at a quarter of the size: layer._masked_blur. */
static void masked_blur(sf_room *room, const uint8_t *photo, const uint8_t *own, int height, int width, float *out) {
    const sf_mark mark = sf_room_mark(room);
    const int h = height / 4 > 1 ? height / 4 : 1, w = width / 4 > 1 ? width / 4 : 1;
    const size_t count = (size_t)h * (size_t)w, whole = (size_t)height * (size_t)width;
    float *weight = sf_take(room, count, sizeof(float)), *norm = sf_take(room, count, sizeof(float));
    float *small = sf_take(room, 3 * count, sizeof(float)), *total = sf_take(room, 3 * count, sizeof(float));
    /* The region as floats lies where the result comes to lie. */
    for (size_t i = 0; i < whole; i++) out[i] = own[i] != 0;
    sf_resize_area_f32(room, out, height, width, 1, weight, h, w);
    {
        /* A mean over the whole photo would mix in the background: weigh before shrinking. */
        const sf_mark inner = sf_room_mark(room);
        uint8_t *inside = sf_take_zeroed(room, 3 * whole, 1), *bytes = sf_take(room, 3 * count, 1);
        for (size_t i = 0; i < whole; i++)
            if (own[i]) memcpy(inside + 3 * i, photo + 3 * i, 3);
        sf_resize_area_u8(room, inside, height, width, 3, bytes, h, w);
        for (size_t k = 0; k < 3 * count; k++) small[k] = bytes[k];
        sf_room_rewind(room, inner);
    }
    sf_gaussian_f32(room, small, h, w, 3, SF_BLUR_SIGMA / 4, total);
    sf_gaussian_f32(room, weight, h, w, 1, SF_BLUR_SIGMA / 4, norm);
    for (size_t k = 0; k < 3 * count; k++) total[k] /= norm[k / 3] > 1e-3f ? norm[k / 3] : 1e-3f;
    sf_resize_linear_f32(room, total, h, w, 3, out, height, width);
    sf_room_rewind(room, mark);
}

/* For each pixel that is to be continued: where its texture comes from, how far away the region is and how deep. */
typedef struct sf_mirrored {
    int32_t *source; /* of another pixel in the picture; -1 where none is near enough */
    float *away;     /* pixels */
    float *deep;     /* 0..1: 1 at a straight edge, less where the region is narrower than the distance to mirror over */
} sf_mirrored;

/* layer.mirror_sources for the pixels of where. */
static void mirror(sf_room *room, const uint8_t *own, const uint8_t *where, int height, int width, float reach,
                   sf_mirrored *found) {
    const size_t whole = (size_t)height * (size_t)width;
    sf_nearest_to(room, own, height, width, found->away, found->source);
    sf_depth(room, own, height, width, found->deep);
    const sf_mark mark = sf_room_mark(room);
    float *deep = sf_take(room, whole, sizeof(float));
    for (size_t i = 0; i < whole; i++) {
        const int32_t edge = found->source[i];
        found->source[i] = -1;
        if (!where[i] || !(found->away[i] < reach)) continue;
        const int32_t y = (int32_t)(i / (size_t)width), x = (int32_t)(i % (size_t)width);
        int32_t my = 2 * (edge / width) - y, mx = 2 * (edge % width) - x;
        my = my < 0 ? 0 : my < height ? my : height - 1;
        mx = mx < 0 ? 0 : mx < width ? mx : width - 1;
        /* A thin region is narrower than the distance to mirror over: then the edge pixel itself stands in. */
        const int32_t source = own[(size_t)my * (size_t)width + (size_t)mx] ? my * width + mx : edge;
        const float away = found->away[i] > 1 ? found->away[i] : 1;
        found->source[i] = source;
        deep[i] = sf_clamp(found->deep[source] / away, 0, 1);
    }
    for (size_t i = 0; i < whole; i++)
        if (found->source[i] >= 0) found->deep[i] = deep[i];
    sf_room_rewind(room, mark);
}

/* Continue one layer over the pixels of where. */
static void continue_one(sf_room *room, const uint8_t *photo, const uint8_t *own, const uint8_t *where,
                         const float *smooth, int height, int width, float reach, uint8_t *plate) {
    const sf_mark mark = sf_room_mark(room);
    const size_t whole = (size_t)height * (size_t)width;
    sf_mirrored found = {sf_take(room, whole, sizeof(int32_t)), sf_take(room, whole, sizeof(float)),
                         sf_take(room, whole, sizeof(float))};
    mirror(room, own, where, height, width, reach, &found);
    float *blur = sf_take(room, 3 * whole, sizeof(float));
    masked_blur(room, photo, own, height, width, blur);
    for (size_t i = 0; i < whole; i++) {
        if (!where[i]) continue;
        if (found.source[i] < 0) {
            for (size_t k = 3 * i; k < 3 * i + 3; k++) plate[k] = sf_to_byte(smooth[k]);
            continue;
        }
        /* What is mirrored over the whole of a thin region would repeat it as a rim of its own. */
        const float far = found.away[i] / reach, thin = 2 - 2 * found.deep[i];
        const float share = sf_clamp(far > thin ? far : thin, 0, 1);
        const size_t source = 3 * (size_t)found.source[i];
        for (size_t c = 0; c < 3; c++) {
            const float texture = ((float)photo[source + c] - blur[source + c]) * (1 - share * share);
            const float target = blur[source + c] * (1 - share) + smooth[3 * i + c] * share;
            plate[3 * i + c] = sf_to_byte(target + texture);
        }
    }
    sf_room_rewind(room, mark);
}

void sf_continue_plate(sf_room *room, const uint8_t *photo, const uint8_t *region, int height, int width,
                       const uint8_t *owner, const float *fill, int h, int w, double reach, uint8_t *plate) {
    const sf_mark mark = sf_room_mark(room);
    const size_t whole = (size_t)height * (size_t)width;
    uint8_t *everywhere = sf_take(room, whole, 1), *own = sf_take(room, whole, 1), *where = sf_take(room, whole, 1);
    float *smooth = sf_take(room, 3 * whole, sizeof(float));
    uint8_t present[256] = {0};
    for (size_t i = 0; i < (size_t)h * (size_t)w; i++) present[owner[i]] = 1;
    memcpy(plate, photo, 3 * whole);
    sf_resize_linear_f32(room, fill, h, w, 3, smooth, height, width);
    sf_resize_nearest(owner, h, w, 1, everywhere, height, width);
    for (int label = 1; label < 256; label++) {
        if (!present[label]) continue;
        for (size_t i = 0; i < whole; i++) {
            own[i] = region[i] == label;
            where[i] = everywhere[i] == label && !region[i];
        }
        if (sf_any(where, whole) && sf_any(own, whole))
            continue_one(room, photo, own, where, smooth, height, width, (float)(reach > 1 ? reach : 1), plate);
    }
    sf_room_rewind(room, mark);
}
