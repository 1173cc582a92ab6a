# SPDX-License-Identifier: Apache-2.0
"""What a loop is compared with: the photo shown again and again, and the warp everyone writes first."""

from __future__ import annotations

import cv2
import numpy as np

from stillflow.kernels.arrays import FIELD_SCALE, ByteArray, FloatArray, SceneArrays
from stillflow.kernels.reference import sway_displacement
from stillflow_bench.along_path import full_size


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
    back, ahead = (full_size(d, height, width) * FIELD_SCALE for d in straight_sources(arrays, t))
    fade = full_size(_phase(arrays, t) * (arrays.flow > 0), height, width)[..., None]
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


def straight_sources(arrays: SceneArrays, t: float) -> tuple[FloatArray, FloatArray]:
    """Return where the plain warp looks for content: as it lay when the cycle began, and as when it ends.

    Args:
        arrays: of the scene.
        t: time in frames.

    Returns:
        Two displacements (h, w, 2) float32 in field pixels.
    """
    phase = _phase(arrays, t)
    period = arrays.frames / arrays.cycles.astype(np.float32)
    flow = arrays.velocity * (arrays.flow > 0)[..., None]
    sway = sway_displacement(arrays.sway, t, arrays.frames, arrays.sway_periods)
    past, left = ((np.asarray(u * period, np.float32))[..., None] for u in (phase, 1 - phase))
    return sway - flow * past, sway + flow * left


def _phase(arrays: SceneArrays, t: float) -> FloatArray:
    """(h, w) how much of the cycle has gone by at time t, 0..1."""
    return np.mod(arrays.cycles.astype(np.float64) * t / arrays.frames, 1).astype(np.float32)
