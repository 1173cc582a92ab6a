/* SPDX-License-Identifier: Apache-2.0 */
/* A scene's arrays, laid out as the kernels read them: every page of the scene's memory is written once. */
#include <string.h>

#include "scene.h"

/* Borders are repeated, so that no tap is ever clamped. */
void sf_pack_row(sf_scene *s, int32_t y, const uint8_t *row) {
    const size_t stride = (size_t)s->plate_stride;
    uint8_t *to = s->plate + (size_t)(y + SF_PLATE_BEFORE) * stride;
    const int32_t before = SF_PLATE_BEFORE, end = before + s->width;
    s->kernels->to_plate(row, s->width, to + 4 * before);
    for (int32_t x = 0; x < before; x++) memcpy(to + 4 * x, to + 4 * before, 4);
    for (int32_t x = end; x < s->plate_stride / 4; x++) memcpy(to + 4 * x, to + 4 * (end - 1), 4);
    for (size_t k = 1; y == 0 && k <= SF_PLATE_BEFORE; k++) memcpy(to - k * stride, to, stride);
    for (size_t k = 1; y == s->height - 1 && k <= SF_PLATE_AFTER; k++) memcpy(to + k * stride, to, stride);
}

/* Whether a layer flows beside the first one. */
static int many_layers(const uint8_t *flow, size_t cells) {
    size_t at = 0;
    while (at < cells && !flow[at]) at++;
    if (at == cells) return 0;
    uint8_t other = 0, first = flow[at];
    for (; at < cells; at++) other |= (uint8_t)((flow[at] != 0) & (flow[at] != first));
    return other;
}

/* Rows of cells, and the column and row of padding behind them. */
void sf_pack_fields(sf_scene *s, const sf_scene_arrays *a) {
    const size_t w = (size_t)s->w, stride = (size_t)s->cell_stride, end = stride * (size_t)s->h;
    s->many_layers = many_layers(a->flow, w * (size_t)s->h);
    for (size_t y = 0; y < (size_t)s->h; y++) {
        const size_t from = y * w, to = y * stride;
        memcpy(s->velocity + 2 * to, a->velocity + 2 * from, 2 * w * sizeof(float));
        memset(s->velocity + 2 * (to + w), 0, 2 * sizeof(float));
        const float *rgb = a->low + 3 * from, *inside = a->inside + from;
        float *low = s->low + 4 * to;
        for (size_t x = 0; x < w; x++) {
            low[4 * x] = rgb[3 * x];
            low[4 * x + 1] = rgb[3 * x + 1];
            low[4 * x + 2] = rgb[3 * x + 2];
            low[4 * x + 3] = inside[x];
        }
        memset(low + 4 * w, 0, 4 * sizeof(float));
        const uint8_t *flow = a->flow + from, *cycles = a->cycles + from;
        memcpy(s->cycles + to, cycles, w);
        memcpy(s->layer + to, flow, w);
        for (size_t x = 0; x < w; x++) s->reach[to + x] = flow[x] ? SF_FLOWS : 0;
        for (size_t x = 0; x < w; x++) s->cycles_used[cycles[x]] = 1;
        s->cycles[to + w] = 1;
        s->layer[to + w] = s->reach[to + w] = 0;
    }
    memset(s->velocity + 2 * end, 0, (stride + 1) * 2 * sizeof(float));
    memset(s->low + 4 * end, 0, (stride + 1) * 4 * sizeof(float));
    memset(s->cycles + end, 1, stride);
    memset(s->layer + end, 0, stride);
    memset(s->reach + end, 0, stride);
}
