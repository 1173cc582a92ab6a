# SPDX-License-Identifier: Apache-2.0
"""Labelled photos, and what the shipped pipeline says of them, at the labels' own size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.guidance import Guidance
from stillflow.kernels.arrays import ByteArray, FloatArray
from stillflow.motion import FLOW_CLASSES, SWAY_CLASSES, Motion
from stillflow.photo import Photo, load_photo
from stillflow.region import flow_region
from stillflow_training.arrows import as_arrow
from stillflow_training.labels import LabelledPhoto, licence_rows, read_labels

BoolArray = npt.NDArray[np.bool_]
Split = Literal["val", "train", "all"]

LONG_SIDE = 640
"""Pixels: the size of the label masks, which photos are brought to as well."""

TEXTURE_SIDE = 352
"""Pixels: the size at which the recipes read photos."""

SOMETHING = 0.005
"""Share of a picture that must be labelled as moving for it to count as one in which something moves."""

Predict = Callable[[Photo, "Guidance | None"], Motion]
"""How a user asks: ``Animator.motion``."""


def read_truth(data: Path | None, split: Split = "val", sample: int | None = None) -> list[LabelledPhoto]:
    """Read labelled photos, each picture as the runtime reads it.

    Args:
        data: folder with photos/, labels/ and LICENCES.csv.
        split: "val" for those held back from training.
        sample: at most so many, evenly spread over the list; None takes all.

    Raises:
        StillflowError: no folder, no labels, none of that split, or a picture that cannot be read.
    """
    items = read_labels(data, LONG_SIDE, only=None if split == "all" else split)
    if not items:
        raise StillflowError(
            f"there is no photo to measure in {data}",
            f"none of its labelled photos belongs to the split {split!r}",
            "give another --split: val, train or all",
        )
    if sample is not None and sample < len(items):
        items = [items[i * len(items) // sample] for i in range(sample)]
    files = {Path(row["file"]).stem: row["file"] for row in licence_rows(data)}
    return [_as_read(item, data, files) for item in items]


def _as_read(item: LabelledPhoto, data: Path | None, files: dict[str, str]) -> LabelledPhoto:
    """The same photo with the picture that a user's command would see: turned, in sRGB, never enlarged."""
    if data is None or item.name not in files:
        return item
    return replace(item, photo=load_photo(data / files[item.name]).fitted(LONG_SIDE).pixels)


def something_moves(item: LabelledPhoto) -> bool:
    """Whether the label says that anything worth mentioning moves."""
    return float(item.moves.mean()) > SOMETHING


def textures(items: Sequence[LabelledPhoto]) -> list[ByteArray]:
    """Return photos as procedural scenes are textured with: small, as in training."""
    return [Photo.from_array(item.photo).fitted(TEXTURE_SIDE).pixels for item in items]


def aspect(item: LabelledPhoto) -> float:
    """Height / width."""
    return float(item.classes.shape[0] / item.classes.shape[1])


@dataclass(frozen=True, eq=False)
class Answer:
    """What the pipeline says of one photo.

    Attributes:
        moves: (H, W) bool at the label's size, where more than half of the matte of a moving class lies.
        cut: (H, W) bool, the same as a loop moves it: cut along the photo's own edges.
        classes: (H, W) uint8.
        velocity: (h, w, 2) float32 at field size, widths a second.
    """

    moves: BoolArray
    cut: BoolArray
    classes: ByteArray
    velocity: FloatArray


class Answers:
    """Asks the pipeline about labelled photos, once a photo.

    Args:
        predict: maps a photo and guidance to a Motion.
    """

    def __init__(self, predict: Predict) -> None:
        self._predict = predict
        self._known: dict[str, Answer] = {}

    def of(self, item: LabelledPhoto) -> Answer:
        """Return what it says with nothing else told."""
        if item.name not in self._known:
            photo = Photo.from_array(item.photo)
            self._known[item.name] = _answer(self._predict(photo, None), photo, item)
        return self._known[item.name]

    def given_first_arrow(self, item: LabelledPhoto) -> FloatArray:
        """Return the velocity (h, w, 2) when the label's first arrow is told, and nothing else."""
        arrow = as_arrow(item.arrows[0], aspect(item))
        return self._predict(Photo.from_array(item.photo), Guidance(arrows=(arrow,))).velocity


def _answer(motion: Motion, photo: Photo, item: LabelledPhoto) -> Answer:
    size = item.classes.shape[::-1]
    moving = motion.matte * np.isin(motion.classes, FLOW_CLASSES + SWAY_CLASSES)
    flows, sways = flow_region(motion, photo.pixels)
    cut = cv2.resize(flows | sways, size, interpolation=cv2.INTER_NEAREST) > 0
    return Answer(
        moves=np.asarray(cv2.resize(moving.astype(np.float32), size) > 0.5),
        cut=np.asarray(cut),
        classes=np.asarray(cv2.resize(motion.classes, size, interpolation=cv2.INTER_NEAREST), np.uint8),
        velocity=motion.velocity,
    )


def overlap(found: BoolArray, truth: BoolArray) -> float:
    """Intersection over union; 1 where both are empty."""
    union = int((found | truth).sum())
    return float((found & truth).sum()) / union if union else 1.0
