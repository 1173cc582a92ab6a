# SPDX-License-Identifier: Apache-2.0
"""Training samples for the flow network: single places of augmented photos and composites."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch

from stillflow.flow import VELOCITY_UNIT
from stillflow.guidance import Arrow
from stillflow_export.networks.flow import STRIDE, SurfaceMeasures
from stillflow_training.labels import LabelledPhoto

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]

RARE = (0.02, (3, 4, 6, 7, 8))
"""Photos with this share of any of these classes, and still ones, are seen twice as often."""


@dataclass(eq=False)
class Sample:
    """What one training step sees of one picture, all at the input's size.

    photo (H, W, 3) float32 0..1; classes (H, W) uint8; moves (H, W) float32; velocity (H, W, 2) float32
    widths a second; weight (H, W) float32, trust in the velocity; either (H, W) uint8, 1 where the opposite
    sideways direction would do.
    """

    photo: FloatArray
    classes: ByteArray
    moves: FloatArray
    velocity: FloatArray
    weight: FloatArray
    either: ByteArray


@dataclass(frozen=True, eq=False)
class Cells:
    """Single places of many photos, (n, ...) torch tensors: what the network measures there, and the truth.

    measures (n, channels) float16; classes (n,) int64; moves, velocity (n, 2; tenths of a width a second)
    and weight (trust in the velocity) float32.
    """

    measures: torch.Tensor
    classes: torch.Tensor
    moves: torch.Tensor
    velocity: torch.Tensor
    weight: torch.Tensor

    def __len__(self) -> int:
        return len(self.classes)


def draw_cells(
    photos: list[LabelledPhoto],
    measures: SurfaceMeasures,
    *,
    views: int,
    places: int,
    long_side: int,
    seed: int,
) -> Cells:
    """Measure random places of augmented views of photos.

    Args:
        photos: labelled training photos.
        measures: the network's fixed part.
        views: augmented views of each photo; the rare and the still ones get twice as many.
        places: cells of each view.
        long_side: pixels of a view.
        seed: of all choices.
    """
    rng = np.random.default_rng(seed)
    short = max(32, round(long_side * 0.7 / 32) * 32)
    columns: list[list[npt.NDArray]] = [[] for _ in range(5)]
    for item in photos:
        shares = np.bincount(item.classes.ravel(), minlength=10) / item.classes.size
        rare = any(shares[c] > RARE[0] for c in RARE[1]) or not item.moves.any()
        for _ in range(views * 2 if rare else views):
            size = (
                (short, long_side) if item.classes.shape[1] >= item.classes.shape[0] else (long_side, short)
            )
            sample = pasted(rng, photos, item, size)
            settle_directions(sample)
            for column, values in zip(columns, _measure(rng, sample, measures, places), strict=True):
                column.append(values)
    found, classes, moves, velocity, weight = (torch.from_numpy(np.concatenate(c)) for c in columns)
    return Cells(found, classes.long(), moves, velocity, weight)


def _measure(
    rng: np.random.Generator, sample: Sample, measures: SurfaceMeasures, places: int
) -> tuple[npt.NDArray, ...]:
    """Measures and truth at random places of one view."""
    height, width = sample.classes.shape
    row = np.broadcast_to(np.linspace(0, 1, height, dtype=np.float32)[:, None], (height, width))
    photo = colour_jitter(rng, sample.photo).transpose(2, 0, 1)
    with torch.no_grad():
        place, line, whole = measures(
            torch.from_numpy(np.ascontiguousarray(photo)[None]),
            torch.from_numpy(np.ascontiguousarray(row)[None, None]),
        )
    y = rng.integers(place.shape[2], size=places)
    x = rng.integers(place.shape[3], size=places)
    found = torch.cat([place[0, :, y, x], line[0, :, y, 0], whole[0, :, :, 0].expand(-1, places)])
    at = (y * STRIDE + STRIDE // 2, x * STRIDE + STRIDE // 2)
    velocity = sample.velocity[at] * np.float32(VELOCITY_UNIT)
    return found.T.half().numpy(), sample.classes[at], sample.moves[at], velocity, sample.weight[at]


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
    return Sample(photo.astype(np.float32) / 255, classes, moves, velocity, weight, either)


def pasted(
    rng: np.random.Generator, photos: list[LabelledPhoto], item: LabelledPhoto, size: tuple[int, int]
) -> Sample:
    """An augmented view; one time in five a region of another photo is pasted in."""
    sample = _warp(rng, item, size)
    if rng.random() < 0.2:
        other = _warp(rng, photos[rng.integers(len(photos))], size)
        present = [c for c in np.unique(other.classes) if c != 9 and 0.02 < (other.classes == c).mean() < 0.7]
        if present:
            c = rng.choice(present)
            soft = cv2.GaussianBlur((other.classes == c).astype(np.float32), (0, 0), 0.8)
            hard = soft > 0.5
            sample.photo = sample.photo * (1 - soft[..., None]) + other.photo * soft[..., None]
            for name in ("classes", "moves", "velocity", "weight", "either"):
                getattr(sample, name)[hard] = getattr(other, name)[hard]
    return sample


def settle_directions(sample: Sample) -> None:
    """Where left and right are equally true, go right on average: the mean of both would be no motion."""
    for c in np.unique(sample.classes[sample.either > 0]):
        mine = (sample.either > 0) & (sample.classes == c)
        if float(sample.velocity[..., 0][mine].mean()) < 0:
            sample.velocity[..., 0][mine] *= -1


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
