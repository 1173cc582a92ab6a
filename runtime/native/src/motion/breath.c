/* SPDX-License-Identifier: Apache-2.0 */
#include "motion/breath.h"

#include <string.h>

#include "raster/raster.h"

#define SF_LIFT 0.0026       /* amplitude at the shoulders, in parts of the region's height */
#define SF_LIFT_MOST 0.0022  /* picture widths */
#define SF_WIDENING 0.6f     /* of the flanks, in parts of the lift */
#define SF_HEAD_FOLLOWS 0.45 /* likewise */
#define SF_SECOND 0.22       /* share of twice the frequency */
#define SF_WIDER 1.3         /* of shoulders, against anywhere above */
#define SF_LEAST_HEIGHT 0.06 /* picture widths: of smaller figures nobody sees the breath */
#define SF_LEAST_AREA 12     /* samples */

static double clipped(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

static int larger_of(int a, int b) { return a > b ? a : b; }

static int smaller_of(int a, int b) { return a < b ? a : b; }

static float smooth_step(float x) { return x * x * (3 - 2 * x); }

static int row_sum(const uint8_t *figure, int y, int w) {
    int sum = 0;
    for (int x = 0; x < w; x++) sum += figure[(size_t)y * (size_t)w + (size_t)x] != 0;
    return sum;
}

/* Largest, or with a sign of -1 smallest, of widths[from] to widths[to - 1]. */
static float extreme(const float *widths, int from, int to, float sign) {
    float most = sign * widths[from];
    for (int y = from + 1; y < to; y++)
        if (sign * widths[y] > most) most = sign * widths[y];
    return sign * most;
}

/* Row of the shoulders below the top: the first that is much wider than the head above it, and stays so; or -1. */
static int wide_row(const float *widths, int tall) {
    const float least = (float)(0.12 * extreme(widths, 0, tall, 1));
    for (int y = larger_of(2, tall / 8); y < (int)(tall * 0.8); y++) {
        double head = extreme(widths, larger_of(1, y / 4), larger_of(2, (int)(0.85 * y)), 1);
        /* A head is at least half as high as wide; a hat's brim is wide too, but below it comes a face. */
        double below = extreme(widths, y, smaller_of(tall, y + larger_of(2, tall / 6)), -1);
        int wider = widths[y] > (float)(SF_WIDER * head) && widths[y] - (float)head > least;
        if (wider && below > 0.9 * widths[y] && y > 0.5 * head) return y;
    }
    return -1;
}

sf_shoulders sf_find_shoulders(sf_room *room, const uint8_t *figure, int h, int w) {
    sf_shoulders found = {0, 0, 0, 0};
    const sf_mark mark = sf_room_mark(room);
    float *counts = sf_take(room, (uint64_t)h, sizeof *counts), *widths = sf_take(room, (uint64_t)h, sizeof *widths);
    int bottom = h - 1;
    while (found.top < bottom && !row_sum(figure, found.top, w)) found.top++;
    while (bottom > found.top && !row_sum(figure, bottom, w)) bottom--;
    const int tall = bottom - found.top + 1;
    for (int y = 0; y < tall; y++) counts[y] = (float)row_sum(figure, found.top + y, w);
    sf_gaussian_f32(room, counts, tall, 1, 1, fmax(1, tall / 40.0), widths);
    int row = wide_row(widths, tall);
    /* No neck is seen: shoulders lie about as far below the top as they are wide, less a fifth. */
    if (row < 0) row = (int)clipped(0.8 * extreme(widths, 0, tall, 1), 0.2 * tall, 0.6 * tall);
    found.line = found.top + row;
    const int end = smaller_of(h, found.line + larger_of(2, tall / 6));
    double area = 0, moment = 0;
    for (int y = found.line; y < end; y++)
        for (int x = 0; x < w; x++)
            if (figure[(size_t)y * (size_t)w + (size_t)x]) area++, moment += x;
    found.middle = moment / fmax(1, area);
    found.wide = area / (end - found.line);
    sf_room_rewind(room, mark);
    return found;
}

/* Direction and share of a person's movement at each sample, (h, w, 2), lengths up to 1. */
static void person(sf_room *room, const uint8_t *figure, int bottom, int h, int w, float *way) {
    const sf_shoulders s = sf_find_shoulders(room, figure, h, w);
    const sf_mark mark = sf_room_mark(room);
    float *sharp = sf_take(room, (uint64_t)h * (uint64_t)w * 2, sizeof *sharp), *out = sharp;
    /* A figure that the picture's border cuts goes on beyond it. */
    double chest_end = 1.3 * s.wide, trunk = fmax(2,
                                                  bottom == h - 1 ? chest_end : fmin(bottom - s.line + 1.0, chest_end));
    for (int y = 0; y < h; y++) {
        /* Shoulders and chest rise most; the head follows; below the ribs it dies away before the hips. */
        float down = (float)(y - s.line) / (float)trunk, in_ribs = (down - 0.35f) / 0.35f;
        float chest = smooth_step(sf_clamp((1 - down) / 0.8f, 0, 1)), up = sf_clamp(1 + down / 0.25f, 0, 1);
        float head = (float)SF_HEAD_FOLLOWS + (float)(1 - SF_HEAD_FOLLOWS) * up * up * (3 - 2 * up);
        float lift = down > 0 ? chest : head, ribs = expf(-(in_ribs * in_ribs));
        for (int x = 0; x < w; x++, out += 2) {
            float flank = ((float)x - (float)s.middle) / (float)fmax(1, s.wide / 2);
            out[0] = SF_WIDENING * (ribs * sf_clamp(flank, -1, 1));
            out[1] = -lift * (1 - 0.35f * sf_clamp(fabsf(flank), 0, 1));
        }
    }
    sf_gaussian_f32(room, sharp, h, w, 2, fmax(1, 0.06 * s.wide), way);
    sf_room_rewind(room, mark);
}

/* The same for an animal, of which only the bulk is known: its thickest part widens and rises. */
static void animal(sf_room *room, const uint8_t *figure, int h, int w, float *way) {
    const sf_mark mark = sf_room_mark(room);
    float *depth = sf_take(room, (uint64_t)h * (uint64_t)w, sizeof *depth);
    sf_depth(room, figure, h, w, depth);
    /* One that fills the picture has no outline, and no distance from it. */
    for (int i = 0; i < h * w; i++) depth[i] = fminf(depth[i], (float)(h + w));
    double bulk = 0, across = 0, down = 0, thick = 1;
    for (int y = 0, i = 0; y < h; y++)
        for (int x = 0; x < w; x++, i++) {
            double weight = (double)depth[i] * depth[i];
            bulk += weight, across += weight * x, down += weight * y;
            thick = fmax(thick, depth[i]);
        }
    const float cx = (float)(across / bulk), cy = (float)(down / bulk), wide = (float)thick;
    const float spread = (float)(2 * (1.6 * thick) * (1.6 * thick));
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++, way += 2) {
            float dx = (float)x - cx, dy = (float)y - cy, near = expf(-(dx * dx + dy * dy) / spread);
            float wx = dx / wide * SF_WIDENING, wy = dy / wide * SF_WIDENING - 0.6f;
            float length = sqrtf(wx * wx + wy * wy);
            if (length < 1) length = 1;
            way[0] = wx / length * near;
            way[1] = wy / length * near;
        }
    sf_room_rewind(room, mark);
}

void sf_breathe(sf_room *room, sf_draws *draws, const uint8_t *region, int h, int w, int upright, float *drawn) {
    const size_t count = (size_t)h * (size_t)w;
    const sf_mark mark = sf_room_mark(room);
    int32_t *labels = sf_take(room, count, sizeof *labels);
    uint8_t *mine = sf_take(room, count, 1);
    float *way = sf_take(room, count * 2, sizeof *way);
    sf_part *parts;
    memset(drawn, 0, 2 * count * 4 * sizeof *drawn);
    const int32_t figures = sf_components(room, region, h, w, 8, labels, &parts);
    for (int32_t i = 1; i < figures; i++) {
        double phase = sf_draw_between(draws, 0, SF_TAU);
        const int tall = parts[i].height, bottom = parts[i].top + tall - 1;
        if (tall < SF_LEAST_HEIGHT * w || parts[i].area < SF_LEAST_AREA) continue;
        for (size_t s = 0; s < count; s++) mine[s] = labels[s] == i;
        if (upright)
            person(room, mine, bottom, h, w, way);
        else
            animal(room, mine, h, w, way);
        const double amplitude = fmin(SF_LIFT * tall, SF_LIFT_MOST * w);
        for (int k = 0; k < 2; k++) {
            double share = amplitude * (k ? SF_SECOND : 1 - SF_SECOND), late = k ? 2 * phase + 0.9 : phase;
            double a = share * cos(late), b = share * sin(late);
            float *into = drawn + (size_t)k * count * 4;
            for (size_t s = 0; s < count; s++)
                if (mine[s])
                    for (size_t c = 0; c < 2; c++) {
                        into[4 * s + c] = (float)(a * way[2 * s + c]);
                        into[4 * s + 2 + c] = (float)(b * way[2 * s + c]);
                    }
        }
    }
    sf_room_rewind(room, mark);
}
