/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a frame to where the caller wants them. */
#include <string.h>

#include "loop/scale.h"
#include "loop/target.h"

#define SF_SIDE_MOST 65535

int32_t sf_view_of(const sf_loop *loop, const sf_target *target, sf_view *view) {
    memset(view, 0, sizeof *view);
    view->width = loop->arrays.width;
    view->height = loop->arrays.height;
    if (!target) return SF_OK;
    if (target->struct_size < sizeof *target) return SF_ERROR_ARGUMENT;
    if (target->format < SF_RGB || target->format > SF_NV12) return SF_ERROR_ARGUMENT;
    if (target->width < 0 || target->height < 0 || target->width > SF_SIDE_MOST || target->height > SF_SIDE_MOST)
        return SF_ERROR_SIZE;
    if (target->width) view->width = target->width;
    if (target->height) view->height = target->height;
    view->format = target->format;
    view->data = target->data;
    view->stride = target->stride;
    view->chroma = target->chroma;
    view->chroma_stride = target->chroma_stride;
    view->scaled = view->width != loop->arrays.width || view->height != loop->arrays.height;
    return SF_OK;
}

/* Two rows of RGB, on their way to another format. */
static size_t pair_bytes(const sf_view *view) {
    return view->format == SF_RGB ? 0 : 2 * sf_rounded_up(3 * (size_t)view->width);
}

size_t sf_view_rows_bytes(const sf_loop *loop, const sf_view *view) {
    if (view->scaled) return pair_bytes(view) + sf_scaler_bytes(loop->scene, view->width, view->height);
    return view->format == SF_RGB ? 0 : sf_band_bytes(loop->scene);
}

/* Whether rows of `bytes` bytes, `stride` apart, do not overlap. */
static int apart(ptrdiff_t stride, size_t bytes) { return stride >= (ptrdiff_t)bytes || stride <= -(ptrdiff_t)bytes; }

static int32_t check_memory(const sf_view *v) {
    const size_t width = (size_t)v->width, even = width + (width & 1);
    const size_t bytes = v->format == SF_NV12 ? even : v->format == SF_RGB ? 3 * width : 4 * width;
    if (!v->data || !apart(v->stride, bytes)) return SF_ERROR_ARGUMENT;
    if (v->format == SF_NV12 && (!v->chroma || !apart(v->chroma_stride, even))) return SF_ERROR_ARGUMENT;
    return SF_OK;
}

/* Row y, and for SF_NV12 the one below: composed rows to the caller's format. Beyond the last row it is repeated. */
static void convert(const sf_kernels *kernels, const sf_view *v, int32_t y, const uint8_t *const rgb[2]) {
    uint8_t *out = v->data + (ptrdiff_t)y * v->stride;
    if (v->format == SF_NV12) {
        uint8_t *const luma[2] = {out, out + v->stride};
        kernels->to_nv12(rgb, v->width, luma, v->chroma + (ptrdiff_t)(y / 2) * v->chroma_stride);
    } else {
        kernels->to_four(rgb[0], v->width, v->format == SF_BGRA, out);
    }
}

static void write_rows(const sf_scene *scene, const float *planes, const sf_view *v, int32_t y0, int32_t y1,
                       void *memory) {
    sf_band band;
    sf_band_begin(&band, scene, planes, y0, y1, memory);
    const int32_t step = v->format == SF_NV12 ? 2 : 1;
    for (int32_t y = y0; y < y1; y += step) {
        const int32_t count = y1 - y < step ? 1 : step;
        const uint8_t *top = sf_band_rows(&band, y, count);
        const uint8_t *const rgb[2] = {top, count > 1 ? top + band.stride : top};
        convert(scene->kernels, v, y, rgb);
    }
}

static void write_scaled(const sf_scene *scene, const float *planes, const sf_view *v, int32_t y0, int32_t y1,
                         void *memory) {
    uint8_t *pair = memory;
    const size_t stride = sf_rounded_up(3 * (size_t)v->width);
    sf_scaler scaler;
    sf_scaler_begin(&scaler, scene, planes, v->width, v->height, y0, y1, pair + pair_bytes(v));
    if (v->format == SF_RGB) {
        for (int32_t y = y0; y < y1; y++) sf_scaler_row(&scaler, y, v->data + (ptrdiff_t)y * v->stride);
        return;
    }
    const int32_t step = v->format == SF_NV12 ? 2 : 1;
    for (int32_t y = y0; y < y1; y += step) {
        const int32_t count = y1 - y < step ? 1 : step;
        const uint8_t *const rgb[2] = {pair, count > 1 ? pair + stride : pair};
        for (int32_t k = 0; k < count; k++) sf_scaler_row(&scaler, y + k, pair + (size_t)k * stride);
        convert(scene->kernels, v, y, rgb);
    }
}

int32_t sf_loop_rows(const sf_loop *loop, const void *frame, int32_t y0, int32_t y1, const sf_target *target,
                     void *rows, size_t rows_bytes) {
    if (!loop || !frame || !target) return SF_ERROR_ARGUMENT;
    sf_view view;
    int32_t status = sf_view_of(loop, target, &view);
    if (status == SF_OK) status = check_memory(&view);
    if (status) return status;
    if (y0 < 0 || y1 < y0 || y1 > view.height) return SF_ERROR_ARGUMENT;
    if (view.format == SF_NV12 && (y0 % 2 || (y1 % 2 && y1 != view.height))) return SF_ERROR_ARGUMENT;
    const float *planes = sf_frame_planes(loop, frame);
    if (!planes) return SF_ERROR_ARGUMENT;
    const size_t need = sf_view_rows_bytes(loop, &view);
    if (need && (!rows || (uintptr_t)rows % SF_ALIGNMENT || rows_bytes < need)) return SF_ERROR_MEMORY;
    if (y0 == y1) return SF_OK;
    const sf_scene *scene = loop->scene;
    if (view.scaled)
        write_scaled(scene, planes, &view, y0, y1, rows);
    else if (view.format == SF_RGB)
        scene->kernels->compose(scene, planes, y0, y1, view.data + (ptrdiff_t)y0 * view.stride, view.stride);
    else
        write_rows(scene, planes, &view, y0, y1, rows);
    return SF_OK;
}
