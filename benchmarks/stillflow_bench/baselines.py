# SPDX-License-Identifier: Apache-2.0
"""What a loop is compared with: the photo shown again and again, and the warp everyone writes first."""

from __future__ import annotations

import cv2
import numpy as np

from stillflow.kernels.arrays import FIELD_OFFSET, FIELD_SCALE, ByteArray, FloatArray, SceneArrays


def repeat_photo(arrays: SceneArrays, t: float) -> ByteArray:
    """Return the photo, whatever the time."""
    return arrays.photo


def plain_warp(arrays: SceneArrays, t: float) -> ByteArray:
    """Return the frame of a straight warp: ``cv2.remap`` twice and a linear cross-fade, inside the same matte.

    It is given the same velocity, the same cycles and the same matte as stillflow, so that what differs is how
    the frame is made: displacement is velocity times time instead of a trace, lookups are bilinear in the bare
    photo, and the blend knows neither confidence nor correlation.

    Args:
        arrays: of the scene.
        t: time in frames.

    Returns:
        (H, W, 3) uint8.
    """
    height, width = arrays.matte.shape
    phase = np.mod(arrays.cycles.astype(np.float64) * t / arrays.frames, 1).astype(np.float32)
    period = arrays.frames / arrays.cycles.astype(np.float32)
    flow = arrays.velocity * (arrays.flow > 0)[..., None]
    sway = _sway(arrays, t)
    past, left = ((np.asarray(u * period, np.float32))[..., None] for u in (phase, 1 - phase))
    back = _full(sway - flow * past, height, width) * FIELD_SCALE
    ahead = _full(sway + flow * left, height, width) * FIELD_SCALE
    fade = _full(phase * (arrays.flow > 0), height, width)[..., None]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    moved = [
        cv2.remap(
            arrays.photo, x + d[..., 0], y + d[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        for d in (back, ahead)
    ]
    layer = (1 - fade) * moved[0] + fade * moved[1]
    matte = arrays.matte.astype(np.float32)[..., None] / 255
    return np.asarray(np.clip(np.rint(arrays.photo + matte * (layer - arrays.photo)), 0, 255), np.uint8)


def _sway(arrays: SceneArrays, t: float) -> FloatArray:
    """(h, w, 2) field pixels: the periodic displacement, as the kernels define it."""
    total = np.zeros_like(arrays.velocity)
    for k, harmonic in enumerate(arrays.sway, start=1):
        angle = 2 * np.pi * k * t / arrays.frames
        total += harmonic[..., :2] * np.float32(np.cos(angle) - 1) + harmonic[..., 2:] * np.float32(
            np.sin(angle)
        )
    return total


def _full(field: FloatArray, height: int, width: int) -> FloatArray:
    """Interpolate a field (h, w[, C]) bilinearly at every pixel of the picture."""
    h, w = field.shape[:2]
    y = np.clip((np.arange(height, dtype=np.float32) - FIELD_OFFSET) / FIELD_SCALE, 0, h - 1)
    x = np.clip((np.arange(width, dtype=np.float32) - FIELD_OFFSET) / FIELD_SCALE, 0, w - 1)
    grid_x, grid_y = np.meshgrid(x, y)
    return np.asarray(cv2.remap(np.ascontiguousarray(field), grid_x, grid_y, cv2.INTER_LINEAR), np.float32)
