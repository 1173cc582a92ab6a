# SPDX-License-Identifier: Apache-2.0
"""The generator network: what the moving layer looks like where the photo does not show it.

It runs once a photo, at field size (long side at most 320 samples), and returns colours for the plate
and two blend coefficients a sample. The manifest says which of them are used; the closed forms are
push-pull colours and the variance-preserving blend (no coefficients).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.kernels.arrays import ByteArray, FloatArray
from stillflow.kernels.reference import grid, lookup, trace

Generator = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""Maps a (9, h, w) field to (plate colours (3, h, w) 0..1, blend coefficients (2, h, w))."""

LONG_SIDE = 320
"""Longest side the network is run at, in field samples."""

MULTIPLE = 32
"""Both sides are brought to a multiple of this: the network halves five times."""

DISPLACEMENT_UNIT = 32.0
"""Field pixels that count as 1 in the displacement channels."""


def generator_field(
    fill: FloatArray,
    known: FloatArray,
    velocity: FloatArray,
    cycles: ByteArray,
    inside: FloatArray,
    frames: int,
    flow: ByteArray | None = None,
) -> FloatArray:
    """Lay out what the generator reads.

    Args:
        fill: (h, w, 3) float32 0..255, the moving layer at field size: the photo where it shows the layer,
            its push-pull continuation elsewhere.
        known: (h, w) float32 0..1, 1 where the photo shows the moving layer.
        velocity: (h, w, 2) float32 field pixels a frame, extended beyond the region.
        cycles: (h, w) uint8, cross-fade cycles a loop.
        inside: (h, w) float32, confidence.
        frames: in one loop.
        flow: (h, w) uint8, which layer flows in a sample; None when there is only one.

    Returns:
        (9, h, w) float32: RGB 0..1 of the fill, known, inside, displacement over one cycle
        divided by 32 field pixels (x, y), confidence of the source traced back and of the source traced
        forward at mid cycle.
    """
    period = np.float32(frames) / cycles.astype(np.float32)
    x, y = grid(*known.shape)
    valid = []
    for sign in (-1, 1):
        d = trace(velocity, np.asarray(sign * period / 2, np.float32))
        px, py = x + d[..., 0], y + d[..., 1]
        shown = (px >= 0) & (px <= x.shape[1] - 1) & (py >= 0) & (py <= x.shape[0] - 1)
        if flow is not None:
            there = flow[
                np.clip(py, 0, x.shape[0] - 1).astype(np.int32),
                np.clip(px, 0, x.shape[1] - 1).astype(np.int32),
            ]
            shown &= (there == 0) | (there == flow)
        valid.append(lookup(inside, px, py) * shown)
    travel = velocity * period[..., None] / np.float32(DISPLACEMENT_UNIT)
    planes = [*np.moveaxis(fill / 255, -1, 0), known, inside, *np.moveaxis(travel, -1, 0), *valid]
    return np.stack(planes).astype(np.float32)


def generator_from(
    run: Callable[[Mapping[str, npt.NDArray[np.float32]]], Mapping[str, npt.NDArray[np.float32]]],
) -> Generator:
    """Make a generator from a session's ``run``; brings fields of any size to the network's and back.

    Args:
        run: maps {"field": (1, 9, h', w')} to {"plate": (1, 3, h', w'), "blend": (1, 2, h', w')}.
    """

    def generate(field: FloatArray) -> tuple[FloatArray, FloatArray]:
        h, w = field.shape[1:]
        scale = min(1.0, LONG_SIDE / max(h, w))
        size = tuple(max(MULTIPLE, round(n * scale / MULTIPLE) * MULTIPLE) for n in (w, h))
        small = np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in field])
        out = run({"field": small[None]})
        plate = np.stack([cv2.resize(p, (w, h), interpolation=cv2.INTER_LINEAR) for p in out["plate"][0]])
        blend = np.stack([cv2.resize(p, (w, h), interpolation=cv2.INTER_LINEAR) for p in out["blend"][0]])
        return np.clip(plate, 0, 1).astype(np.float32), blend.astype(np.float32)

    return generate
