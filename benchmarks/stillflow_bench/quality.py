# SPDX-License-Identifier: Apache-2.0
"""What can be said of a loop in figures: seam, stillness, detail over time, flash, flicker.

None of them says that a loop looks alive: the photo repeated keeps every limit. They say that it is not broken, and
they stand beside the same figures of two baselines. Contact sheets (``stillflow_bench.sheet``) are for looking.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from stillflow.animator import Animator, Loop
from stillflow.kernels.arrays import ByteArray, FloatArray
from stillflow.photo import Photo, load_photo
from stillflow_bench import sheet
from stillflow_bench.baselines import plain_warp, repeat_photo
from stillflow_bench.report import Row

DETAIL_SIGMA = 2.0
"""Pixels: what is finer than this Gaussian counts as detail."""

FLICKER_BLOCK = 16
"""Pixels: flicker is measured on means over blocks of this side, so that moving texture averages out."""

SEAM_LIMIT, STILL_LIMIT = 1.0, 0.0
"""Grey levels: frame 0 against the photo inside the matte, and outside of it at any time."""

DETAIL_LIMITS = (0.9, 1.05)
"""Detail energy relative to the photo's, smallest and largest over the loop."""

Render = Callable[[float], ByteArray]


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


def figures(photo: ByteArray, matte: ByteArray, render: Render, frames: int) -> Figures:
    """Render every frame of a loop and measure it.

    Args:
        photo: (H, W, 3) uint8.
        matte: (H, W) uint8, 0 = the photo.
        render: time in frames -> (H, W, 3) uint8.
        frames: N >= 2.
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
        last_luma = gray
    if reference > 0:
        step.append(float(np.abs(first_luma - last_luma)[core].mean()))
    return Figures(
        seam_inside=_largest(first, photo, inside),
        seam_outside=_largest(first, photo, outside),
        period=_largest(render(float(frames)), first, np.ones_like(inside)),
        still=tuple(still),
        detail=tuple(detail),
        step=tuple(step),
        flicker=_flicker(means),
    )


def measure(
    photos: Sequence[Path],
    *,
    size: int = 960,
    seconds: float = 4.0,
    fps: float = 30.0,
    sheets: Path | None = None,
    bundle: str | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Animate photos with nothing else said and measure the loops beside both baselines.

    Args:
        photos: picture files.
        size: longest side of the loops, pixels.
        seconds: length of a loop.
        fps: frames a second.
        sheets: folder for one contact sheet a photo; None draws none.
        bundle: another bundle than the default one.
        report: is told what is being measured.

    Returns:
        Rows of the suite "quality".
    """
    animator = Animator(bundle, device="cpu")
    rows: list[Row] = []
    for path in photos:
        report(path.stem)
        loop = animator.animate(Photo.fitted(load_photo(path), size), seconds=seconds, fps=fps)
        rows += measure_loop(path.stem, loop)
        if sheets is not None:
            sheet.write(sheets / f"{path.stem}.png", loop, path.stem)
    return rows


def measure_loop(name: str, loop: Loop) -> list[Row]:
    """Measure one loop and its baselines.

    Args:
        name: of the photo, in the rows.
        loop: any loop.
    """
    arrays = loop.arrays
    about: dict[str, Any] = {
        "photo": name,
        "size": f"{arrays.width}x{arrays.height}",
        "frames": arrays.frames,
        "fps": loop.fps,
        "moving_share": round(loop.moving_share, 4),
        "suitability": loop.suitability.score,
    }
    methods: dict[str, Render] = {
        "stillflow": loop.scene.frame,
        "repeat the photo": lambda t: repeat_photo(arrays, t),
        "plain warp": lambda t: plain_warp(arrays, t),
    }
    rows: list[Row] = []
    for method, render in methods.items():
        found = figures(arrays.photo, arrays.matte, render, arrays.frames)
        rows += _rows({**about, "method": method}, found, judged=method == "stillflow")
    return rows


def _rows(about: dict[str, Any], found: Figures, *, judged: bool) -> list[Row]:
    """Turn figures into rows; only stillflow's own have limits."""

    def row(
        name: str, unit: str, samples: Sequence[float], limit: float | None = None, low: bool = False
    ) -> Row:
        side = "at least" if low else "at most"
        return Row("quality", name, unit, tuple(samples), about, limit if judged else None, side)  # type: ignore[arg-type]

    rows = [
        row("moving share", "", (about["moving_share"],)),
        row("frame 0, inside", "levels", (found.seam_inside,), SEAM_LIMIT),
        row("frame 0, outside", "levels", (found.seam_outside,), STILL_LIMIT),
        row("frame N to 0", "levels", (found.period,), STILL_LIMIT),
        row("outside, worst frame", "levels", (max(found.still),), STILL_LIMIT),
    ]
    if not found.detail:
        return rows
    return [
        *rows,
        row("detail", "", found.detail),
        row("detail, least", "", (min(found.detail),), DETAIL_LIMITS[0], low=True),
        row("detail, most", "", (max(found.detail),), DETAIL_LIMITS[1]),
        row("step", "levels", found.step),
        row("flash 0 to 1", "x", (found.flash,)),
        row("detail jump 0 to 1", "", (found.detail_jump,)),
        row("flicker", "levels", (found.flicker,)),
    ]


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


def _flicker(means: Sequence[FloatArray]) -> float:
    """Root mean square over blocks and time of half the second difference, the loop closed."""
    if not means or means[0].size == 0:
        return 0.0
    series = np.stack(means)
    bend = series - (np.roll(series, 1, 0) + np.roll(series, -1, 0)) / 2
    return float(np.sqrt((bend**2).mean()))
