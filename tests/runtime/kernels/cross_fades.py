# SPDX-License-Identifier: Apache-2.0
"""Scenes of noise with what the plain ones lack: several layers, cycles of their own, and parts that stand still."""

from __future__ import annotations

import dataclasses

import numpy as np

from stillflow.kernels import reference as ref
from stillflow.kernels.arrays import SceneArrays

from ..scenes import random_arrays, textured


def random_cross_fade(
    rng: np.random.Generator, height: int, width: int, *, moving: float = 1.0, speed: float = 1.0
) -> SceneArrays:
    """A scene in which about a share of the picture moves, in one rectangle; anything else is drawn by lot."""
    arrays = random_arrays(
        rng,
        height,
        width,
        harmonics=int(rng.integers(0, 3)),
        lights=int(rng.integers(0, 3)),
        blend=bool(rng.integers(2)),
    )
    h, w = arrays.flow.shape
    tall, wide = max(1, round(height * moving**0.5)), max(1, round(width * moving**0.5))
    top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
    matte = np.zeros_like(arrays.matte)
    inner = slice(top, top + tall), slice(left, left + wide)
    # Full, partial, of light alone and still, in patches.
    kinds = rng.choice([0, 1, 2, 128, 255], (-(-height // 5), -(-width // 7))).astype(np.uint8)
    matte[inner] = np.kron(kinds, np.ones((5, 7), np.uint8))[inner]
    layers = rng.integers(0, 3, (1 if h < 8 else 4, 1 if w < 8 else 3))
    spread = np.ones((-(-h // layers.shape[0]), -(-w // layers.shape[1])))
    flow = np.kron(layers, spread)[:h, :w].astype(np.uint8)
    # The plate shows something else where nothing moves, as a layer that is continued does.
    plate = np.where(matte[..., None] > 0, arrays.photo, textured(height, width, int(rng.integers(1 << 30))))
    half = arrays.cycles.copy()
    half[:, w // 2 :] += 1
    sway = arrays.sway.copy()
    sway[:, h // 2 :] = 0
    return dataclasses.replace(
        arrays,
        matte=matte,
        flow=flow,
        plate=np.ascontiguousarray(plate),
        low=ref.low_pass(plate),
        cycles=half,
        sway=sway,
        velocity=(arrays.velocity * np.float32(speed)),
    )


def reference_frame(arrays: SceneArrays, t: float) -> np.ndarray:
    """The frame at time t, by the law."""
    out = np.empty_like(arrays.photo)
    ref.compose(arrays, ref.fields(arrays, t), 0, arrays.height, out)
    return out
