# SPDX-License-Identifier: Apache-2.0
"""A velocity field bent to the user's arrows: turned and stretched, and its shape kept.

Two closed forms. ``rbf_velocity`` knows only the arrows: between them it mixes what they say. ``bend_velocity`` takes
a field that knows the picture (slow at the banks, faster towards the viewer, down at the fall and onwards at its foot)
and mixes instead by how much each arrow turns and stretches it. Both use the same weights, so that they differ in
nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from stillflow.guidance import Arrow
from stillflow.kernels.arrays import ByteArray, FloatArray

SIGMA = 0.15
"""Width of an arrow's Gaussian weight, in picture widths."""

FLOOR = 1e-6
"""Added to every weight: far away from all arrows the nearest ones still say the direction."""

MOST_STRETCH = 30.0
"""Largest factor, up or down, between an arrow's speed and the field's: beyond it the field knew nothing there."""


def arrow_weights(arrows: Sequence[Arrow], h: int, w: int, aspect: float) -> FloatArray:
    """How much each arrow says at each place, (n, h, w) float32, adding up to 1 over the arrows.

    Args:
        arrows: at least one.
        h: rows.
        w: columns.
        aspect: height / width of the picture.
    """
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    x, y = x / max(w - 1, 1), y / max(h - 1, 1) * aspect
    near = [
        np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * SIGMA**2)) + FLOOR
        for cx, cy in _middles(arrows, aspect)
    ]
    weights = np.stack(near)
    return np.asarray(weights / weights.sum(0), np.float32)


def rbf_velocity(arrows: Sequence[Arrow], h: int, w: int, aspect: float) -> FloatArray:
    """Closed form: Gaussian-weighted mean of the arrows' velocities (normalised RBF).

    Args:
        arrows: at least one.
        h: rows.
        w: columns.
        aspect: height / width of the picture.

    Returns:
        (h, w, 2) float32, widths a second.
    """
    told = np.array([arrow.velocity(aspect) for arrow in arrows], np.float32)
    return np.ascontiguousarray(
        np.einsum("nhw,nc->hwc", arrow_weights(arrows, h, w, aspect), told), np.float32
    )


def bend_velocity(
    velocity: FloatArray, arrows: Sequence[Arrow], aspect: float, group: ByteArray | None = None
) -> FloatArray:
    """Turn and stretch a field so that it follows arrows and keeps its shape.

    With b the field and s_i the arrows as complex numbers, q_i = s_i / b(x_i) says how arrow i turns and stretches. The
    result is b times the weighted mean of the q_i: geometric for the stretch, of unit vectors for the turn.

    Args:
        velocity: (h, w, 2) float32, widths a second.
        arrows: at least one.
        aspect: height / width of the picture.
        group: (h, w) integers: an arrow bends only what has the number of its own middle, since an arrow on a river
            says nothing of the clouds; None bends everything.

    Returns:
        (h, w, 2) float32, widths a second.
    """
    h, w = velocity.shape[:2]
    if group is not None:
        result = velocity.copy()
        spots = [(round(cy / aspect * (h - 1)), round(cx * (w - 1))) for cx, cy in _middles(arrows, aspect)]
        for label in {int(group[spot]) for spot in spots}:
            mine = [arrow for arrow, spot in zip(arrows, spots, strict=True) if group[spot] == label]
            where = group == label
            result[where] = bend_velocity(velocity, mine, aspect)[where]
        return result
    field = velocity[..., 0] + 1j * velocity[..., 1]
    weights = arrow_weights(arrows, h, w, aspect)
    stretch, turn = np.zeros((h, w)), np.zeros((h, w), complex)
    for weight, arrow, (cx, cy) in zip(weights, arrows, _middles(arrows, aspect), strict=True):
        x, y = cx * (w - 1), cy / aspect * (h - 1)
        where = np.array([[[x, y]]], np.float32)
        here = complex(*(float(v[0, 0]) for v in _sampled(velocity, where)))
        ratio = complex(*arrow.velocity(aspect)) / (here if abs(here) > 1e-9 else 1e-9)
        limit = np.log(MOST_STRETCH)
        stretch += weight * np.clip(np.log(abs(ratio)), -limit, limit)
        turn += weight * (ratio / abs(ratio))
    bent = field * np.exp(stretch) * turn / np.maximum(abs(turn), 1e-3)
    return np.ascontiguousarray(np.stack([bent.real, bent.imag], -1), np.float32)


def _middles(arrows: Sequence[Arrow], aspect: float) -> list[tuple[float, float]]:
    """Middle of each arrow in picture widths."""
    return [((a.x0 + a.x1) / 2, (a.y0 + a.y1) / 2 * aspect) for a in arrows]


def _sampled(velocity: FloatArray, where: FloatArray) -> list[FloatArray]:
    """Both components at real positions, bilinear."""
    return [
        cv2.remap(
            np.ascontiguousarray(velocity[..., i]),
            where,
            None,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        for i in range(2)
    ]
