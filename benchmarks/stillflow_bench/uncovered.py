# SPDX-License-Identifier: Apache-2.0
"""What the generator adds: loops over procedural scenes with it and without, against what was really hidden.

A scene's surface is known everywhere, also behind what stands in front and beyond the picture. So the truth of a frame
is the blend of both sources, by the kernels' own rule, as they would be if nothing were hidden. Unlike the validation
in training, which plays pictures as large as a field, this plays scenes through the runtime as it is shipped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.animator import Animator
from stillflow.flow import Run
from stillflow.generator import Generator, generator_from
from stillflow.kernels.arrays import ByteArray, FloatArray, field_shape
from stillflow.kernels.reference import (
    LUMA,
    STATISTICS_RADIUS,
    VARIANCE_FLOOR,
    box_mean,
    grid,
    lookup,
    low_pass,
    trace,
)
from stillflow.motion import FLOW_CLASSES, Motion
from stillflow.photo import Photo
from stillflow.scene import Scene, build_scene, local_mean
from stillflow_bench.along_path import path_change
from stillflow_bench.fidelity import psnr_of
from stillflow_bench.quality import DETAIL_SIGMA, luma
from stillflow_bench.report import Row
from stillflow_bench.truth import textures
from stillflow_training.labels import LabelledPhoto

GENERATOR_OUTPUTS = ("plate", "blend")
"""What the manifest gives to the network or to a closed form."""

INSIDE_GAIN, LOST_GAIN = 1.0, 3.0
"""dB over the closed form: inside the moving area, and where both sources are invalid."""

DETAIL_LIMITS = (0.9, 1.05)

SIZE = (256, 384)
"""(height, width) of the scenes: fields are then multiples of 32, as the network wants them."""

CUT_SIZE = (128, 192)
"""(height, width) at which parts of real layers are hidden."""

SECONDS, FPS = 1.5, 16.0
"""A loop of 24 frames, too short for a second cross-fade cycle."""

TRAVEL = (0.04, 0.15)
"""Picture widths that the surface travels in one loop; above 0.2 the runtime would slow it down."""

MOMENTS = (0.25, 0.5, 0.75)
"""Where in the loop frames are compared with the truth."""

INVALID = 0.5
"""Confidence under which a source counts as invalid."""

LEAST_PIXELS = 64
"""Fewer pixels than this say nothing about a scene."""

SCENES = 24
"""Scenes, the same ones every time."""

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Play:
    """A procedural scene played as a loop.

    Attributes:
        photo: its first moment.
        motion: its true motion, in widths a second of the loop.
        layer: maps seconds of the loop to the true surface (H, W, 3) float32 0..255.
        inside: (H, W) bool, where nothing but the surface is seen.
    """

    photo: Photo
    motion: Motion
    layer: Callable[[float], FloatArray]
    inside: BoolArray


@dataclass(frozen=True)
class Score:
    """Figures of one loop: mean squared errors of values 0..255 (NaN without pixels), and what the eye sees.

    ``inside`` and ``lost`` are against the scene's own frames, ``unhidden`` against the loop of ``unhidden_loop``.
    """

    inside: float
    lost: float
    change: float
    detail: float
    unhidden: float = float("nan")


def measure(
    animator: Animator,
    items: Sequence[LabelledPhoto],
    *,
    scenes: int = SCENES,
    report: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Play procedural scenes with the generator network and without.

    The network plays both of its outputs here, also where the manifest leaves them to closed forms; ``played`` says
    which it does.

    Args:
        animator: whose generator is asked.
        items: photos that scenes are textured with, and whose layers are cut; none draws noise and cuts nothing.
        scenes: how many.
        report: is told what is measured.

    Returns:
        Rows of the part "generator".

    Raises:
        ImportError: torch, which draws the scenes, is not installed.
    """
    run = animator.session("generator").run
    generator = generator_from(run)
    rng = np.random.default_rng(2468)
    pictures = textures(items)
    made: list[Score] = []
    closed: list[Score] = []
    while len(made) < scenes:
        play = draw_play(rng, pictures)
        if play is not None:
            report(f"scene {len(made) + 1} of {scenes}")
            plain = scene_of(play, None)
            made.append(score(play, scene_of(play, generator), plain))
            closed.append(score(play, plain, plain))
    outputs = animator.bundle.manifest.outputs
    played = {name: outputs.get(name, "closed form") for name in GENERATOR_OUTPUTS}
    rows = loop_rows(made, closed, {"played": played})
    return [*rows, *plate_rows(run, items, played)]


def draw_play(rng: np.random.Generator, pictures: Sequence[ByteArray]) -> Play | None:
    """Draw a scene and how fast it is played; None where next to nothing moves."""
    from stillflow_training.generator_loops import LOOP_KINDS
    from stillflow_training.procedural import make_scene

    height, width = SIZE
    scene = make_scene(rng, height, width, list(pictures), kind=str(rng.choice(LOOP_KINDS)))
    travel = float(rng.uniform(*TRAVEL))
    inside = scene.matte > 0.98
    if inside.mean() < 0.05:
        return None
    speeds = np.hypot(scene.velocity[..., 0], scene.velocity[..., 1])[inside]
    faster = travel / max(float(np.percentile(speeds, 90)) * SECONDS, 1e-6)
    h, w = field_shape(height, width)
    velocity = scene.velocity * np.float32(faster)
    # Around the surface a scene's classes are those of the photo that is seen there, and all of it stands still.
    classes = np.where(scene.matte > 0.5, scene.classes, 0).astype(np.uint8)
    motion = Motion(
        velocity=np.asarray(cv2.resize(velocity, (w, h), interpolation=cv2.INTER_AREA), np.float32),
        matte=np.asarray(cv2.resize(scene.matte, (w, h), interpolation=cv2.INTER_AREA), np.float32),
        classes=np.asarray(cv2.resize(classes, (w, h), interpolation=cv2.INTER_NEAREST), np.uint8),
        confidence=np.ones((h, w), np.float32),
        sway=np.zeros((0, h, w, 4), np.float32),
        height=height,
        width=width,
    )
    photo = Photo.from_array(scene.render(0.0))
    return Play(photo, motion, lambda seconds: scene.layer(seconds * faster), np.asarray(inside))


def scene_of(play: Play, generator: Generator | None) -> Scene:
    """Prepare the loop, with every output of the generator or with none."""
    outputs = dict.fromkeys(GENERATOR_OUTPUTS, "network") if generator else {}
    return build_scene(
        play.photo, play.motion, seconds=SECONDS, fps=FPS, generator=generator, outputs=outputs
    )


def score(play: Play, scene: Scene, plain: Scene) -> Score:
    """Compare a loop with the truth, and look at how it changes along the path.

    Args:
        play: the procedural scene.
        scene: made of it, one cycle long.
        plain: the closed form's, whose confidence says where no source is valid.
    """
    frames = scene.frames
    core = play.inside & (scene.matte == 255)
    inside: list[float] = []
    lost: list[float] = []
    unhidden: list[float] = []
    whole = unhidden_loop(play, plain)
    for moment in MOMENTS:
        time = moment * frames
        truth = true_blend(play.layer(time / FPS), play.layer((time - frames) / FPS), 1 - moment)
        frame = scene.frame(time).astype(np.float32)
        square = ((frame - truth) ** 2).mean(axis=2)
        if core.sum() >= LEAST_PIXELS:
            unhidden.append(float(((frame - whole.frame(time)) ** 2)[core].mean()))
        gone = core & invalid(plain, time)
        inside += [float(square[core].mean())] if core.sum() >= LEAST_PIXELS else []
        lost += [float(square[gone].mean())] if gone.sum() >= LEAST_PIXELS else []
    middle, after = (luma(scene.frame(t)) for t in (frames // 2, frames // 2 + 1))
    return Score(
        inside=float(np.mean(inside)) if inside else float("nan"),
        lost=float(np.mean(lost)) if lost else float("nan"),
        change=path_change(middle, after, scene.arrays.velocity, core),
        detail=_detail(middle, core) / max(_detail(luma(play.photo.pixels), core), 1e-6),
        unhidden=float(np.mean(unhidden)) if unhidden else float("nan"),
    )


def unhidden_loop(play: Play, plain: Scene) -> Scene:
    """The same loop if nothing were hidden: the true surface beyond the edge, and full confidence.

    What quarter-size motion and gathers lose is lost here too, so that a comparison with it sees only what the
    generator is there for.

    Args:
        play: the procedural scene.
        plain: the closed form's loop of it.
    """
    arrays = plain.arrays
    surface = np.clip(np.rint(play.layer(0.0)), 0, 255).astype(np.uint8)
    plate = np.ascontiguousarray(np.where((arrays.matte == 0)[..., None], surface, arrays.plate))
    inside = np.ones_like(arrays.inside)
    return Scene(arrays=replace(arrays, plate=plate, low=local_mean(plate), inside=inside), fps=plain.fps)


def true_blend(a: FloatArray, b: FloatArray, weight: float) -> FloatArray:
    """Blend two whole pictures as the kernels blend two sources (``stillflow.kernels.reference.fields``).

    Args:
        a: (H, W, 3) float32 0..255.
        b: likewise.
        weight: of ``a``, 0..1.

    Returns:
        (H, W, 3) float32 0..255.
    """
    size = a.shape[1::-1]
    lows = [low_pass(np.asarray(np.rint(source), np.uint8)) for source in (a, b)]
    rows, columns = (np.arange(n, dtype=np.float32) * 4 + 1.5 for n in lows[0].shape[:2])
    at = np.ix_((rows + 0.5).astype(np.int32), (columns + 0.5).astype(np.int32))
    fine_a, fine_b = (
        np.asarray((s[at] - low) @ LUMA, np.float32) for s, low in zip((a, b), lows, strict=True)
    )
    floor = np.float32(VARIANCE_FLOOR)
    variances = [box_mean(fine * fine, STATISTICS_RADIUS) + floor for fine in (fine_a, fine_b)]
    together = box_mean(fine_a * fine_b, STATISTICS_RADIUS) + floor
    rho = np.clip(together / np.sqrt(variances[0] * variances[1]), 0, 1)
    w = np.float32(weight)
    gain = cv2.resize(1 / np.sqrt(w * w + (1 - w) ** 2 + 2 * w * (1 - w) * rho), size)[..., None]
    mean = cv2.resize(w * lows[0] + (1 - w) * lows[1], size)
    return np.asarray(np.clip(mean + (w * a + (1 - w) * b - mean) * gain, 0, 255), np.float32)


def invalid(scene: Scene, time: float) -> BoolArray:
    """Where neither source of a frame shows the surface.

    Args:
        scene: of one cycle.
        time: in frames.

    Returns:
        (H, W) bool.
    """
    arrays = scene.arrays
    x, y = grid(*arrays.inside.shape)
    best = np.zeros_like(arrays.inside)
    for past in (-time, scene.frames - time):
        d = trace(arrays.velocity, past)
        px, py = x + d[..., 0], y + d[..., 1]
        shown = (px >= 0) & (px <= x.shape[1] - 1) & (py >= 0) & (py <= x.shape[0] - 1)
        best = np.maximum(best, lookup(arrays.inside, px, py) * shown)
    return np.asarray(cv2.resize(best, (scene.width, scene.height)) < INVALID)


def loop_rows(made: Sequence[Score], closed: Sequence[Score], about: dict[str, Any]) -> list[Row]:
    """Rows of loops with the network beside those of the same scenes without."""
    closed_forms = [
        k for k, form in about.get("played", {}).items() if form not in ("network", "closed form")
    ]
    note = f"; the manifest plays closed forms for {' and '.join(closed_forms)}" if closed_forms else ""
    rows = []
    for name, key, gain in (
        ("PSNR inside the moving area", "inside", INSIDE_GAIN),
        ("PSNR where both sources are invalid", "lost", LOST_GAIN),
        ("PSNR against the loop with nothing hidden", "unhidden", INSIDE_GAIN),
    ):
        ours, theirs = ([psnr_of(getattr(s, key)) for s in scores] for scores in (made, closed))
        known = [i for i, value in enumerate(ours) if np.isfinite(value)]
        if known:
            base = float(np.mean([theirs[i] for i in known]))
            values = [ours[i] for i in known]
            aim = f"{gain:g} dB above the closed form{note}"
            rows.append(_row(name, "dB", values, base, base + gain, "at least", aim, about))
    change = float(np.mean([s.change for s in closed]))
    aim = "no more than the closed form"
    rows.append(
        _row(
            *("flicker along the path", "levels", [s.change for s in made], change, change, "at most"),
            *(aim, about),
        )
    )
    detail = [s.detail for s in made]
    base = float(np.mean([s.detail for s in closed]))
    rows.append(_row("detail energy half way", "", detail, base, DETAIL_LIMITS[0], "at least", "", about))
    rows.append(_row("the same", "", detail, base, DETAIL_LIMITS[1], "at most", "", about))
    return rows


def plate_rows(run: Run, items: Sequence[LabelledPhoto], played: dict[str, str], cuts: int = 24) -> list[Row]:
    """One row: parts of real photos' layers, hidden and filled by the network, beside push-pull."""
    from stillflow_training.generator_samples import draw_cuts

    fit = [item for item in items if item.photo.shape[:2] == item.classes.shape]
    if not any(np.isin(item.classes, FLOW_CLASSES).mean() > 0.1 for item in fit):
        return []
    batch = draw_cuts(np.random.default_rng(1357), fit, cuts, CUT_SIZE)
    ours: list[float] = []
    theirs: list[float] = []
    for field, truth, hidden in zip(batch["field"], batch["truth"], batch["hidden"], strict=True):
        filled = run({"field": field[None]})["plate"][0]
        for values, colours in ((ours, filled), (theirs, field[:3])):
            square = ((colours - truth) ** 2).mean(axis=0)
            values.append(psnr_of(float(square[hidden > 0.5].mean()) * 255**2))
    name = "PSNR of hidden parts of real layers"
    return [_row(name, "dB", ours, float(np.mean(theirs)), None, "at least", "", {"played": played})]


def _row(
    name: str,
    unit: str,
    samples: Sequence[float],
    base: float,
    limit: float | None,
    side: Any,
    aim: str,
    about: dict[str, Any],
) -> Row:
    return Row(
        *("quality", name, unit, tuple(samples), about, limit, side),
        part="generator",
        summary="mean",
        baselines={"closed form": base},
        aim=aim,
    )


def _detail(gray: FloatArray, core: BoolArray) -> float:
    """Variance of what a Gaussian of ``DETAIL_SIGMA`` takes away, over the core."""
    fine = gray - cv2.GaussianBlur(gray, (0, 0), DETAIL_SIGMA)
    return float((fine[core] ** 2).mean()) if core.any() else 0.0
