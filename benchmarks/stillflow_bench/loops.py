# SPDX-License-Identifier: Apache-2.0
"""Rows of loops: of photos and of clips, each method's figures under the same names.

stillflow's own loop stands beside the photo repeated and the plain warp; a clip's real frames stand there too, where a
figure makes sense for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from stillflow.animator import Animator, Loop
from stillflow.errors import StillflowError
from stillflow.kernels.arrays import FIELD_SCALE, FloatArray, SceneArrays, field_shape
from stillflow.photo import Photo, load_photo
from stillflow_bench import clip_sheet, sheet
from stillflow_bench.along_path import PathWatch, Step, loop_step
from stillflow_bench.baselines import plain_warp, repeat_photo, straight_sources
from stillflow_bench.clip import Clip, is_clip, read_clip
from stillflow_bench.fidelity import FidelityWatch
from stillflow_bench.lost_sources import Sources, loop_sources, uncovered
from stillflow_bench.quality import Figures, Render, Watch, figures
from stillflow_bench.real_motion import RealMotion, direction_error, endpoint_error, played_velocity, told
from stillflow_bench.report import Row, Summary
from stillflow_bench.truth import overlap

SEAM_LIMIT, STILL_LIMIT = 1.0, 0.0
"""Grey levels: frame 0 against the photo inside the matte, and outside of it at any time."""

DETAIL_LIMITS = (0.9, 1.05)
"""Detail energy relative to the photo's, smallest and largest over the loop."""

REAL = "the clip itself"


@dataclass(frozen=True)
class Method:
    """One way to make frames of a scene.

    Attributes:
        name: in the rows.
        render: time in frames -> picture.
        sources: where it looks for content; None when it never moves any.
    """

    name: str
    render: Render
    sources: Sources | None


def methods_of(loop: Loop) -> tuple[Method, ...]:
    """Return stillflow's way, and both baselines given the same matte, velocity and cycles."""
    arrays = loop.arrays
    return (
        Method("stillflow", loop.scene.frame, loop_sources(arrays)),
        Method("repeat the photo", lambda t: repeat_photo(arrays, t), None),
        Method("plain warp", lambda t: plain_warp(arrays, t), lambda t: straight_sources(arrays, t)),
    )


def measure(
    files: Sequence[Path],
    *,
    size: int = 960,
    seconds: float = 4.0,
    fps: float = 30.0,
    sheets: Path | None = None,
    bundle: str | None = None,
    velocity: Path | None = None,
    mask: Path | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Animate photos and first frames of clips with nothing else said, and measure the loops beside both baselines.

    Args:
        files: pictures, and videos of a fixed camera.
        size: longest side of the loops, pixels.
        seconds: length of a loop; a shorter clip's loop is as long as the clip.
        fps: frames a second; a clip's loop has the clip's own.
        sheets: folder for one contact sheet a file; None draws none.
        bundle: another bundle than the default one.
        velocity: true velocity of the one file given, pixels a frame; see ``real_motion.told``.
        mask: what truly moves in it.
        report: is told what is being measured.

    Returns:
        Rows of the suite "quality".

    Raises:
        StillflowError: a file cannot be read, or one truth is given for several files.
    """
    if (velocity or mask) and len(files) != 1:
        raise StillflowError(
            "cannot say which file the truth belongs to",
            f"{len(files)} files are named beside --truth-velocity or --truth-mask",
            "name one photo or clip: stillflow-bench quality river.jpg --truth-velocity river.flo",
        )
    animator = Animator(bundle, device="cpu")
    rows: list[Row] = []
    for path in files:
        report(path.stem)
        clip = read_clip(path, size=size, seconds=seconds) if is_clip(path) else None
        if clip is None:
            photo = Photo.fitted(load_photo(path), size)
            loop = animator.animate(photo, seconds=seconds, fps=fps)
        else:
            loop = animator.animate(clip.photo, seconds=len(clip.frames) / clip.fps, fps=clip.fps)
        real = told(loop.scene.height, loop.scene.width, velocity, mask, clip)
        rows += measure_loop(path.stem, loop, real, clip)
        if sheets is not None:
            target = sheets / f"{path.stem}.png"
            if clip is None:
                sheet.write(target, loop, path.stem)
            else:
                clip_sheet.write(target, loop, clip, real)
    return rows


def measure_loop(
    name: str, loop: Loop, real: RealMotion | None = None, clip: Clip | None = None
) -> list[Row]:
    """Measure one loop and its baselines.

    Args:
        name: of the photo, in the rows.
        loop: any loop.
        real: how it truly moves, as far as it is known.
        clip: what truly happens; the loop is made of its first frame, with its frame rate.
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
    if real is not None:
        about["truth"] = real.said_by
    core = np.asarray(arrays.matte == 255)
    step = loop_step(arrays)
    rows: list[Row] = []
    for method in methods_of(loop):
        path = PathWatch(step, core)
        near = None if clip is None or real is None else FidelityWatch(clip.frames.__getitem__, real.moves)
        watches: list[Watch] = [path] if near is None else [path, near]
        found = figures(arrays.photo, arrays.matte, method.render, arrays.frames, watches)
        told_of = {**about, "method": method.name}
        rows += _rows(told_of, found, judged=method.name == "stillflow")
        if found.detail:
            gone = uncovered(arrays, method.sources) if method.sources else (0.0,) * arrays.frames
            rows += _path_rows(told_of, path.changes(), gone)
        rows += _motion_rows(told_of, arrays, real, moves=method.sources is not None)
        rows += _fidelity_rows(told_of, near)
    return rows if clip is None else [*rows, *_clip_rows({**about, "method": REAL}, arrays, clip, real)]


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


def _path_rows(about: dict[str, Any], changes: Sequence[float], gone: Sequence[float]) -> list[Row]:
    """Rows of curves over the loop: change along the path, and area without a source."""
    return [
        _row(about, "flicker along the path", "levels", changes, "mean"),
        _row(about, "uncovered", "", gone, "mean"),
        _row(about, "uncovered, most", "", (max(gone),)),
    ]


def _motion_rows(
    about: dict[str, Any], arrays: SceneArrays, real: RealMotion | None, *, moves: bool
) -> list[Row]:
    """Rows about what moves and how, against the truth; whoever shows the photo moves nothing."""
    if real is None:
        return []
    found = played_velocity(arrays) * np.float32(moves)
    rows = []
    for name, unit, value in (
        ("endpoint error", "pixels a frame", endpoint_error(found, real)),
        ("angular error", "degrees", direction_error(found, real)),
        ("matte IoU", "", overlap((arrays.matte > 1) & moves, real.moves) if real.matte_known else None),
    ):
        if value is not None:
            rows.append(_row(about, name, unit, (value,)))
    return rows


def _fidelity_rows(about: dict[str, Any], near: FidelityWatch | None) -> list[Row]:
    """Rows of frames against the clip's frames at the same times."""
    if near is None:
        return []
    curves = (
        ("PSNR", "dB", near.psnr_whole),
        ("PSNR where it truly moves", "dB", near.psnr_moving),
        ("SSIM", "", near.ssim_whole),
        ("SSIM where it truly moves", "", near.ssim_moving),
    )
    return [_row(about, name, unit, curve, "mean") for name, unit, curve in curves if curve]


def _clip_rows(about: dict[str, Any], arrays: SceneArrays, clip: Clip, real: RealMotion | None) -> list[Row]:
    """Rows of the real frames, where the loop moves: what a camera's detail, steps and flicker are."""
    path = PathWatch(_measured_step(arrays, real), np.asarray(arrays.matte == 255))
    found = figures(
        *(arrays.photo, arrays.matte, lambda t: clip.frames[int(t)], len(clip.frames), [path]), closed=False
    )
    if not found.detail:
        return []
    rows = [row for row in _rows(about, found, judged=False) if row.name in SEEN_BY_A_CAMERA]
    return [*rows, _row(about, "flicker along the path", "levels", path.changes(closed=False), "mean")]


SEEN_BY_A_CAMERA = ("detail", "detail, least", "detail, most", "step", "flicker")
"""Figures that mean something for frames that need not close nor stand still."""


def _measured_step(arrays: SceneArrays, real: RealMotion | None) -> Step:
    """The true velocity as a field that an eye follows."""
    h, w = field_shape(arrays.height, arrays.width)
    if real is None or real.velocity is None:
        still: FloatArray = np.zeros((h, w, 2), np.float32)
        return lambda _: still
    small = cv2.resize(real.velocity, (w, h), interpolation=cv2.INTER_AREA) / np.float32(FIELD_SCALE)
    field = np.asarray(small, np.float32)
    return lambda _: field


def _row(
    about: dict[str, Any], name: str, unit: str, samples: Sequence[float], summary: Summary = "median"
) -> Row:
    return Row("quality", name, unit, tuple(samples), about, summary=summary)
