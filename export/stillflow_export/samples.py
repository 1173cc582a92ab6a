# SPDX-License-Identifier: Apache-2.0
"""Inputs to judge exported graphs with: procedural ones that need no file, and real photos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from stillflow import flow, generator
from stillflow.flow import hint_planes
from stillflow.generator import generator_field
from stillflow.guidance import Arrow, Hints
from stillflow.photo import load_photo

FloatArray = npt.NDArray[np.float32]

SIZES = ((32, 64), (96, 160), (320, 192), (192, 320), (320, 320))
"""Heights and widths of the procedural samples: square, both orientations, smallest and largest in use. The first is
that of the test vectors, which are shipped: four of them take 0.45 MB."""

SEED = 20_000
"""First seed of the procedural samples; nothing hangs on its value."""


@dataclass(frozen=True)
class Sample:
    """One input of a graph.

    Attributes:
        name: for receipts, with size, guidance and seed or file name in it.
        inputs: array by input name.
    """

    name: str
    inputs: dict[str, FloatArray]


@dataclass(frozen=True, eq=False)
class Picture:
    """What inputs are made of.

    Attributes:
        name: for receipts, with the size in it.
        pixels: (h, w, 3) float32 0..1, sides as the graph wants them.
        seed: for what a sample needs beside the picture, such as a mask.
    """

    name: str
    pixels: FloatArray
    seed: int


def pictures(
    photos: Sequence[Path], sizes: Sequence[tuple[int, int]], *, multiple: int, long_side: int
) -> Iterator[Picture]:
    """Yield a procedural picture for each size, then the photos.

    Args:
        photos: picture files.
        sizes: (height, width) of the procedural pictures, multiples of ``multiple``.
        multiple: both sides of a photo are brought to a multiple of this, the nearest.
        long_side: longer side that a photo is brought to; smaller ones keep their size.

    Raises:
        StillflowError: a photo cannot be read.
    """
    for i, (h, w) in enumerate(sizes):
        yield Picture(f"procedural {w}x{h} seed {SEED + i}", procedural_picture(h, w, SEED + i), SEED + i)
    for i, path in enumerate(photos):
        pixels = load_photo(path).pixels
        scale = min(1.0, long_side / max(pixels.shape[:2]))
        h, w = (max(multiple, round(n * scale / multiple) * multiple) for n in pixels.shape[:2])
        small = cv2.resize(pixels, (w, h), interpolation=cv2.INTER_AREA)
        yield Picture(f"photo {path.name} {w}x{h}", (small / 255).astype(np.float32), SEED + 1000 + i)


def flow_samples(
    photos: Sequence[Path] = (),
    sizes: Sequence[tuple[int, int]] = SIZES,
    *,
    long_side: int = flow.LONG_SIDE,
) -> Iterator[Sample]:
    """Yield inputs of our flow graph, three for each picture: without guidance, with arrows, with a still map."""
    for picture in pictures(photos, sizes, multiple=flow.MULTIPLE, long_side=long_side):
        for detail, inputs in _flow_inputs(picture.pixels, picture.seed):
            yield Sample(f"{picture.name}, {detail}", inputs)


def generator_samples(
    photos: Sequence[Path] = (),
    sizes: Sequence[tuple[int, int]] = SIZES,
    *,
    long_side: int = generator.LONG_SIDE,
) -> Iterator[Sample]:
    """Yield inputs of our generator graph, two for each picture: slow motion and fast."""
    for picture in pictures(photos, sizes, multiple=generator.MULTIPLE, long_side=long_side):
        for detail, inputs in _generator_inputs(picture.pixels, picture.seed):
            yield Sample(f"{picture.name}, {detail}", inputs)


def procedural_picture(height: int, width: int, seed: int) -> FloatArray:
    """Draw a picture with soft clouds of colour, fine grain and hard edges: (h, w, 3) float32 0..1."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    for octave in (4, 8, 16, 32, 64):
        noise = rng.normal(size=(octave, octave, 3)).astype(np.float32)
        picture += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC) / np.float32(octave**0.5)
    picture = 0.5 + 0.22 * picture
    for _ in range(6):
        centre = [int(rng.integers(0, n)) for n in (width, height)]
        axes = [int(rng.integers(3, max(4, n // 4))) for n in (width, height)]
        colour = [float(c) for c in rng.random(3)]
        cv2.ellipse(picture, (centre, axes, float(rng.integers(0, 180))), colour, -1)
    return np.clip(picture, 0, 1)


def _flow_inputs(picture: FloatArray, seed: int) -> Iterator[tuple[str, dict[str, FloatArray]]]:
    rng = np.random.default_rng(seed)
    height, width = picture.shape[:2]
    mask = (procedural_picture(height, width, seed + 7)[..., 0] > 0.5).astype(np.float32)
    ends = rng.uniform(0.1, 0.9, size=(3, 4))
    arrows = tuple(Arrow(*(float(v) for v in row)) for row in ends)
    photo = np.ascontiguousarray(picture.transpose(2, 0, 1)[None])
    for detail, hints in (
        ("no hints", Hints()),
        ("mask and 3 arrows", Hints(mask=mask, arrows=arrows)),
        ("still map", Hints(still=mask)),
    ):
        yield detail, {"photo": photo, "hints": hint_planes(hints, height, width)[None]}


def _generator_inputs(picture: FloatArray, seed: int) -> Iterator[tuple[str, dict[str, FloatArray]]]:
    rng = np.random.default_rng(seed)
    height, width = picture.shape[:2]
    shape = procedural_picture(height, width, seed + 7)
    known = (shape[..., 0] > 0.45).astype(np.float32)
    ramp = np.clip(cv2.blur(known, (9, 9)) * 2, 0.02, 1).astype(np.float32)
    turn = rng.uniform(0, 2 * np.pi)
    drift = np.array([np.cos(turn), np.sin(turn)], np.float32)
    velocity = np.ascontiguousarray(0.15 * drift + 0.1 * (shape[..., 1:] - 0.5), np.float32)
    fill = cv2.GaussianBlur(picture, (0, 0), 5)
    colours = np.where(known[..., None] > 0, picture, fill) * 255
    for cycles in (1, 4):
        counts = np.full((height, width), cycles, np.uint8)
        field = generator_field(colours, known, velocity, counts, ramp, 120)
        yield f"{cycles} cycles", {"field": np.ascontiguousarray(field[None])}
