# SPDX-License-Identifier: Apache-2.0
"""Training samples for the flow network: augmented labelled photos, composites and procedural scenes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from stillflow.flow import VELOCITY_UNIT, hint_planes
from stillflow.guidance import Arrow, Hints
from stillflow.motion import FLOW_CLASSES

from stillflow_training.labels import LabelledPhoto
from stillflow_training.procedural import make_scene

FloatArray = npt.NDArray[np.float32]


@dataclass(eq=False)
class Sample:
    """What one training step sees of one picture, all at the input's size.

    photo (H, W, 3) float32 0..1; classes (H, W) uint8; moves (H, W) float32; velocity (H, W, 2) float32
    widths a second; weight (H, W) float32; labelled (H, W) float32, 1 where classes are true; flipped:
    mirrored left to right.
    """

    photo: FloatArray
    classes: npt.NDArray[np.uint8]
    moves: FloatArray
    velocity: FloatArray
    weight: FloatArray
    labelled: FloatArray
    flipped: bool = False


def draw_batch(
    rng: np.random.Generator, photos: list[LabelledPhoto], count: int, size: tuple[int, int], procedural: float
) -> list[npt.NDArray[np.float32]]:
    """Draw one batch.

    Args:
        rng: state.
        photos: labelled training photos.
        count: samples in the batch.
        size: (height, width), multiples of 32.
        procedural: share of procedural scenes, 0..1.

    Returns:
        photo (n, 3, H, W), hints (n, 6, H, W), classes (n, H/2, W/2), moves, velocity (n, 2, ...), weight,
        labelled: float32, the targets at half size.
    """
    rows = []
    for _ in range(count):
        sample = _procedural(rng, photos, size) if rng.random() < procedural else _labelled(rng, photos, size)
        hints = draw_hints(rng, sample)
        planes = hint_planes(hints, *size)
        if sample.flipped and not hints.arrows:
            # Where nothing in the picture tells left from right (clouds, ripples) the labels follow one
            # habit; a flipped photo would teach the mean of both: no motion at all. Falls stay.
            sample.weight = sample.weight * (np.abs(sample.velocity[..., 1]) > 2 * np.abs(sample.velocity[..., 0]))
        half = (size[1] // 2, size[0] // 2)
        rows.append(
            (
                colour_jitter(rng, sample.photo).transpose(2, 0, 1),
                planes,
                sample.classes[::2, ::2].astype(np.float32),
                cv2.resize(sample.moves, half, interpolation=cv2.INTER_AREA),
                sample.velocity[::2, ::2].transpose(2, 0, 1) * VELOCITY_UNIT,
                sample.weight[::2, ::2],
                sample.labelled[::2, ::2],
            )
        )
    return [np.ascontiguousarray(np.stack(column), np.float32) for column in zip(*rows, strict=True)]


def _warp(rng: np.random.Generator, item: LabelledPhoto, size: tuple[int, int]) -> Sample:
    """A random crop, flip, slight turn and stretch of one labelled photo."""
    height, width = item.classes.shape
    h, w = size
    part = rng.uniform(0.5, 1.0) if rng.random() < 0.75 else 1.0
    stretch = np.exp(rng.uniform(-0.2, 0.2))
    crop_w = min(width, width * part * stretch)
    crop_h = min(height, height * part / stretch)
    left, top = rng.uniform(0, width - crop_w), rng.uniform(0, height - crop_h)
    turn = rng.normal(0, 4.0) if rng.random() < 0.5 else 0.0
    flip = rng.random() < 0.5
    # Output pixel -> source pixel: scale about the crop's centre, turned by a few degrees.
    a = np.deg2rad(turn)
    sx, sy = crop_w / w * (-1 if flip else 1), crop_h / h
    matrix = np.array([[np.cos(a) * sx, -np.sin(a) * sy, 0], [np.sin(a) * sx, np.cos(a) * sy, 0]], np.float64)
    centre = np.array([left + crop_w / 2, top + crop_h / 2])
    matrix[:, 2] = centre - matrix[:, :2] @ np.array([w / 2, h / 2])

    def warp(array: npt.NDArray, flags: int, border: int = cv2.BORDER_REFLECT_101) -> npt.NDArray:
        return cv2.warpAffine(array, matrix, (w, h), flags=flags | cv2.WARP_INVERSE_MAP, borderMode=border)

    photo = warp(item.photo, cv2.INTER_LINEAR)
    classes = warp(item.classes, cv2.INTER_NEAREST)
    moves = warp(item.moves, cv2.INTER_NEAREST).astype(np.float32)
    weight = warp(item.weight, cv2.INTER_NEAREST)
    # Velocity in source pixels a second, turned into output pixels, then into output widths.
    v = warp(item.velocity, cv2.INTER_NEAREST) * width
    inverse = np.linalg.inv(matrix[:, :2]).astype(np.float32)
    velocity = (v @ inverse.T) / w
    return Sample(
        photo=photo.astype(np.float32) / 255,
        classes=classes,
        moves=moves,
        velocity=velocity.astype(np.float32),
        weight=weight,
        labelled=np.ones((h, w), np.float32),
        flipped=flip,
    )


def _labelled(rng: np.random.Generator, photos: list[LabelledPhoto], size: tuple[int, int]) -> Sample:
    """An augmented photo; one time in four a region of another photo is pasted in."""
    sample = _warp(rng, photos[rng.integers(len(photos))], size)
    if rng.random() < 0.25:
        other = _warp(rng, photos[rng.integers(len(photos))], size)
        present = [c for c in np.unique(other.classes) if c != 9 and (other.classes == c).mean() > 0.02]
        if present:
            c = rng.choice(present)
            soft = cv2.GaussianBlur((other.classes == c).astype(np.float32), (0, 0), 0.8)
            hard = soft > 0.5
            sample.photo = sample.photo * (1 - soft[..., None]) + other.photo * soft[..., None]
            for name in ("classes", "moves", "velocity", "weight"):
                getattr(sample, name)[hard] = getattr(other, name)[hard]
    return sample


def _procedural(rng: np.random.Generator, photos: list[LabelledPhoto], size: tuple[int, int]) -> Sample:
    """A procedural scene; its class map counts only where the layer is (the background is any photo)."""
    scene = make_scene(rng, *size, [p.photo for p in photos])
    covered = scene.matte > 0.5
    return Sample(
        photo=scene.render(0.0).astype(np.float32) / 255,
        classes=scene.classes,
        moves=covered.astype(np.float32),
        velocity=scene.velocity,
        weight=covered.astype(np.float32),
        labelled=np.zeros(size, np.float32),
    )


def draw_hints(rng: np.random.Generator, sample: Sample) -> Hints:
    """Draw what a user might have said of this sample: nothing in half the cases."""
    height, width = sample.classes.shape
    mask = still = None
    arrows: tuple[Arrow, ...] = ()
    procedural = not sample.labelled.any()
    if procedural or rng.random() < 0.5:
        kind = rng.random()
        flows = np.isin(sample.classes, FLOW_CLASSES) & (sample.weight > 0)
        if kind < 0.35 or procedural:
            mask = rough(rng, flows if rng.random() < 0.5 else sample.moves > 0.5)
        elif kind < 0.55:
            still = rough(rng, (sample.moves < 0.5) & (rng.random() < 0.8))
        if kind > 0.2 or procedural:
            arrows = draw_arrows(rng, flows & (sample.weight > 0.5), sample.velocity, int(rng.integers(1, 6)))
    return Hints(mask=mask, still=still, arrows=arrows, strength=1.0, seed=0)


def rough(rng: np.random.Generator, mask: npt.NDArray[np.bool_]) -> FloatArray:
    """A mask as a hand would draw it: grown or shrunk by a few pixels and smoothed."""
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), float(rng.uniform(0.5, 4)))
    return (soft > rng.uniform(0.25, 0.75)).astype(np.float32)


def draw_arrows(
    rng: np.random.Generator, where: npt.NDArray[np.bool_], velocity: FloatArray, count: int
) -> tuple[Arrow, ...]:
    """Draw arrows that tell the true velocity at random points of a region."""
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


def colour_jitter(rng: np.random.Generator, photo: FloatArray) -> FloatArray:
    """Exposure, contrast, colour, gray, sepia, blur and noise, as old or poor photos have them."""
    photo = photo * np.exp(rng.normal(0, 0.2)) ** rng.uniform(0.5, 1) + rng.normal(0, 0.03)
    photo = np.clip(photo, 0, 1) ** np.exp(rng.normal(0, 0.2))
    photo = photo * np.exp(rng.normal(0, 0.08, 3))
    kind = rng.random()
    gray = photo @ np.array([0.299, 0.587, 0.114])
    if kind < 0.08:
        photo = np.repeat(gray[..., None], 3, -1)
    elif kind < 0.12:
        photo = gray[..., None] * np.array([1.05, 0.9, 0.7])
    else:
        photo = gray[..., None] + (photo - gray[..., None]) * np.exp(rng.normal(0, 0.25))
    if rng.random() < 0.15:
        photo = cv2.GaussianBlur(photo, (0, 0), float(rng.uniform(0.4, 1.2)))
    if rng.random() < 0.3:
        photo = photo + rng.standard_normal(photo.shape) * rng.uniform(0.005, 0.04)
    return np.clip(photo, 0, 1).astype(np.float32)
