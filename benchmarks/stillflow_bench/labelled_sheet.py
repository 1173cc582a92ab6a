# SPDX-License-Identifier: Apache-2.0
"""Contact sheets of labelled photos: what a person said, what the pipeline says, where they differ, and the loop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from stillflow.animator import Loop
from stillflow.kernels.arrays import ByteArray, FloatArray
from stillflow_bench import sheet
from stillflow_bench.truth import Answer, BoolArray, overlap, something_moves
from stillflow_training.labels import CLASS_COLOURS, LabelledPhoto

TILE = 320
"""Pixels: width of a tile on a photo's own sheet."""

SMALL = (192, 144)
"""(width, height) in pixels of a place on the overview."""

COLUMNS = 8
"""Photos side by side on the overview."""

HIT, FALSE, MISSED = (60, 200, 80), (255, 60, 40), (60, 110, 255)
"""Colours of agreement: rightly called moving, wrongly called moving, moving but not found."""

GAIN = 4
"""The difference picture shows levels times this."""

GRAY = np.array([0.299, 0.587, 0.114], np.float32)


def draw(item: LabelledPhoto, answer: Answer, loop: Loop) -> ByteArray:
    """Draw the sheet of one photo.

    First row: the photo; the label's classes and arrows; the pipeline's classes where it moves something, with its
    velocity; where they agree (green), where it moves too much (red) and too little (blue); the motion as it plays.
    Second row: frames at a quarter, half and three quarters and half way through a cycle, and by how much any of
    them differs from the photo.

    Args:
        item: the labelled photo.
        answer: what the pipeline says of it.
        loop: made of it.

    Returns:
        (H, W, 3) uint8.
    """
    height = max(1, round(TILE * item.classes.shape[0] / item.classes.shape[1]))
    photo = _fit(item.photo, height)
    shown = sheet.times(loop.scene.frames, int(loop.arrays.cycles.max()))[1:]
    times = [shown[0], shown[1], shown[2], shown[4]]
    frames = [loop.scene.frame(t) for t in times]
    still = loop.arrays.photo
    change = np.max([cv2.absdiff(frame, still) for frame in frames], axis=0)
    first = {
        f"{item.name}, suitability {item.suitability}": photo,
        "label": _labelled(photo, item),
        "pipeline": _answered(photo, item, answer),
        verdict(item, answer): agreement(photo, answer.moves, item.moves > 0),
        f"as it plays, score {loop.suitability.score}": _fit(loop.motion.picture(still), height),
    }
    tiles = [_fit(f, height) for f in frames]
    names = [f"frame {t} of {loop.scene.frames}" for t in times]
    names[-1] += ", mid cycle"
    different = _fit(np.clip(change.astype(np.int16) * GAIN, 0, 255).astype(np.uint8), height)
    return np.vstack(
        [
            sheet.strip(list(first), list(first.values()), TILE),
            sheet.strip([*names, f"largest difference x{GAIN}"], [*tiles, different], TILE),
        ]
    )


def overview(items: Sequence[LabelledPhoto], answers: Sequence[Answer]) -> ByteArray:
    """Draw all photos small, from the worst IoU on, those in which nothing moves last by falling false motion.

    Args:
        items: labelled photos, at least one.
        answers: to them, in the same order.

    Returns:
        (H, W, 3) uint8.
    """
    ranked = sorted(zip(items, answers, strict=True), key=lambda pair: _rank(*pair))
    cells = []
    for item, answer in ranked:
        place = np.full((SMALL[1], SMALL[0], 3), 24, np.uint8)
        height, width = item.classes.shape
        scale = min(SMALL[0] / width, SMALL[1] / height)
        size = (max(1, int(width * scale)), max(1, int(height * scale)))
        small = np.asarray(cv2.resize(item.photo, size, interpolation=cv2.INTER_AREA), np.uint8)
        drawn = agreement(small, answer.moves, item.moves > 0)
        left = (SMALL[0] - size[0]) // 2
        place[: size[1], left : left + size[0]] = drawn
        cells.append(sheet.strip([f"{_figure(item, answer)} {item.name}"], [place], SMALL[0], 0.35))
    blank = np.full_like(cells[0], 24)
    cells += [blank] * (-len(cells) % COLUMNS)
    return np.vstack([np.hstack(cells[i : i + COLUMNS]) for i in range(0, len(cells), COLUMNS)])


def write(path: Path, picture: ByteArray) -> Path:
    """Write a .png or .jpg file; the folder is made when missing."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, optimize=True, quality=85)
    return path


def verdict(item: LabelledPhoto, answer: Answer) -> str:
    """Say in a few words how well the moving area was found."""
    if something_moves(item):
        return f"IoU {overlap(answer.moves, item.moves > 0):.2f}"
    return f"nothing moves; {100 * answer.moves.mean():.1f} % called so"


def agreement(photo: ByteArray, found: Any, truth: Any) -> ByteArray:
    """Tint a photo where answer and label agree that it moves, and where only one of them says so.

    Args:
        photo: (h, w, 3) uint8, of any size.
        found: (H, W) bool.
        truth: (H, W) bool.
    """
    gray = np.repeat((photo @ GRAY)[..., None], 3, axis=2)
    size = photo.shape[1::-1]
    for where, colour in ((found & truth, HIT), (found & ~truth, FALSE), (truth & ~found, MISSED)):
        share = cv2.resize(where.astype(np.float32), size, interpolation=cv2.INTER_AREA)[..., None] * 0.5
        gray = gray * (1 - share) + np.array(colour, np.float32) * share
    return np.asarray(np.clip(gray, 0, 255), np.uint8)


def _rank(item: LabelledPhoto, answer: Answer) -> tuple[int, float]:
    if something_moves(item):
        return 0, overlap(answer.moves, item.moves > 0)
    return 1, -float(answer.moves.mean())


def _figure(item: LabelledPhoto, answer: Answer) -> str:
    if something_moves(item):
        return f"{overlap(answer.moves, item.moves > 0):.2f}"
    return f"still {100 * answer.moves.mean():.0f}%"


def _fit(picture: ByteArray, height: int) -> ByteArray:
    return np.asarray(cv2.resize(picture, (TILE, height), interpolation=cv2.INTER_AREA), np.uint8)


def _classes(photo: ByteArray, classes: ByteArray, where: BoolArray) -> ByteArray:
    """Mix the classes' colours into a photo, strongly where it moves and hardly elsewhere."""
    size = photo.shape[1::-1]
    colours = CLASS_COLOURS[cv2.resize(classes, size, interpolation=cv2.INTER_NEAREST)]
    moves = cv2.resize(where.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)[..., None]
    share = np.where(moves > 0, 0.5, 0.15)
    return np.asarray(photo * (1 - share) + colours * share, np.uint8)


def _labelled(photo: ByteArray, item: LabelledPhoto) -> ByteArray:
    picture = np.ascontiguousarray(_classes(photo, item.classes, np.asarray(item.moves > 0)))
    height, width = picture.shape[:2]
    for x0, y0, x1, y1, _ in item.arrows:
        _arrow(picture, (x0 * width, y0 * height), (x1 * width, y1 * height))
    return picture


def _answered(photo: ByteArray, item: LabelledPhoto, answer: Answer) -> ByteArray:
    """Classes and matte, and the velocity at the places of the label's arrows."""
    picture = np.ascontiguousarray(_classes(photo, answer.classes, answer.moves))
    height, width = picture.shape[:2]
    h, w = answer.velocity.shape[:2]
    for x0, y0, x1, y1, _ in item.arrows:
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        i, j = int(np.clip(y * h, 0, h - 1)), int(np.clip(x * w, 0, w - 1))
        step: FloatArray = answer.velocity[i, j] / max(float(np.hypot(*answer.velocity[i, j])), 1e-6)
        half = 0.05 * width * step
        middle = np.array([x * width, y * height])
        _arrow(picture, tuple(middle - half), tuple(middle + half))
    return picture


def _arrow(picture: ByteArray, tail: Sequence[float], head: Sequence[float]) -> None:
    start, end = ((round(float(x)), round(float(y))) for x, y in (tail, head))
    for colour, thickness in (((0, 0, 0), 4), ((255, 255, 0), 2)):
        cv2.arrowedLine(picture, start, end, colour, thickness, cv2.LINE_AA, tipLength=0.35)
