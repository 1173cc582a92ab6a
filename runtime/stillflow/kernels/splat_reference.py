# SPDX-License-Identifier: Apache-2.0
"""Displacements and the symmetric splat in plain NumPy: the law that the C and CUDA forms agree with to the bit.

The frames of a feature scene, whose generator was trained by others: features of the photo are thrown along the
motion, forward from the loop's start and backward from its end, summed with weights and divided by the sum of the
weights; a decoder turns what landed into a picture. All in float32. Written from these formulas:

- Euler: pos <- pos + v[round(pos)], nearest lookup, halves to even; a position that leaves the picture is invalid
  from then on and goes back to its own grid point; displacement = pos - grid; invalid ones are thrown out.
- Splat: a source at (x, y) gives its values, times share, to the four pixels around (x + dx, y + dy) by bilinear
  weights. Pixels outside the picture get nothing, and a weight of exactly 0 gives nothing.
- Symmetric: both throws are summed, (F w, w) alpha forward and (F w, w) (1 - alpha) backward, and the sums are
  divided: F' = sum F w / max(sum w, 1e-8), with w = exp(Z - max Z) of the encoder's logit Z.

Order, so that every form gives the same bits: a pixel starts at 0; it adds what the first throw brings, by
ascending source (row by row), then what the second brings. A term is values * (wx * (wy * share)), each product
rounded; wx is 1 - fx left and fx right, with fx = (x + dx) - floor(x + dx), wy likewise.

Names: ``grid``, ``euler_step``, ``displacement_of``, ``thrown``, ``euler``; ``splat``, ``divided``,
``symmetric_splat``; and of ``splat_source``: ``SplatSource``, ``symmetric_source``, ``layered_source``,
``weights_of``, ``share_at``, ``Window``. What goes to and comes from graphs is planar, (C, h, w).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stillflow.kernels.arrays import FloatArray
from stillflow.kernels.splat_source import (
    LEAST_WEIGHT,
    SplatSource,
    Window,
    check_displacement,
    check_window,
)

BoolArray = npt.NDArray[np.bool_]

BAND = 16
"""Source rows thrown at once: 4 terms a pixel stay small in memory."""


def grid(height: int, width: int) -> FloatArray:
    """Return (H, W, 2) float32, the position x, y of every pixel."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.stack([x, y], -1)


def euler_step(
    velocity: FloatArray, position: FloatArray, invalid: BoolArray
) -> tuple[FloatArray, BoolArray]:
    """Move every position by the velocity at the pixel nearest to it.

    Start with ``grid(H, W)`` and ``np.zeros((H, W), bool)``; n steps give the positions after n frames.

    Args:
        velocity: (H, W, 2) float32, x and y in pixels a frame; what is no number makes positions invalid.
        position: (H, W, 2) float32, x and y in pixels.
        invalid: (H, W), true where the position left the picture in an earlier step.

    Returns:
        The next (position, invalid); positions of invalid pixels are their own grid points.
    """
    height, width = velocity.shape[:2]
    start = grid(height, width)
    position = np.where(_inside(position, height, width)[..., None], position, start)
    nearest = np.rint(position).astype(np.int64)
    with np.errstate(invalid="ignore", over="ignore"):
        moved = position + velocity[nearest[..., 1], nearest[..., 0]]
        gone = invalid | ~_inside(moved, height, width)
    return np.where(gone[..., None], start, moved).astype(np.float32), gone


def _inside(position: FloatArray, height: int, width: int) -> BoolArray:
    x, y = position[..., 0], position[..., 1]
    return np.asarray((x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1))


def displacement_of(position: FloatArray) -> FloatArray:
    """Return position - grid, (H, W, 2) float32."""
    return np.asarray(position - grid(*position.shape[:2]), np.float32)


def thrown(displacement: FloatArray, invalid: BoolArray) -> FloatArray:
    """Give invalid pixels max(H, W) + 1 in both components, which throws them out of the picture."""
    far = np.float32(max(invalid.shape) + 1)
    return np.where(invalid[..., None], far, displacement).astype(np.float32)


def euler(velocity: FloatArray, steps: int) -> FloatArray:
    """Displacement after a number of frames, (H, W, 2) float32, invalid pixels thrown out; 0 steps give zeros."""
    position = grid(*velocity.shape[:2])
    invalid = np.zeros(velocity.shape[:2], bool)
    for _ in range(steps):
        position, invalid = euler_step(velocity, position, invalid)
    return thrown(displacement_of(position), invalid)


def splat(
    source: SplatSource,
    displacement: FloatArray,
    share: float = 1.0,
    window: Window | None = None,
    sums: FloatArray | None = None,
) -> FloatArray:
    """Throw a source and sum what lands.

    Args:
        source: what is thrown.
        displacement: (h, w, 2) float32, x and y in pixels, of each source pixel; one that is not finite or lands
            outside the picture is dropped.
        share: factor of every term.
        window: the part of the picture that is wanted; all of it without.
        sums: what landed before, added to in place.

    Returns:
        (rows, columns, C) float32 sums of the window.
    """
    window = check_window(source, window)
    check_displacement(source, displacement)
    height, width = source.shape
    rows, columns, channels = source.values.shape
    (y0, y1, x0, x1), (top, left) = window, source.origin
    if sums is None:
        sums = np.zeros((y1 - y0, x1 - x0, channels), np.float32)
    landed = sums.reshape(-1, channels)
    share32 = np.float32(share)
    for begin in range(0, rows, BAND):
        d = displacement[begin : begin + BAND]
        y, x = np.mgrid[top + begin : top + begin + len(d), left : left + columns].astype(np.float32)
        with np.errstate(invalid="ignore", over="ignore"):
            tx, ty = x + d[..., 0], y + d[..., 1]
            kept = (tx > -1) & (ty > -1) & (tx < width) & (ty < height)
        tx, ty, values = tx[kept], ty[kept], source.values[begin : begin + BAND][kept]
        column, row = np.floor(tx), np.floor(ty)
        fx, fy = tx - column, ty - row
        # (n, 4): the pixels above left, above right, below left and below right of each source.
        px = np.stack([column, column + 1] * 2, -1).astype(np.int64)
        py = np.stack([row, row, row + 1, row + 1], -1).astype(np.int64)
        above, below = (1 - fy) * share32, fy * share32
        k = np.stack([(1 - fx) * above, fx * above, (1 - fx) * below, fx * below], -1)
        wanted = (px >= x0) & (px < x1) & (py >= y0) & (py < y1) & (k != 0)
        terms = np.repeat(values[:, None], 4, 1)[wanted] * k[wanted][:, None]
        # One addition after the other, in this order: fancy assignment would keep one term of each pixel.
        np.add.at(landed, ((py - y0) * (x1 - x0) + (px - x0))[wanted], terms)
    return sums


def divided(sums: FloatArray, ends: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    """Divide sums by the sums of their weights.

    Args:
        sums: (h, w, C) float32.
        ends: of the source.

    Returns:
        (C - len(ends), h, w) float32 channels, planar, and (h, w) float32: 1 where something landed (the first
        weight's sum is not 0), 0 in holes. Without weights: the sums, and 1 where any of them is not 0.
    """
    if not ends:
        planar = np.ascontiguousarray(np.moveaxis(sums, -1, 0))
        return planar, (sums != 0).any(-1).astype(np.float32)
    out = np.empty((ends[-1], *sums.shape[:2]), np.float32)
    for index, (begin, end) in enumerate(zip((0, *ends), ends, strict=False)):
        weight = sums[..., ends[-1] + index]
        # Written so that what is no number counts as the least weight.
        weight = np.where(weight > np.float32(LEAST_WEIGHT), weight, np.float32(LEAST_WEIGHT))
        out[begin:end] = np.moveaxis(sums[..., begin:end], -1, 0) / weight
    return out, (sums[..., ends[-1]] != 0).astype(np.float32)


def symmetric_splat(
    source: SplatSource,
    forward: FloatArray,
    backward: FloatArray,
    share: float,
    window: Window | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Throw a source both ways and divide: what the decoder of one frame reads.

    Args:
        source: what is thrown.
        forward: (h, w, 2) float32 displacement after t frames of the velocity.
        backward: (h, w, 2) float32 displacement after N - t frames of minus the velocity.
        share: alpha, see ``share_at``.
        window: the part of the picture that is wanted; all of it without.

    Returns:
        Warped channels (source.outputs, rows, columns) and landed (rows, columns), 1 or 0; both float32.
    """
    sums = splat(source, forward, share, window)
    return divided(splat(source, backward, 1.0 - share, window, sums), source.ends)
