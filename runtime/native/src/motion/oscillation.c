/* SPDX-License-Identifier: Apache-2.0 */
#include "motion/oscillation.h"

#include <string.h>

#include "raster/raster.h"

#define SF_SWEEPS 3 /* passes of geodesic in all four directions; each lets a path turn once more */

#define SF_TIMES 12 /* of 4 seconds at which a steepness is measured */

static float smaller_of(float a, float b) { return b < a ? b : a; }

static float larger_of(float a, float b) { return b > a ? b : a; }

/* Distance of every sample from where a mask is 0. */
static void distance_from_outside(sf_room *room, const uint8_t *mask, int h, int w, float *distance) {
    const size_t count = (size_t)h * (size_t)w;
    if (memchr(mask, 0, count))
        sf_distance(room, mask, h, w, distance);
    else
        for (size_t i = 0; i < count; i++) distance[i] = SF_FAR;
}

void sf_distance_to(sf_room *room, const uint8_t *mask, int h, int w, float *distance) {
    const size_t count = (size_t)h * (size_t)w;
    const sf_mark mark = sf_room_mark(room);
    uint8_t *outside = sf_take(room, count, 1);
    for (size_t i = 0; i < count; i++) outside[i] = !mask[i];
    distance_from_outside(room, outside, h, w, distance);
    sf_room_rewind(room, mark);
}

void sf_behind(sf_room *room, const uint8_t *region, const uint8_t *classes, const uint8_t *order, int h, int w,
               uint8_t *over) {
    const size_t count = (size_t)h * (size_t)w;
    if (!sf_any(region, count)) {
        memset(over, 0, count);
        return;
    }
    const sf_mark mark = sf_room_mark(room);
    int32_t *rank = sf_take(room, count, sizeof *rank);
    for (size_t i = 0; i < count; i++) rank[i] = region[i] ? order[i] + 1 : 0;
    sf_nearest_owner(room, rank, h, w, rank);
    for (size_t i = 0; i < count; i++)
        over[i] = !region[i] && (order[i] < rank[i] - 1 || classes[i] == SF_CLOUD || classes[i] == SF_SKY);
    sf_room_rewind(room, mark);
}

void sf_reach_of(const uint8_t *classes, int h, int w, float *reach) {
    /* Picture widths: a clear sky shows nothing of what bends it; what streams is held, see stillflow.oscillation. */
    static const float widths[SF_CLASSES] = {0.012f, 0.015f, 0.015f, 0.015f, 0.012f, 0.012f, 0.012f, 0.012f, 0.012f,
                                             0.025f};
    const size_t count = (size_t)h * (size_t)w;
    for (size_t i = 0; i < count; i++)
        reach[i] = larger_of(widths[classes[i] < SF_CLASSES ? classes[i] : SF_CLASSES - 1] * (float)w, 2);
}

void sf_envelope(const sf_oscillation *sway, int h, int w, float *amplitude) {
    const size_t count = (size_t)h * (size_t)w;
    memset(amplitude, 0, count * sizeof *amplitude);
    for (int32_t k = 0; k < sway->count; k++) {
        const float *c = sway->coefficients + (size_t)k * count * 4;
        for (size_t i = 0; i < count; i++) {
            float a = sf_hypot(c[4 * i], c[4 * i + 1]), b = sf_hypot(c[4 * i + 2], c[4 * i + 3]);
            amplitude[i] += a + sf_hypot(a, b);
        }
    }
}

/* One step of cone: neighbours less a slope, or less the slope of a diagonal. Returns whether anything grew. */
static int grow(const float *values, int h, int w, float slope, float diagonal, float *columns, float *grown) {
    int any = 0;
    for (int y = 0; y < h; y++) {
        const float *row = values + (size_t)y * (size_t)w, *above = y ? row - w : row, *below = y < h - 1 ? row + w : row;
        float *out = grown + (size_t)y * (size_t)w;
        for (int x = 0; x < w; x++) columns[x + 1] = larger_of(larger_of(above[x], row[x]), below[x]);
        columns[0] = columns[1];
        columns[w + 1] = columns[w];
        for (int x = 0; x < w; x++) {
            float straight = larger_of(columns[x + 1], larger_of(row[x ? x - 1 : 0], row[x < w - 1 ? x + 1 : x]));
            float square = larger_of(columns[x + 1], larger_of(columns[x], columns[x + 2]));
            out[x] = larger_of(row[x], larger_of(straight - slope, square - diagonal));
            any |= out[x] > row[x];
        }
    }
    return any;
}

/* The least field that is nowhere below the values, which it replaces, and falls off by no more than a slope a sample. */
static void cone(sf_room *room, float *values, int h, int w, float slope) {
    const size_t count = (size_t)h * (size_t)w;
    const sf_mark mark = sf_room_mark(room);
    float *other = sf_take(room, count, sizeof *other), *columns = sf_take(room, (uint64_t)w + 2, sizeof *columns);
    const float diagonal = (float)(slope * sqrt(2));
    /* What grew is at least a slope lower at each step, so this ends; a cone is no longer than the field. */
    for (int step = 0; step < (h > w ? h : w) && grow(values, h, w, slope, diagonal, columns, other); step++)
        memcpy(values, other, count * sizeof *values);
    sf_room_rewind(room, mark);
}

void sf_held(sf_room *room, const float *amplitude, const uint8_t *region, const uint8_t *over, int h, int w,
             float slope, const float *reach, float *allowed) {
    const size_t count = (size_t)h * (size_t)w;
    const sf_mark mark = sf_room_mark(room);
    float *distance = sf_take(room, count, sizeof *distance);
    uint8_t *may = sf_take(room, count, 1);
    for (size_t i = 0; i < count; i++) allowed[i] = region[i] ? amplitude[i] : 0;
    cone(room, allowed, h, w, slope);
    sf_distance_to(room, region, h, w, distance);
    for (size_t i = 0; i < count; i++) may[i] = region[i] || (over[i] && distance[i] <= reach[i]);
    distance_from_outside(room, may, h, w, distance);
    for (size_t i = 0; i < count; i++) allowed[i] = smaller_of(allowed[i], slope * larger_of(distance[i] - 0.5f, 0));
    sf_room_rewind(room, mark);
}

/* Displacements of a row at one time: a (cos - 1) + b sin of every frequency. */
static void displace(const sf_oscillation *sway, size_t row, size_t count, int w, const float *swing, float *d) {
    memset(d, 0, 2 * (size_t)w * sizeof *d);
    for (int32_t k = 0; k < sway->count; k++) {
        const float *c = sway->coefficients + ((size_t)k * count + row) * 4, a = swing[2 * k], b = swing[2 * k + 1];
        for (int x = 0; x < w; x++) {
            d[2 * x] += a * c[4 * x] + b * c[4 * x + 2];
            d[2 * x + 1] += a * c[4 * x + 1] + b * c[4 * x + 3];
        }
    }
}

static float largest_change(const float *a, const float *b, int samples) {
    float most = 0;
    for (int x = 0; x < samples; x++) {
        float dx = a[2 * x] - b[2 * x], dy = a[2 * x + 1] - b[2 * x + 1];
        most = larger_of(most, dx * dx + dy * dy);
    }
    return most;
}

double sf_steepness(sf_room *room, const sf_oscillation *sway, int h, int w) {
    const size_t count = (size_t)h * (size_t)w;
    const sf_mark mark = sf_room_mark(room);
    /* Rows of all times, of this row and the one before: coefficients are read once. */
    float *rows = sf_take(room, (uint64_t)SF_TIMES * 4 * (uint64_t)w, sizeof *rows);
    float swing[SF_TIMES][2 * SF_OSCILLATIONS], worst = 0;
    for (int t = 0; t < SF_TIMES; t++)
        for (int32_t k = 0; k < sway->count; k++) {
            double theta = (float)SF_TAU * sway->hz[k] * (t * (4.0 / SF_TIMES) + 0.17);
            swing[t][2 * k] = (float)(cos(theta) - 1);
            swing[t][2 * k + 1] = (float)sin(theta);
        }
    for (int y = 0; y < h; y++)
        for (int t = 0; t < SF_TIMES; t++) {
            float *of_time = rows + (size_t)t * 4 * (size_t)w;
            float *now = of_time + (y & 1) * 2 * w, *before = of_time + (~y & 1) * 2 * w;
            displace(sway, (size_t)y * (size_t)w, count, w, swing[t], now);
            worst = larger_of(worst, largest_change(now, now + 2, w - 1));
            if (y) worst = larger_of(worst, largest_change(now, before, w));
        }
    sf_room_rewind(room, mark);
    return sqrt((double)worst);
}

void sf_in_loop(sf_room *room, const sf_oscillation *given, int h, int w, double seconds, int32_t frames,
                sf_oscillation *fitted, int32_t **periods) {
    const size_t size = (size_t)h * (size_t)w * (size_t)given->channels;
    const int32_t most = frames / 3 > 1 ? frames / 3 : 1;
    int32_t wanted[SF_OSCILLATIONS], *kept = sf_take(room, SF_OSCILLATIONS, sizeof *kept);
    memset(fitted, 0, sizeof *fitted);
    fitted->channels = given->channels;
    for (int32_t k = 0; k < given->count; k++) {
        float whole = floorf(given->hz[k] * (float)seconds + 0.5f);
        wanted[k] = whole < 1 ? 1 : whole > (float)most ? most : (int32_t)whole;
        int32_t at = 0;
        while (at < fitted->count && kept[at] < wanted[k]) at++;
        if (at < fitted->count && kept[at] == wanted[k]) continue;
        memmove(kept + at + 1, kept + at, (size_t)(fitted->count - at) * sizeof *kept);
        kept[at] = wanted[k];
        fitted->count++;
    }
    *periods = kept;
    if (!fitted->count) return;
    fitted->coefficients = sf_take_zeroed(room, (uint64_t)fitted->count * size, sizeof(float));
    for (int32_t at = 0; at < fitted->count; at++) {
        float *total = fitted->coefficients + (size_t)at * size;
        fitted->hz[at] = (float)(kept[at] / seconds);
        for (int32_t k = 0; k < given->count; k++)
            if (wanted[k] == kept[at])
                for (size_t i = 0; i < size; i++) total[i] += given->coefficients[(size_t)k * size + i];
    }
}

void sf_smooth_noise(sf_room *room, sf_draws *draws, int h, int w, double length, float *noise) {
    const sf_mark mark = sf_room_mark(room);
    const int columns = (int)fmax(2, rint(w / length) + 2), rows = (int)fmax(2, rint(h / length) + 2);
    float *coarse = sf_take(room, (uint64_t)rows * (uint64_t)columns, sizeof *coarse);
    for (size_t i = 0; i < (size_t)rows * (size_t)columns; i++) coarse[i] = (float)sf_draw_normal(draws);
    sf_resize_cubic_f32(room, coarse, rows, columns, 1, noise, h, w);
    sf_room_rewind(room, mark);
}

/* Ways into a row from the row before, then along the row in both directions. */
static void reach_row(float *row, const float *before, const float *cost, const float *along, int w) {
    const float diagonal = (float)sqrt(2);
    if (before) {
        for (int x = 0; x < w; x++) row[x] = smaller_of(row[x], before[x] + cost[x]);
        for (int x = 1; x < w; x++) row[x] = smaller_of(row[x], before[x - 1] + cost[x] * diagonal);
        for (int x = 0; x < w - 1; x++) row[x] = smaller_of(row[x], before[x + 1] + cost[x] * diagonal);
    }
    /* The least of what comes from the left, as a height above the cost so far; then from the right. */
    float least = row[0] - along[0];
    for (int x = 0; x < w; x++) {
        least = smaller_of(least, row[x] - along[x]);
        row[x] = smaller_of(row[x], least + along[x]);
    }
    for (int x = w - 1; x >= 0; x--) {
        float back = along[w - 1] - along[x] + cost[x];
        least = x == w - 1 ? row[x] - back : smaller_of(least, row[x] - back);
        row[x] = smaller_of(row[x], least + back);
    }
}

void sf_geodesic(sf_room *room, const float *start, const uint8_t *inside, float outside_cost, int h, int w,
                 float *distance) {
    const size_t count = (size_t)h * (size_t)w, wide = (size_t)w;
    const sf_mark mark = sf_room_mark(room);
    float *cost = sf_take(room, count, sizeof *cost), *along = sf_take(room, count, sizeof *along);
    for (size_t i = 0; i < count; i++) {
        cost[i] = inside[i] ? 1 : outside_cost;
        along[i] = i % wide ? along[i - 1] + cost[i] : cost[i];
    }
    memcpy(distance, start, count * sizeof *distance);
    for (int sweep = 0; sweep < SF_SWEEPS; sweep++) {
        for (size_t at = 0; at < count; at += wide)
            reach_row(distance + at, at ? distance + at - wide : 0, cost + at, along + at, w);
        for (size_t at = count; at; at -= wide)
            reach_row(distance + at - wide, at < count ? distance + at : 0, cost + at - wide, along + at - wide, w);
    }
    sf_room_rewind(room, mark);
}

void sf_spread(sf_room *room, const float *values, const uint8_t *region, int count, int h, int w, int channels,
               double sigma, float *spread) {
    const size_t samples = (size_t)h * (size_t)w, deep = (size_t)channels;
    const sf_mark mark = sf_room_mark(room);
    float *inside = sf_take(room, samples * deep, sizeof *inside), *mean = sf_take(room, samples * deep, sizeof *mean);
    float *weight = sf_take(room, samples, sizeof *weight);
    for (size_t i = 0; i < samples; i++) inside[i] = region[i] ? 1 : 0;
    sf_gaussian_f32(room, inside, h, w, 1, sigma, weight);
    for (int k = 0; k < count; k++, values += samples * deep, spread += samples * deep) {
        for (size_t i = 0; i < samples; i++)
            for (size_t c = i * deep; c < (i + 1) * deep; c++) inside[c] = region[i] ? values[c] : 0;
        sf_gaussian_f32(room, inside, h, w, channels, sigma, mean);
        for (size_t i = 0; i < samples; i++)
            for (size_t c = i * deep; c < (i + 1) * deep; c++)
                spread[c] = region[i] ? values[c] : mean[c] / larger_of(weight[i], 1e-4f);
    }
    sf_room_rewind(room, mark);
}
