# SPDX-License-Identifier: Apache-2.0
"""The hand-made labels as arrays: class map, what moves, and dense velocity from the arrows."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.motion import CLASS_NAMES, FLOW_CLASSES

CLASS_COLOURS = np.array(
    [
        (60, 60, 60),
        (40, 90, 255),
        (235, 235, 255),
        (200, 180, 120),
        (255, 120, 0),
        (30, 160, 40),
        (255, 80, 160),
        (150, 90, 40),
        (160, 40, 200),
        (120, 200, 255),
    ],
    np.uint8,
)
"""Colour of each class on sheets: static gray, water blue, cloud white, smoke sand, fire orange, foliage green,
person pink, animal brown, cloth violet, sky light blue."""

ARROW_REACH = 0.08
"""Picture widths within which one arrow outweighs the others when a region's arrows are spread."""


@dataclass(frozen=True, eq=False)
class LabelledPhoto:
    """One photo with its truth, at training size.

    Attributes:
        name: file stem.
        split: "train" or "val".
        photo: (H, W, 3) uint8 RGB.
        classes: (H, W) uint8.
        moves: (H, W) uint8, 1 where something moves.
        velocity: (H, W, 2) float32, widths a second; 0 outside flow classes.
        weight: (H, W) float32 0..1, trust in the velocity (falls with the distance from an arrow).
        arrows: (n, 5) float32: x0, y0, x1, y1 in fractions, speed in widths a second; flow classes only.
        suitability: 0..3.
        either: (H, W) uint8, 1 where the opposite sideways direction would be as true (drifting clouds, ripples).
    """

    name: str
    split: str
    photo: npt.NDArray[np.uint8]
    classes: npt.NDArray[np.uint8]
    moves: npt.NDArray[np.uint8]
    velocity: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]
    arrows: npt.NDArray[np.float32]
    suitability: int
    either: npt.NDArray[np.uint8]


def licence_rows(data: Path | None) -> list[dict[str, str]]:
    """Read LICENCES.csv: one row a file.

    Raises:
        StillflowError: no folder was given, or there is no such file.
    """
    if data is None:
        raise StillflowError(
            "cannot read labelled photos",
            "no labelled photos were given, and none come with the package",
            "give the folder that holds photos/, labels/ and LICENCES.csv with --data",
        )
    path = data / "LICENCES.csv"
    if not path.is_file():
        raise StillflowError(
            f"cannot read labelled photos of {data}",
            "it has no LICENCES.csv, so neither the split nor the licences are known",
            "give the folder that holds photos/, labels/ and LICENCES.csv with --data",
        )
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_labels(data: Path | None, long_side: int = 352, *, only: str | None = None) -> list[LabelledPhoto]:
    """Read every labelled photo.

    Args:
        data: folder with photos/, labels/ and LICENCES.csv.
        long_side: size that photos are brought to.
        only: a split, "train" or "val"; None reads all.

    Returns:
        Photos in the order of the label files' names.

    Raises:
        StillflowError: no labels are found.
    """
    split = {Path(row["file"]).stem: row["split"] for row in licence_rows(data)}
    assert data is not None  # licence_rows refuses None.
    labels = sorted((data / "labels").glob("*.json"))
    if not labels:
        raise StillflowError(
            f"cannot read labelled photos of {data}",
            "its labels/ folder holds no .json file",
            "give another folder with --data",
        )
    return [
        _read_one(path, data, split.get(path.stem, "train"), long_side)
        for path in labels
        if only in (None, split.get(path.stem, "train"))
    ]


def _read_one(path: Path, data: Path, split: str, long_side: int) -> LabelledPhoto:
    label = json.loads(path.read_text(encoding="utf-8"))
    photo = cv2.imread(str(data / label["file"]))
    mask = cv2.imread(str(path.with_name(path.stem + "_mask.png")), cv2.IMREAD_GRAYSCALE)
    if photo is None or mask is None:
        raise StillflowError(
            f"cannot read the labelled photo {path.stem}",
            "its picture or its mask is missing",
            "restore the file",
        )
    scale = long_side / max(photo.shape[:2])
    size = (round(photo.shape[1] * scale), round(photo.shape[0] * scale))
    photo = np.ascontiguousarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA)[..., ::-1])
    classes = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
    classes = np.where(classes < len(CLASS_NAMES), classes, 0).astype(np.uint8)
    still = {r["class"] for r in label["regions"] if r["motion"] == "none"}
    moving = [i for i, name in enumerate(CLASS_NAMES) if name not in still and name not in ("static", "sky")]
    arrows = [(CLASS_NAMES.index(r["class"]), a) for r in label["regions"] for a in r["arrows"]]
    velocity, weight = spread_arrows(classes, arrows)
    flow_arrows = [a for c, a in arrows if c in FLOW_CLASSES and a[4] > 0]
    return LabelledPhoto(
        name=path.stem,
        split=split,
        photo=photo,
        classes=classes,
        moves=np.isin(classes, moving).astype(np.uint8),
        velocity=velocity,
        weight=weight,
        arrows=np.array(flow_arrows, np.float32).reshape(-1, 5),
        suitability=int(label["suitability"]),
        either=np.isin(classes, sideways_classes(label["regions"])).astype(np.uint8),
    )


def sideways_classes(regions: list[dict[str, Any]]) -> list[int]:
    """Flow classes of a picture that drift or ripple mostly sideways: a still cannot tell left from right."""
    result = []
    for c in FLOW_CLASSES:
        mine = [r for r in regions if r["class"] == CLASS_NAMES[c]]
        arrows = [a for r in mine for a in r["arrows"]]
        across = sum(abs(a[2] - a[0]) for a in arrows)
        down = sum(abs(a[3] - a[1]) for a in arrows)
        if arrows and all(r["motion"] in ("drift", "ripple") for r in mine) and across > 1.2 * down:
            result.append(c)
    return result


def spread_arrows(
    classes: npt.NDArray[np.uint8], arrows: list[tuple[int, Any]]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Spread a picture's arrows over the pixels of their class, nearest arrows first.

    Args:
        classes: (H, W) class map.
        arrows: (class, (x0, y0, x1, y1, speed)) each.

    Returns:
        velocity (H, W, 2) float32 widths a second, and weight (H, W) float32 in 0.2..1, 0 where no
        flow class is.
    """
    height, width = classes.shape
    aspect = height / width
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = (x + 0.5) / width, (y + 0.5) / height * aspect
    velocity = np.zeros((height, width, 2), np.float32)
    weight = np.zeros((height, width), np.float32)
    for c in FLOW_CLASSES:
        mine = classes == c
        own = [a for k, a in arrows if k == c and a[4] > 0]
        if not own or not mine.any():
            continue
        total = np.zeros((height, width, 2), np.float32)
        share = np.full((height, width), 1e-12, np.float32)
        nearest = np.full((height, width), 9.0, np.float32)
        for x0, y0, x1, y1, speed in own:
            direction = np.array([x1 - x0, (y1 - y0) * aspect], np.float32)
            direction /= max(float(np.hypot(*direction)), 1e-9)
            squared = (x - (x0 + x1) / 2) ** 2 + (y - (y0 + y1) / 2 * aspect) ** 2
            near = np.exp(-squared / (2 * ARROW_REACH**2)) + 1e-6
            total += near[..., None] * direction * speed
            share += near
            nearest = np.minimum(nearest, squared)
        velocity[mine] = (total / share[..., None])[mine]
        trust = 0.2 + 0.8 * np.exp(-nearest / (2 * (2 * ARROW_REACH) ** 2))
        weight[mine] = trust[mine]
    return velocity, weight
