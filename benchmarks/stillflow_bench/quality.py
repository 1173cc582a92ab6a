# SPDX-License-Identifier: Apache-2.0
"""What can be said of a loop in figures: seam, stillness, detail over time, flash, flicker.

None of them says that a loop looks alive: the photo repeated keeps every limit. They say that it is not broken.
``stillflow_bench.loops`` makes rows of them, beside the same figures of two baselines, and contact sheets
(``stillflow_bench.sheet``) are for looking.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from stillflow.kernels.arrays import ByteArray, FloatArray

DETAIL_SIGMA = 2.0
"""Pixels: what is finer than this Gaussian counts as detail."""

FLICKER_BLOCK = 16
"""Pixels: flicker is measured on means over blocks of this side, so that moving texture averages out."""

Render = Callable[[float], ByteArray]

Watch = Callable[[int, ByteArray, FloatArray], None]
"""Is shown each frame once, in order: its index, its pixels and its luma."""


@dataclass(frozen=True)
class Figures:
    """Figures of one loop made one way. Levels are of 255.

    Attributes:
        seam_inside: largest difference between frame 0 and the photo where the matte is above 0.
        seam_outside: the same where it is 0.
        period: largest difference between frame N and frame 0.
        still: per frame, largest difference to the photo where the matte is 0.
        detail: per frame, variance of the high-passed luma where the matte is full, relative to the photo's;
            empty when the matte is full nowhere.
        step: per frame, mean absolute luma difference to the next one there (the last one to frame 0).
        flicker: root mean square of the second difference in time of block means there.
    """

    seam_inside: int
    seam_outside: int
    period: int
    still: tuple[int, ...]
    detail: tuple[float, ...]
    step: tuple[float, ...]
    flicker: float

    @property
    def flash(self) -> float:
        """The step from frame 0 to frame 1 relative to the median step; 1 is no flash, 0 where nothing moves."""
        usual = float(np.median(self.step)) if self.step else 0.0
        return self.step[0] / usual if usual > 0 else 0.0

    @property
    def detail_jump(self) -> float:
        """Change of detail energy from frame 0 to frame 1, as a share of the photo's."""
        return abs(self.detail[1] - self.detail[0]) if len(self.detail) > 1 else 0.0


def figures(
    photo: ByteArray,
    matte: ByteArray,
    render: Render,
    frames: int,
    watches: Sequence[Watch] = (),
    *,
    closed: bool = True,
) -> Figures:
    """Render every frame of a loop and measure it.

    Args:
        photo: (H, W, 3) uint8.
        matte: (H, W) uint8, 0 = the photo.
        render: time in frames -> (H, W, 3) uint8.
        frames: N >= 2.
        watches: look at the same frames, so that these are made once.
        closed: the last frame is followed by the first. What a camera saw is not closed: then no figure compares
            those two.
    """
    outside, inside, core = matte == 0, matte > 0, matte == 255
    blocks = _full_blocks(core)
    reference = _detail(luma(photo), core)
    still: list[int] = []
    detail: list[float] = []
    step: list[float] = []
    means: list[FloatArray] = []
    first = np.asarray(render(0.0))
    last_luma = first_luma = luma(first)
    for index in range(frames):
        frame = first if index == 0 else render(float(index))
        still.append(_largest(frame, photo, outside))
        gray = first_luma if index == 0 else luma(frame)
        if reference > 0:
            detail.append(_detail(gray, core) / reference)
            means.append(_block_means(gray)[blocks])
            if index:
                step.append(float(np.abs(gray - last_luma)[core].mean()))
        for watch in watches:
            watch(index, frame, gray)
        last_luma = gray
    if reference > 0 and closed:
        step.append(float(np.abs(first_luma - last_luma)[core].mean()))
    return Figures(
        seam_inside=_largest(first, photo, inside),
        seam_outside=_largest(first, photo, outside),
        period=_largest(render(float(frames)), first, np.ones_like(inside)) if closed else 0,
        still=tuple(still),
        detail=tuple(detail),
        step=tuple(step),
        flicker=_flicker(means, closed),
    )


def luma(frame: ByteArray) -> FloatArray:
    """(H, W, 3) uint8 to (H, W) float32 0..255, BT.601 weights."""
    return np.asarray(frame @ np.array([0.299, 0.587, 0.114], np.float32), np.float32)


def _detail(gray: FloatArray, core: np.ndarray[Any, np.dtype[np.bool_]]) -> float:
    """Mean square of what a Gaussian of DETAIL_SIGMA takes away, over the core; 0 for an empty core."""
    if not core.any():
        return 0.0
    fine = gray - cv2.GaussianBlur(gray, (0, 0), DETAIL_SIGMA)
    return float((fine[core] ** 2).mean())


def _largest(a: ByteArray, b: ByteArray, where: np.ndarray[Any, np.dtype[np.bool_]]) -> int:
    """Largest absolute difference of two pictures over a mask, in levels."""
    return int(cv2.absdiff(a, b)[where].max()) if where.any() else 0


def _block_means(values: FloatArray) -> FloatArray:
    """Means over whole blocks of FLICKER_BLOCK pixels; what does not fill a block is left out."""
    b = FLICKER_BLOCK
    height, width = values.shape[0] // b * b, values.shape[1] // b * b
    return np.asarray(values[:height, :width].reshape(height // b, b, width // b, b).mean((1, 3)), np.float32)


def _full_blocks(core: np.ndarray[Any, np.dtype[np.bool_]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Blocks that lie wholly in the core."""
    return np.asarray(_block_means(core.astype(np.float32)) == 1)


def _flicker(means: Sequence[FloatArray], closed: bool) -> float:
    """Root mean square over blocks and time of half the second difference."""
    if not means or means[0].size == 0:
        return 0.0
    series = np.stack(means)
    bend = series - (np.roll(series, 1, 0) + np.roll(series, -1, 0)) / 2
    bend = bend if closed else bend[1:-1]
    return float(np.sqrt((bend**2).mean())) if bend.size else 0.0
