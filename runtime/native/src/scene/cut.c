/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regions cut along the photo's own colours at full size: each side has colours of its own near an edge, and every
 * pixel is asked which side's it has (stillflow.region; a local form of Bayes matting, Chuang et al. 2001).
 */
#include <math.h>
#include <string.h>

#include "scene/stages.h"

#define SF_SIDES_MOST 4

#define SF_WINDOW 0.04          /* region.WINDOW, picture widths */
#define SF_COLOUR_FLOOR 4.0f    /* levels of CIELAB */
#define SF_COLOUR_WEIGHT 0.4f
#define SF_MOST_EVIDENCE 4.0f
#define SF_PRIOR_FLOOR 0.1f
#define SF_SURE 0.7             /* mean log odds at which a small hole in what flows stays */
#define SF_LEAST_SHARE 2e-4     /* of the picture: smaller islands and holes are specks */
#define SF_KINDS_SIGMA 1.5      /* samples over which flow classes are blurred before they are cut */

static int half_of(int side) { return side > 3 ? side / 2 : 1; }

/* A Gaussian of a side's colours around each sample: region._colours. */
typedef struct sf_colours {
    float *mean, *precision; /* (h, w, 3) */
    float *level, *seen;     /* (h, w) */
} sf_colours;

static void colours_of(sf_room *room, const float *small, const float *share, int h, int w, const sf_colours *found) {
    const size_t count = (size_t)h * (size_t)w;
    const int radius = (int)rint(SF_WINDOW * w), side = 2 * (radius > 1 ? radius : 1) + 1;
    float *weight = sf_take(room, count, sizeof(float)), *total = found->seen;
    float *weighed = sf_take(room, 3 * count, sizeof(float)), *variance = found->precision, *mean = found->mean;
    /* Squared: a sample that is half something else is no model of this. */
    for (size_t i = 0; i < count; i++) weight[i] = share[i] * share[i];
    sf_blur_f32(room, weight, h, w, 1, side, SF_REFLECT_101, total);
    for (size_t i = 0; i < 3 * count; i++) weighed[i] = small[i] * weight[i / 3];
    sf_blur_f32(room, weighed, h, w, 3, side, SF_REFLECT_101, mean);
    for (size_t i = 0; i < 3 * count; i++) weighed[i] *= small[i];
    sf_blur_f32(room, weighed, h, w, 3, side, SF_REFLECT_101, variance);
    for (size_t i = 0; i < count; i++) {
        const float scale = 1 / (total[i] + 1e-4f);
        float level = 0;
        for (size_t k = 3 * i; k < 3 * i + 3; k++) {
            mean[k] *= scale;
            const float spread = variance[k] * scale - mean[k] * mean[k];
            const float floored = (spread > 0 ? spread : 0) + SF_COLOUR_FLOOR * SF_COLOUR_FLOOR;
            level += logf(floored);
            found->precision[k] = 1 / floored;
        }
        found->level[i] = -0.5f * level;
        found->seen[i] = total[i] * 50 < 1 ? total[i] * 50 : 1;
    }
}

/* Log of each side's share of each pixel, up to a constant: region._log_shares. evidence is (sides, ph, pw). */
static void log_shares(sf_room *room, int sides, const float *pixels, int ph, int pw, const float *small,
                       const float *seeds, const float *shares, int h, int w, float *evidence) {
    const sf_mark mark = sf_room_mark(room);
    const size_t count = (size_t)h * (size_t)w, many = (size_t)ph * (size_t)pw;
    const sf_colours found = {sf_take(room, 3 * count, sizeof(float)), sf_take(room, 3 * count, sizeof(float)),
                              sf_take(room, count, sizeof(float)), sf_take(room, count, sizeof(float))};
    float *mean = sf_take(room, 3 * many, sizeof(float)), *precision = sf_take(room, 3 * many, sizeof(float));
    float *prior = sf_take(room, count, sizeof(float));
    float *priors = sf_take(room, (uint64_t)sides * many, sizeof(float));
    for (int side = 0; side < sides; side++) {
        const float *share = shares + (size_t)side * count;
        float *own = evidence + (size_t)side * many;
        const sf_mark inner = sf_room_mark(room);
        colours_of(room, small, seeds + (size_t)side * count, h, w, &found);
        sf_room_rewind(room, inner);
        sf_resize_linear_f32(room, found.mean, h, w, 3, mean, ph, pw);
        sf_resize_linear_f32(room, found.precision, h, w, 3, precision, ph, pw);
        sf_resize_linear_f32(room, found.level, h, w, 1, own, ph, pw);
        for (size_t i = 0; i < many; i++) {
            float distance = 0;
            for (size_t k = 3 * i; k < 3 * i + 3; k++) {
                const float away = pixels[k] - mean[k];
                distance += 0.5f * (away * away * precision[k]);
            }
            own[i] -= distance;
        }
        for (size_t i = 0; i < count; i++) prior[i] = share[i] + SF_PRIOR_FLOOR * found.seen[i] + 1e-6f;
        sf_resize_linear_f32(room, prior, h, w, 1, priors + (size_t)side * many, ph, pw);
    }
    for (size_t i = 0; i < many; i++) {
        float most = evidence[i];
        for (int side = 1; side < sides; side++)
            most = evidence[(size_t)side * many + i] > most ? evidence[(size_t)side * many + i] : most;
        for (int side = 0; side < sides; side++) {
            float *at = evidence + (size_t)side * many + i;
            const float less = (*at - most) * SF_COLOUR_WEIGHT;
            *at = (less > -SF_MOST_EVIDENCE ? less : -SF_MOST_EVIDENCE) + logf(priors[(size_t)side * many + i]);
        }
    }
    sf_room_rewind(room, mark);
}

/* Log shares to shares that sum to 1. */
static void normalise(float *first, int sides, size_t count) {
    for (size_t i = 0; i < count; i++) {
        float most = first[i], total = 0;
        for (int side = 1; side < sides; side++)
            most = first[(size_t)side * count + i] > most ? first[(size_t)side * count + i] : most;
        for (int side = 0; side < sides; side++) {
            float *at = first + (size_t)side * count + i;
            *at = expf(*at - most);
            total += *at;
        }
        for (int side = 0; side < sides; side++) first[(size_t)side * count + i] /= total;
    }
}

/* The photo in CIELAB at half size, and that at field size. */
static void lab_of(sf_room *room, const uint8_t *photo, int height, int width, float *pixels, int ph, int pw,
                   float *small, int h, int w) {
    const sf_mark mark = sf_room_mark(room);
    const size_t many = (size_t)ph * (size_t)pw;
    uint8_t *half = sf_take(room, 3 * many, 1), *lab = sf_take(room, 3 * many, 1);
    sf_resize_area_u8(room, photo, height, width, 3, half, ph, pw);
    sf_lab_u8(room, half, many, lab);
    for (size_t i = 0; i < 3 * many; i++) pixels[i] = lab[i];
    sf_room_rewind(room, mark);
    sf_resize_area_f32(room, pixels, ph, pw, 3, small, h, w);
}

void sf_margins(sf_room *room, int sides, const float *shares, int h, int w, const uint8_t *photo, int height,
                int width, float *leads) {
    const sf_mark mark = sf_room_mark(room);
    /* At half size: a quarter of the time, and what is a pixel wide is half mixed with its surroundings anyway. */
    const int ph = half_of(height), pw = half_of(width);
    const size_t count = (size_t)h * (size_t)w, many = (size_t)ph * (size_t)pw;
    float *pixels = sf_take(room, 3 * many, sizeof(float)), *small = sf_take(room, 3 * count, sizeof(float));
    float *first = sf_take(room, (uint64_t)sides * count, sizeof(float));
    lab_of(room, photo, height, width, pixels, ph, pw, small, h, w);
    /* Once on the samples, so that a mast that the map gives to the sky does not count as the sky's colour. */
    log_shares(room, sides, small, h, w, small, shares, shares, h, w, first);
    normalise(first, sides, count);
    log_shares(room, sides, pixels, ph, pw, small, first, shares, h, w, leads);
    for (size_t i = 0; i < many; i++) {
        float own[SF_SIDES_MOST];
        for (int side = 0; side < sides; side++) own[side] = leads[(size_t)side * many + i];
        for (int side = 0; side < sides; side++) {
            float best = -INFINITY;
            for (int k = 0; k < sides; k++)
                if (k != side && own[k] > best) best = own[k];
            leads[(size_t)side * many + i] = own[side] - best;
        }
    }
    sf_room_rewind(room, mark);
}

/* Turn islands (value 1) or holes (value 0) that are too small; holes that are sure to be holes stay. */
static void turn_specks(sf_room *room, const float *lead, uint8_t *inside, int h, int w, uint8_t value, int32_t least,
                        double sure) {
    const sf_mark mark = sf_room_mark(room);
    const size_t count = (size_t)h * (size_t)w;
    uint8_t *own = sf_take(room, count, 1);
    int32_t *labels = sf_take(room, count, sizeof(int32_t));
    sf_part *parts;
    for (size_t i = 0; i < count; i++) own[i] = inside[i] == value;
    const int32_t found = sf_components(room, own, h, w, value ? 4 : 8, labels, &parts);
    uint8_t *small = sf_take_zeroed(room, (uint64_t)found, 1);
    double *sum = sf_take_zeroed(room, (uint64_t)found, sizeof(double));
    for (size_t i = 0; i < count; i++) sum[labels[i]] += (double)lead[i];
    for (int32_t k = 1; k < found; k++)
        small[k] = parts[k].area < least && (value || sum[k] / parts[k].area > -sure);
    for (size_t i = 0; i < count; i++)
        if (small[labels[i]]) inside[i] = !value;
    sf_room_rewind(room, mark);
}

/* Where a side leads, without its specks, at full size, 0 or 255: region._without_specks. lead is changed. */
static void side_of(sf_room *room, float *lead, int h, int w, double sure, int height, int width, uint8_t *out) {
    const sf_mark mark = sf_room_mark(room);
    const size_t count = (size_t)h * (size_t)w, whole = (size_t)height * (size_t)width;
    const double share = (double)count * SF_LEAST_SHARE;
    const int32_t least = share > 4 ? (int32_t)share : 4;
    uint8_t *inside = sf_take(room, count, 1);
    for (size_t i = 0; i < count; i++) inside[i] = lead[i] > 0;
    turn_specks(room, lead, inside, h, w, 1, least, sure);
    turn_specks(room, lead, inside, h, w, 0, least, sure);
    for (size_t i = 0; i < count; i++)
        if (inside[i] != (lead[i] > 0)) lead[i] = (float)inside[i] - 0.5f;
    float *stretched = sf_take(room, whole, sizeof(float));
    sf_resize_linear_f32(room, lead, h, w, 1, stretched, height, width);
    for (size_t i = 0; i < whole; i++) out[i] = stretched[i] > 0 ? 255 : 0;
    sf_room_rewind(room, mark);
}

void sf_flow_region(sf_room *room, const sf_motion *motion, const uint8_t *photo, uint8_t *flows, uint8_t *sways) {
    const sf_mark mark = sf_room_mark(room);
    const int height = motion->height, width = motion->width;
    const int ph = half_of(height), pw = half_of(width);
    const size_t count = (size_t)motion->h * (size_t)motion->w, many = (size_t)ph * (size_t)pw;
    float *leads = sf_take(room, 3 * many, sizeof(float)), *shares = sf_take(room, 3 * count, sizeof(float));
    for (size_t i = 0; i < count; i++) {
        const float flow = sf_is_flow(motion->classes[i]) ? motion->matte[i] : 0;
        const float sway = sf_is_sway(motion->classes[i]) ? motion->matte[i] : 0;
        shares[i] = sf_clamp(1 - flow - sway, 0, 1);
        shares[count + i] = flow;
        shares[2 * count + i] = sway;
    }
    sf_margins(room, 3, shares, motion->h, motion->w, photo, height, width, leads);
    side_of(room, leads + many, ph, pw, SF_SURE, height, width, flows);
    side_of(room, leads + 2 * many, ph, pw, INFINITY, height, width, sways);
    for (size_t i = 0; i < (size_t)height * (size_t)width; i++)
        if (flows[i]) sways[i] = 0;
    sf_room_rewind(room, mark);
}

/* kinds: each sample's own class, or that of the nearest sample that flows. */
static void nearest_kinds(sf_room *room, const sf_motion *motion, uint8_t *kinds) {
    const sf_mark mark = sf_room_mark(room);
    const size_t count = (size_t)motion->h * (size_t)motion->w;
    int32_t *labels = sf_take(room, count, sizeof(int32_t));
    for (size_t i = 0; i < count; i++) labels[i] = sf_is_flow(motion->classes[i]) ? motion->classes[i] : 0;
    sf_nearest_owner(room, labels, motion->h, motion->w, labels);
    for (size_t i = 0; i < count; i++) kinds[i] = (uint8_t)labels[i];
    sf_room_rewind(room, mark);
}

void sf_flow_kinds(sf_room *room, const sf_motion *motion, const uint8_t *photo, uint8_t *kinds) {
    const sf_mark mark = sf_room_mark(room);
    const int h = motion->h, w = motion->w, height = motion->height, width = motion->width;
    const int ph = half_of(height), pw = half_of(width);
    const size_t count = (size_t)h * (size_t)w, many = (size_t)ph * (size_t)pw;
    nearest_kinds(room, motion, kinds);
    float *flow = sf_take(room, count, sizeof(float));
    uint8_t seen[SF_CLASSES] = {0}, present[SF_SIDES_MOST];
    for (size_t i = 0; i < count; i++) {
        flow[i] = sf_is_flow(motion->classes[i]) ? motion->matte[i] : 0;
        if (flow[i] > 0.5f) seen[kinds[i]] = 1;
    }
    int sides = 0;
    for (uint8_t kind = SF_WATER; kind <= SF_FIRE; kind++)
        if (seen[kind]) present[sides++] = kind;
    if (sides >= 2) {
        float *own = sf_take(room, count, sizeof(float)), *shares = sf_take(room, (uint64_t)sides * count,
                                                                            sizeof(float));
        float *leads = sf_take(room, (uint64_t)sides * many, sizeof(float));
        for (int k = 0; k < sides; k++) {
            for (size_t i = 0; i < count; i++) own[i] = kinds[i] == present[k] ? flow[i] : 0;
            sf_gaussian_f32(room, own, h, w, 1, SF_KINDS_SIGMA, shares + (size_t)k * count);
        }
        sf_margins(room, sides, shares, h, w, photo, height, width, leads);
        /* The shares have been used: the leads at field size take their place. */
        for (int k = 0; k < sides; k++)
            sf_resize_area_f32(room, leads + (size_t)k * many, ph, pw, 1, shares + (size_t)k * count, h, w);
        for (size_t i = 0; i < count; i++) {
            int best = 0;
            for (int k = 1; k < sides; k++)
                if (shares[(size_t)k * count + i] > shares[(size_t)best * count + i]) best = k;
            if (flow[i] > 0.5f) kinds[i] = present[best];
        }
    }
    sf_room_rewind(room, mark);
}

void sf_inner_ramp(sf_room *room, const uint8_t *region, int height, int width, double ramp, uint8_t *matte) {
    const sf_mark mark = sf_room_mark(room);
    /* The picture's border is no edge: what is there goes on for the ramp's whole length. */
    const int more = (int)ramp + 2, tall = height + 2 * more, wide = width + 2 * more;
    const float length = ramp > 1 ? (float)ramp : 1;
    uint8_t *padded = sf_take(room, (uint64_t)tall * (uint64_t)wide, 1);
    float *distance = sf_take(room, (uint64_t)tall * (uint64_t)wide, sizeof(float));
    for (int i = 0; i < tall; i++) {
        const int y = i < more ? 0 : i - more < height ? i - more : height - 1;
        const uint8_t *from = region + (size_t)y * (size_t)width;
        uint8_t *row = padded + (size_t)i * (size_t)wide;
        memset(row, from[0], (size_t)more);
        memcpy(row + more, from, (size_t)width);
        memset(row + more + width, from[width - 1], (size_t)more);
    }
    sf_distance(room, padded, tall, wide, distance);
    for (int y = 0; y < height; y++) {
        const float *from = distance + (size_t)(y + more) * (size_t)wide + more;
        uint8_t *row = matte + (size_t)y * (size_t)width;
        for (int i = 0; i < width; i++) {
            const float x = sf_clamp((from[i] - 1) / length, 0, 1);
            row[i] = (uint8_t)sf_rint(255 * x * x * (3 - 2 * x));
        }
    }
    sf_room_rewind(room, mark);
}
