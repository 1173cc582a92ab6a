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
ByteArray = npt.NDArray[np.uint8]


PAINTED = {1: ("fall", "river", "waves"), 2: ("cloud",), 3: ("smoke",)}
"""Kinds of procedural scene whose texture may come from a region of this class."""

RARE = (0.02, (3, 4, 6, 7, 8))
"""Photos with this share of any of these classes, and still ones, are drawn twice as often."""


@dataclass(eq=False)
class Sample:
    """What one training step sees of one picture, all at the input's size.

    photo (H, W, 3) float32 0..1; classes (H, W) uint8; moves (H, W) float32; velocity (H, W, 2) float32
    widths a second; weight (H, W) float32, trust in the velocity; either (H, W) uint8, 1 where the opposite
    sideways direction would do; labelled (H, W) float32, 1 where classes and moves are true.
    """

    photo: FloatArray
    classes: ByteArray
    moves: FloatArray
    velocity: FloatArray
    weight: FloatArray
    either: ByteArray
    labelled: FloatArray


@dataclass(frozen=True, eq=False)
class Stock:
    """What samples are drawn from: photos, each photo's chance, and patches of moving surfaces by class."""

    photos: list[LabelledPhoto]
    chances: npt.NDArray[np.float64]
    patches: dict[int, list[ByteArray]]


def open_stock(photos: list[LabelledPhoto], seed: int) -> Stock:
    """Cut patches of water, cloud and smoke out of the photos and weigh the photos.

    Args:
        photos: training photos.
        seed: of the patches' places.
    """
    rng = np.random.default_rng(seed)
    patches: dict[int, list[ByteArray]] = {c: [] for c in PAINTED}
    chances = []
    for item in photos:
        shares = np.bincount(item.classes.ravel(), minlength=10) / item.classes.size
        rare = any(shares[c] > RARE[0] for c in RARE[1]) or not item.moves.any()
        chances.append(2.0 if rare else 1.0)
        for c in PAINTED:
            if shares[c] > 0.03:
                patches[c] += _patches(rng, item, c)
    return Stock(photos, np.array(chances) / sum(chances), patches)


def _patches(rng: np.random.Generator, item: LabelledPhoto, c: int) -> list[ByteArray]:
    """Up to three squares of 112 down to 40 pixels that lie wholly in a class."""
    found: list[ByteArray] = []
    total = cv2.integral((item.classes == c).astype(np.uint8))
    for side in (112, 80, 56, 40):
        if min(item.classes.shape) <= side:
            continue
        full = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
        ys, xs = np.nonzero(full >= 0.98 * side * side)
        if ys.size:
            picks = rng.integers(ys.size, size=3 - len(found))
            found += [item.photo[ys[i] : ys[i] + side, xs[i] : xs[i] + side] for i in picks]
            break
    return found


def draw_batch(
    rng: np.random.Generator, stock: Stock, count: int, size: tuple[int, int], procedural: float
) -> list[npt.NDArray[np.float32]]:
    """Draw one batch.

    Args:
        rng: state.
        stock: training photos and patches.
        count: samples in the batch.
        size: (height, width), multiples of 32.
        procedural: share of procedural scenes, 0..1.

    Returns:
        photo (n, 3, H, W), hints (n, 6, H, W), classes (n, H/2, W/2), moves, velocity (n, 2, ...) tenths of
        a width a second, weight, labelled, moves_known: float32, the targets at half size.
    """
    rows = []
    for _ in range(count):
        painted = rng.random() < procedural
        sample = _procedural(rng, stock, size) if painted else _labelled(rng, stock, size)
        hints, moves, known = draw_hints(rng, sample, painted)
        half = (size[1] // 2, size[0] // 2)
        rows.append(
            (
                colour_jitter(rng, sample.photo).transpose(2, 0, 1),
                hint_planes(hints, *size),
                sample.classes[::2, ::2].astype(np.float32),
                cv2.resize(moves, half, interpolation=cv2.INTER_AREA),
                sample.velocity[::2, ::2].transpose(2, 0, 1) * VELOCITY_UNIT,
                sample.weight[::2, ::2],
                sample.labelled[::2, ::2],
                known[::2, ::2],
            )
        )
    return [np.ascontiguousarray(np.stack(column), np.float32) for column in zip(*rows, strict=True)]


def _warp(rng: np.random.Generator, item: LabelledPhoto, size: tuple[int, int]) -> Sample:
    """A random crop, flip, slight turn and stretch of one labelled photo."""
    height, width = item.classes.shape
    h, w = size
    # The crop has the output's shape, up to a stretch of 25 %; a third of them are as large as fits.
    part = rng.uniform(0.45, 1.0) if rng.random() < 0.67 else 1.0
    stretch = np.exp(rng.uniform(-0.22, 0.22))
    crop_w = min(width, height * w / h) * part
    crop_h = crop_w * h / w
    crop_w, crop_h = min(width, crop_w * stretch), min(height, crop_h / stretch)
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
    velocity = ((v @ inverse.T) / w).astype(np.float32)
    either = warp(item.either, cv2.INTER_NEAREST)
    return Sample(photo.astype(np.float32) / 255, classes, moves, velocity, weight, either, np.ones((h, w), np.float32))


def _labelled(rng: np.random.Generator, stock: Stock, size: tuple[int, int]) -> Sample:
    """An augmented photo; three times in ten a region of another photo is pasted in."""
    sample = _warp(rng, _any_photo(rng, stock), size)
    if rng.random() < 0.3:
        other = _warp(rng, _any_photo(rng, stock), size)
        present = [c for c in np.unique(other.classes) if c != 9 and 0.02 < (other.classes == c).mean() < 0.7]
        if present:
            c = rng.choice(present)
            soft = cv2.GaussianBlur((other.classes == c).astype(np.float32), (0, 0), 0.8)
            hard = soft > 0.5
            sample.photo = sample.photo * (1 - soft[..., None]) + other.photo * soft[..., None]
            for name in ("classes", "moves", "velocity", "weight", "either"):
                getattr(sample, name)[hard] = getattr(other, name)[hard]
    return sample


def _any_photo(rng: np.random.Generator, stock: Stock) -> LabelledPhoto:
    return stock.photos[rng.choice(len(stock.photos), p=stock.chances)]


def _procedural(rng: np.random.Generator, stock: Stock, size: tuple[int, int]) -> Sample:
    """A procedural layer over an augmented photo, whose labels stay true where the layer is not.

    Two in three take their texture from a photographed surface, so their class is true too; the others
    are noise, which says nothing about classes and moves.
    """
    sample = _warp(rng, _any_photo(rng, stock), size)
    background = sample.photo * np.float32(255)
    c = int(rng.choice([k for k in PAINTED if stock.patches[k]] or list(PAINTED)))
    real = bool(stock.patches[c]) and rng.random() < 0.67
    textures = stock.patches[c] if real else None
    scene = make_scene(rng, *size, None, str(rng.choice(PAINTED[c])), textures=textures, background=background)
    covered = scene.matte > 0.5
    sample.photo = scene.render(0.0).astype(np.float32) / 255
    sample.classes[covered] = scene.classes[covered]
    sample.moves[covered] = 1
    sample.velocity[covered] = scene.velocity[covered]
    sample.weight = covered.astype(np.float32)
    sample.either[:] = 0
    sample.labelled[covered] = float(real)
    return sample


def draw_hints(rng: np.random.Generator, sample: Sample, painted: bool) -> tuple[Hints, FloatArray, FloatArray]:
    """Draw what a user might have said of this sample: nothing in half the cases.

    A painted layer has arrows four times in five; without them only a fall's direction can be known.
    Where a still cannot tell left from right, the truth without arrows is to the right; with arrows it is
    what they say. Sets the sample's velocity and weight to match.

    Returns:
        hints; moves (H, W), the truth that goes with them; known (H, W), 1 where that truth counts.
    """
    guided = rng.random() < (0.8 if painted else 0.5)
    flows = np.isin(sample.classes, FLOW_CLASSES) & (sample.weight > 0)
    moves, known = sample.moves.copy(), sample.labelled.copy()
    mask = still = None
    arrows: tuple[Arrow, ...] = ()
    if guided:
        kind = rng.random()
        if kind < 0.4:
            truth = flows if rng.random() < 0.5 else sample.moves > 0.5
            mask, moves = rough(rng, truth), truth.astype(np.float32)
            known[:] = 1
        elif kind < 0.6:
            truth = sample.classes == rng.choice(np.unique(sample.classes))
            still = rough(rng, truth)
            moves[truth] = 0
            known[truth] = 1
        with_arrows = painted or kind > 0.2
    else:
        with_arrows = False
    settle_directions(rng, sample, with_arrows)
    if with_arrows:
        arrows = draw_arrows(rng, flows & (sample.weight > 0.5), sample.velocity, int(rng.integers(1, 6)), jitter=0.1)
    if painted and not arrows:
        downward = np.abs(sample.velocity[..., 0]) < 0.4 * sample.velocity[..., 1]
        sample.weight = sample.weight * downward
    return Hints(mask=mask, still=still, arrows=arrows, strength=1.0, seed=0), moves, known


def settle_directions(rng: np.random.Generator, sample: Sample, guided: bool) -> None:
    """Where left and right are equally true: to the right on average, either way when guided."""
    for c in np.unique(sample.classes[sample.either > 0]):
        mine = (sample.either > 0) & (sample.classes == c)
        across = float(sample.velocity[..., 0][mine].mean())
        if (guided and rng.random() < 0.5) or (not guided and across < 0):
            sample.velocity[..., 0][mine] *= -1


def rough(rng: np.random.Generator, mask: npt.NDArray[np.bool_]) -> FloatArray:
    """A mask as a hand would draw it: grown or shrunk by a few pixels and smoothed."""
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), float(rng.uniform(0.5, 4)))
    return (soft > rng.uniform(0.25, 0.75)).astype(np.float32)


def draw_arrows(
    rng: np.random.Generator, where: npt.NDArray[np.bool_], velocity: FloatArray, count: int, jitter: float = 0.0
) -> tuple[Arrow, ...]:
    """Draw arrows that tell the velocity at random points of a region, off by jitter (radians; log-speed)."""
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
        if jitter:
            turn = rng.normal(0, jitter)
            vx, vy = vx * np.cos(turn) - vy * np.sin(turn), vx * np.sin(turn) + vy * np.cos(turn)
            wrong = np.exp(rng.normal(0, jitter))
            vx, vy, speed = vx * wrong, vy * wrong, speed * wrong
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
    photo = photo * np.exp(rng.normal(0, 0.15)) + rng.normal(0, 0.03)
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
