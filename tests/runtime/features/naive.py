# SPDX-License-Identifier: Apache-2.0
"""The frames of feature scenes once more, from the published formulas alone: slow, in float64, whole pictures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray


def euler(velocity: Array, steps: int) -> Array:
    """Displacement after so many steps, from the start; what leaves the picture is thrown out of it."""
    height, width = velocity.shape[:2]
    y, x = np.indices((height, width)).astype(np.float32)
    px, py, lost = x.copy(), y.copy(), np.zeros((height, width), bool)
    for _ in range(steps):
        moved = velocity[np.rint(py).astype(int), np.rint(px).astype(int)]
        px, py = px + moved[..., 0], py + moved[..., 1]
        lost |= (px < 0) | (py < 0) | (px > width - 1) | (py > height - 1)
        px, py = np.where(lost, x, px), np.where(lost, y, py)
    return np.where(lost[..., None], max(height, width) + 1, np.stack([px - x, py - y], -1))


def scatter(values: Array, displacement: Array) -> Array:
    """Sums of (C, H, W) values at where they are thrown, bilinear."""
    count, height, width = values.shape
    sums = np.zeros((count, height, width))
    for y in range(height):
        for x in range(width):
            tx, ty = x + displacement[y, x, 0], y + displacement[y, x, 1]
            left, top = int(np.floor(tx)), int(np.floor(ty))
            for py, wy in ((top, 1 - (ty - top)), (top + 1, ty - top)):
                for px, wx in ((left, 1 - (tx - left)), (left + 1, tx - left)):
                    if 0 <= px < width and 0 <= py < height:
                        sums[:, py, px] += values[:, y, x] * wx * wy
    return sums


def both_ways(values: Array, velocity: Array, t: int, frames: int, edge: float = 0.0) -> Array:
    """Sums of both throws, each by its share."""
    alpha = min(max(1 - t / frames, edge), 1 - edge)
    forward = scatter(values, euler(velocity, t))
    return forward * alpha + scatter(values, euler(-velocity, frames - t)) * (1 - alpha)


def warped(
    features: Array, z: Array, velocity: Array, t: int, frames: int, floor: float | None = None
) -> Array:
    """What the decoder of one frame reads, (C, H, W) float32."""
    z = z.astype(np.float64) - z.max()
    weight = np.exp(z if floor is None else np.clip(z, floor, -floor))
    sums = both_ways(np.concatenate([features * weight, weight[None]]), velocity, t, frames)
    return (sums[:-1] / np.maximum(sums[-1], 1e-8)).astype(np.float32)


def decoded(decoder: Callable[..., tuple[Tensor, Tensor]], landed: Array) -> Array:
    """The decoder's frame, (H, W, 3)."""
    mask = (landed != 0).any(0).astype(np.float32)
    with torch.no_grad():
        frame, _ = decoder(torch.from_numpy(landed[None]), torch.from_numpy(mask[None, None]))
    return frame[0].permute(1, 2, 0).numpy()
