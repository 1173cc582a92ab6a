# SPDX-License-Identifier: Apache-2.0
"""What a user might say of a picture whose velocity is known: arrows at random places."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stillflow.guidance import Arrow

FloatArray = npt.NDArray[np.float32]


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
