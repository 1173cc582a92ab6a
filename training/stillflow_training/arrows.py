# SPDX-License-Identifier: Apache-2.0
"""Arrows of labels and of known velocities, as a user's; and what a velocity field makes of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stillflow.guidance import Arrow

FloatArray = npt.NDArray[np.float32]

LEAST_SPEED = 1e-5
"""Widths a second: slower is as good as still, and its logarithm would say too much."""


@dataclass(frozen=True)
class Miss:
    """By how much a velocity misses one arrow.

    Attributes:
        angle: degrees, 0..180; 90 where the velocity is 0.
        mirrored: the same for the arrow turned from left to right.
        factor: absolute logarithm of the ratio of the speeds.
    """

    angle: float
    mirrored: float
    factor: float


def misses(velocity: FloatArray, arrows: FloatArray, aspect: float) -> list[Miss]:
    """Compare a field with arrows, each at its middle.

    Args:
        velocity: (h, w, 2) widths a second, of the whole picture at any size.
        arrows: (n, 5) x0, y0, x1, y1 in fractions, speed in widths a second > 0.
        aspect: height / width of the picture.
    """
    h, w = velocity.shape[:2]
    result = []
    for x0, y0, x1, y1, speed in arrows:
        i, j = (int(np.clip(middle * n, 0, n - 1)) for middle, n in (((y0 + y1) / 2, h), ((x0 + x1) / 2, w)))
        found = velocity[i, j]
        dx, dy = float(x1 - x0), float((y1 - y0) * aspect)
        ratio = max(float(np.hypot(*found)), LEAST_SPEED) / float(speed)
        result.append(Miss(_angle(found, dx, dy), _angle(found, -dx, dy), abs(float(np.log(ratio)))))
    return result


def as_arrow(label: FloatArray, aspect: float) -> Arrow:
    """Turn a label's arrow (x0, y0, x1, y1, speed) into a user's, which has a time instead of a speed."""
    x0, y0, x1, y1 = (float(np.clip(v, 0, 1)) for v in label[:4])
    run = float(np.hypot(x1 - x0, (y1 - y0) * aspect))
    return Arrow(x0, y0, x1, y1, run / max(float(label[4]), 1e-3))


def draw_arrows(
    rng: np.random.Generator, where: npt.NDArray[np.bool_], velocity: FloatArray, count: int
) -> tuple[Arrow, ...]:
    """Draw arrows that tell the velocity at random points of a region."""
    ys, xs = np.nonzero(where)
    if ys.size == 0:
        return ()
    height, width = where.shape
    arrows = []
    for i in rng.integers(ys.size, size=count):
        vx, vy = velocity[ys[i], xs[i]]
        speed = float(np.hypot(vx, vy))
        if speed < 1e-4:
            continue
        x0, y0 = (xs[i] + 0.5) / width, (ys[i] + 0.5) / height
        # A stroke of 3-12 % of the width, cut at the picture's border; its time gives the true speed.
        length = rng.uniform(0.03, 0.12)
        x1 = float(np.clip(x0 + vx / speed * length, 0, 1))
        y1 = float(np.clip(y0 + vy / speed * length * width / height, 0, 1))
        run = float(np.hypot(x1 - x0, (y1 - y0) * height / width))
        if run > 0.01:
            arrows.append(Arrow(float(x0), float(y0), x1, y1, run / speed))
    return tuple(arrows)


def _angle(found: FloatArray, dx: float, dy: float) -> float:
    """Degrees between a velocity and a direction."""
    length = float(np.hypot(*found)) * float(np.hypot(dx, dy))
    cosine = (float(found[0]) * dx + float(found[1]) * dy) / max(length, 1e-12)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
