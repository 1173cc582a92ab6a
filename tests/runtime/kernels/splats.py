# SPDX-License-Identifier: Apache-2.0
"""Sources and displacements to throw, and the formulas once more: pixel by pixel, without any array tricks."""

from __future__ import annotations

import math

import numpy as np

from stillflow.kernels.splat_source import SplatSource, symmetric_source


def random_source(rng, height, width, channels=5):
    """Features and weights of O(1), as an encoder gives them."""
    features = rng.standard_normal((channels, height, width)).astype(np.float32)
    return symmetric_source(features, rng.standard_normal((height, width)).astype(np.float32))


def random_displacement(rng, height, width, reach=3.0):
    """Smooth enough to collide and to leave holes, some of it whole numbers, some of it still."""
    d = rng.uniform(-reach, reach, (height, width, 2)).astype(np.float32)
    kind = rng.integers(0, 4, (height, width))
    d[kind == 0] = 0
    d[kind == 1] = np.rint(d[kind == 1])
    return d


def hostile_displacement(rng, height, width):
    """Among ordinary ones: no numbers, infinite ones, huge ones, and those that just miss or just hit the picture."""
    d = random_displacement(rng, height, width)
    odd = np.array(
        [np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 2**31, -(2.0**31), 1e-45, -1e-45, -0.0, width, -height, -1, -0.999],
        np.float32,
    )  # fmt: skip
    where = rng.random((height, width, 2)) < 0.4
    d[where] = rng.choice(odd, int(where.sum()))
    return d


def naive_splat(source: SplatSource, throws):
    """Sums in float64, {(y, x): values}; throws are (displacement, share)."""
    sums = {}
    rows, columns, _ = source.values.shape
    for displacement, share in throws:
        for i in range(rows):
            for j in range(columns):
                x = np.float32(j + source.origin[1]) + displacement[i, j, 0]
                y = np.float32(i + source.origin[0]) + displacement[i, j, 1]
                if not (math.isfinite(x) and math.isfinite(y)):
                    continue
                for cy in (math.floor(y), math.floor(y) + 1):
                    for cx in (math.floor(x), math.floor(x) + 1):
                        weight = (1 - abs(float(x) - cx)) * (1 - abs(float(y) - cy)) * share
                        if 0 <= cy < source.shape[0] and 0 <= cx < source.shape[1] and weight:
                            value = source.values[i, j].astype(np.float64) * weight
                            sums[cy, cx] = sums.get((cy, cx), 0) + value
    return sums


def naive_euler(velocity, steps):
    """Displacement of every pixel, (H, W, 2), by following one pixel after the other."""
    height, width = velocity.shape[:2]
    out = np.zeros((height, width, 2), np.float32)
    for i in range(height):
        for j in range(width):
            x, y = np.float32(j), np.float32(i)
            for _ in range(steps):
                # Python rounds halves to even, as the formula does.
                vx, vy = velocity[round(float(y)), round(float(x))]
                x, y = x + vx, y + vy
                if not (0 <= x <= width - 1 and 0 <= y <= height - 1):
                    x = y = None
                    break
            out[i, j] = (max(height, width) + 1,) * 2 if x is None else (x - np.float32(j), y - np.float32(i))
    return out
