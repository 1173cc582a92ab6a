/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/scale.h"

#include <string.h>

#define SF_SHARES 32768 /* a whole one: the kernels' 15 bits */
#define SF_LINE_ONE 128 /* of a line's numbers: a byte's 1 */
#define SF_ROW_PAD 4    /* int16: a pixel behind the last one, of share 0, and what a load reads too much */

static size_t band_stride(const sf_scene *scene) { return sf_rounded_up(3 * (size_t)scene->width); }

size_t sf_band_bytes(const sf_scene *scene) { return SF_BAND_ROWS * band_stride(scene); }

void sf_band_begin(sf_band *band, const sf_scene *scene, const float *planes, int32_t y0, int32_t y1, void *memory) {
    *band = (sf_band){scene, planes, memory, (ptrdiff_t)band_stride(scene), y0, y0, y1};
}

const uint8_t *sf_band_rows(sf_band *band, int32_t y, int32_t count) {
    if (y + count > band->bottom) {
        band->top = y;
        band->bottom = band->end - y < SF_BAND_ROWS ? band->end : y + SF_BAND_ROWS;
        band->scene->kernels->compose(band->scene, band->planes, band->top, band->bottom, band->memory, band->stride);
    }
    return band->memory + (ptrdiff_t)(y - band->top) * band->stride;
}

/*
 * Where output i of `to` lies among `from` pixels: left of what and by which share of 2^15 from there to the next.
 * Centres: (i + 1/2) from / to - 1/2.
 */
static void between(int32_t i, int32_t from, int32_t to, int32_t *left, int32_t *share) {
    const int64_t twice = (int64_t)(2 * (int64_t)i + 1) * from - to; /* 2 to times the place */
    *left = 0;
    *share = 0;
    if (twice <= 0 || from == 1) return;
    const int64_t whole = twice / (2 * (int64_t)to);
    *left = (int32_t)whole;
    *share = (int32_t)((twice - whole * 2 * to) * SF_SHARES / (2 * (int64_t)to));
    if (whole >= from - 1) {
        *left = from - 1;
        *share = 0;
    }
}

/*
 * What output i of `to` covers of `from` > `to` pixels: `begin` parts of pixel first, all of the `to` parts of each pixel
 * behind it, and `end` parts, maybe none, of pixel last. A pixel has `to` parts, an output `from` of them.
 */
typedef struct sf_cover {
    int32_t first, begin, last, end;
} sf_cover;

static sf_cover cover_of(int32_t i, int32_t from, int32_t to) {
    const int64_t begin = (int64_t)i * from, end = begin + from;
    return (sf_cover){(int32_t)(begin / to), (int32_t)(to - begin % to), (int32_t)(end / to), (int32_t)(end % to)};
}

/* Rows of the scene that rows y0..y1-1 of the target are made of. */
static void source_rows(const sf_scaler *s, int32_t height, int32_t y0, int32_t y1, int32_t *first, int32_t *last) {
    int32_t unused;
    if (s->height >= height) {
        between(y0, height, s->height, first, &unused);
        between(y1 - 1, height, s->height, last, &unused);
        *last += *last < height - 1 ? 2 : 1;
    } else {
        const sf_cover end = cover_of(y1 - 1, height, s->height);
        *first = cover_of(y0, height, s->height).first;
        *last = end.last + (end.end > 0);
    }
}

static size_t layout(sf_scaler *s, const sf_scene *scene, int32_t width, int32_t height, unsigned char *memory) {
    const size_t count = 3 * (size_t)scene->width;
    size_t used = sf_band_bytes(scene), sums = used;
    if (height < scene->height) used += sf_rounded_up(count * sizeof(float));
    const size_t line = used;
    used += sf_rounded_up((count + 2 * SF_ROW_PAD) * sizeof(int16_t));
    const size_t at = used;
    if (width >= scene->width) used += sf_rounded_up((size_t)width * sizeof(int32_t));
    const size_t share = used;
    if (width >= scene->width) used += sf_rounded_up((size_t)width * sizeof(int16_t));
    if (memory) {
        s->sums = (float *)(void *)(memory + sums);
        s->line = (int16_t *)(void *)(memory + line);
        s->at = (int32_t *)(void *)(memory + at);
        s->share = (int16_t *)(void *)(memory + share);
    }
    return used;
}

size_t sf_scaler_bytes(const sf_scene *scene, int32_t width, int32_t height) {
    return layout(0, scene, width, height, 0);
}

void sf_scaler_begin(sf_scaler *s, const sf_scene *scene, const float *planes, int32_t width, int32_t height,
                     int32_t y0, int32_t y1, void *memory) {
    s->width = width;
    s->height = height;
    layout(s, scene, width, height, memory);
    int32_t first, last;
    source_rows(s, scene->height, y0, y1, &first, &last);
    sf_band_begin(&s->band, scene, planes, first, last, memory);
    memset(s->line + 3 * (size_t)scene->width, 0, 2 * SF_ROW_PAD * sizeof *s->line);
    for (int32_t x = 0; width >= scene->width && x < width; x++) {
        int32_t left, share;
        between(x, scene->width, width, &left, &share);
        s->at[x] = 3 * left;
        s->share[x] = (int16_t)share;
    }
}

/* The row of the scene's width, as a line. */
static void make_line(sf_scaler *s, int32_t y) {
    const sf_scene *scene = s->band.scene;
    const int32_t count = 3 * scene->width;
    if (s->height >= scene->height) {
        int32_t top, share;
        between(y, scene->height, s->height, &top, &share);
        const uint8_t *a = sf_band_rows(&s->band, top, share ? 2 : 1);
        scene->kernels->mix_rows(a, share ? a + s->band.stride : a, count, share, s->line);
        return;
    }
    /* Parts are whole numbers, and their sums with bytes below 2^24: exact. */
    const sf_cover cover = cover_of(y, scene->height, s->height);
    memset(s->sums, 0, (size_t)count * sizeof *s->sums);
    for (int32_t k = cover.first; k < cover.last + (cover.end > 0); k++) {
        const int32_t parts = k == cover.first ? cover.begin : k == cover.last ? cover.end : s->height;
        scene->kernels->add_row_part(sf_band_rows(&s->band, k, 1), count, (float)parts, s->sums);
    }
    scene->kernels->end_sums(s->sums, count, (float)SF_LINE_ONE / (float)scene->height, s->line);
}

static void shrink(const int16_t *line, int32_t from, int32_t to, uint8_t *out) {
    const int32_t whole = from / to, rest = from % to;
    const float factor = 1.0f / ((float)from * SF_LINE_ONE);
    sf_cover c = cover_of(0, from, to);
    for (int32_t x = 0; x < to; x++) {
        /* Sums stay below 2^31: parts are 65535 at most, and what a line holds is at most 255 * 128. */
        int32_t sum[3], middle[3] = {0, 0, 0};
        const int16_t *p = line + 3 * (size_t)c.first, *last = line + 3 * (size_t)c.last;
        for (int k = 0; k < 3; k++) sum[k] = p[k] * c.begin + last[k] * c.end;
        for (p += 3; p < last; p += 3)
            for (int k = 0; k < 3; k++) middle[k] += p[k];
        for (int k = 0; k < 3; k++)
            out[3 * (size_t)x + (size_t)k] = (uint8_t)((float)(sum[k] + middle[k] * to) * factor + 0.5f);
        c.first = c.last;
        c.begin = to - c.end;
        c.last += whole;
        c.end += rest;
        if (c.end >= to) c.end -= to, c.last++;
    }
}

void sf_scaler_row(sf_scaler *s, int32_t y, uint8_t *out) {
    const sf_scene *scene = s->band.scene;
    make_line(s, y);
    if (s->width >= scene->width) scene->kernels->stretch(s->line, s->at, s->share, s->width, out);
    else shrink(s->line, scene->width, s->width, out);
}
