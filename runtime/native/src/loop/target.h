/* SPDX-License-Identifier: Apache-2.0 */
/* Where a frame goes: a caller's sf_target, checked, and the memory that writing its rows takes. */
#ifndef SF_TARGET_H
#define SF_TARGET_H

#include "loop/loop.h"

typedef struct sf_view {
    int32_t format, width, height;
    uint8_t *data, *chroma;
    ptrdiff_t stride, chroma_stride;
    int scaled; /* of another size than the scene */
} sf_view;

/* Sizes and format; a null target is RGB at the scene's size. SF_OK, or what is wrong. */
int32_t sf_view_of(const sf_loop *loop, const sf_target *target, sf_view *view);

size_t sf_view_rows_bytes(const sf_loop *loop, const sf_view *view);

#endif
