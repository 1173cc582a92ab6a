# SPDX-License-Identifier: Apache-2.0
"""Uncovered area: how much of what moves has no source in the photo at a time, and is the generator's to supply.

A frame shows at each place what lay where its content comes from when the cycle began, and where it goes to when the
cycle ends. Either source is lost when that place is outside of the picture, of what moves, or in another layer.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from stillflow.kernels.arrays import FIELD_OFFSET, FIELD_SCALE, FloatArray, SceneArrays
from stillflow.kernels.native import NativeScene
from stillflow.kernels.reference import grid

Sources = Callable[[float], tuple[FloatArray, FloatArray]]
"""Time in frames -> displacements of both sources, (h, w, 2) float32 field pixels each."""

BoolArray = npt.NDArray[np.bool_]


def loop_sources(arrays: SceneArrays) -> Sources:
    """Return where the loop itself looks for its sources: what its kernel computes."""
    scene = NativeScene(arrays)

    def sources(t: float) -> tuple[FloatArray, FloatArray]:
        planes = scene.fields(t)[:4] / np.float32(FIELD_SCALE)
        return np.stack([planes[0], planes[1]], -1), np.stack([planes[2], planes[3]], -1)

    return sources


def uncovered(arrays: SceneArrays, sources: Sources) -> tuple[float, ...]:
    """Measure the share of the moving area where neither source is there, for every frame of the loop.

    Only what flows can be uncovered: what sways has one source, next to where it belongs.

    Args:
        arrays: of the scene: a place belongs to what moves where the matte is above 1.
        sources: of whoever makes the frames.

    Returns:
        A share for each frame, 0..1; zeros where nothing moves.
    """
    x, y = grid(*arrays.flow.shape)
    moving = _moving_at(arrays, x, y)
    if not moving.any():
        return (0.0,) * arrays.frames
    flows = moving & (arrays.flow > 0)
    shares = []
    for t in range(arrays.frames):
        gone = [~_there(arrays, x + d[..., 0], y + d[..., 1]) for d in sources(float(t))]
        shares.append(float((flows & gone[0] & gone[1]).sum() / moving.sum()))
    return tuple(shares)


def _there(arrays: SceneArrays, x: FloatArray, y: FloatArray) -> BoolArray:
    """Whether each sample's source at (x, y) is in the picture, moves, and is of the sample's own layer."""
    h, w = arrays.flow.shape
    px, py = x * FIELD_SCALE + FIELD_OFFSET, y * FIELD_SCALE + FIELD_OFFSET
    # A pixel's square reaches half a pixel around its centre.
    inside = (px >= -0.5) & (px <= arrays.width - 0.5) & (py >= -0.5) & (py <= arrays.height - 0.5)
    column, row = (np.rint(np.clip(v, 0, n - 1)).astype(np.int32) for v, n in ((x, w), (y, h)))
    return np.asarray(inside & (arrays.flow[row, column] == arrays.flow) & _moving_at(arrays, x, y))


def _moving_at(arrays: SceneArrays, x: FloatArray, y: FloatArray) -> BoolArray:
    """Whether the pixel nearest to a place in field pixels moves."""
    column, row = (
        np.clip(np.rint(v * FIELD_SCALE + FIELD_OFFSET), 0, n - 1).astype(np.int32)
        for v, n in ((x, arrays.width), (y, arrays.height))
    )
    # A matte of 1 is touched by light alone.
    return np.asarray(arrays.matte[row, column] > 1)
