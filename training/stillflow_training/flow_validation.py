# SPDX-License-Identifier: Apache-2.0
"""What a flow network is worth on held-back photos and scenes, each figure beside its baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.bend import bend_velocity, rbf_velocity
from stillflow.flow import VELOCITY_UNIT, hint_planes
from stillflow.guidance import Hints
from stillflow.motion import CLASS_NAMES, FLOW_CLASSES
from stillflow_training.arrows import Miss, as_arrow, misses
from stillflow_training.labels import LabelledPhoto
from stillflow_training.scene_errors import ARROW_COUNTS, scene_errors

FloatArray = npt.NDArray[np.float32]
Predict = Callable[[FloatArray, FloatArray], Mapping[str, FloatArray]]
"""(photo (3, H, W), hints (6, H, W)) to the flow network's outputs by name, without their first axis."""

NO_HINTS = Hints()


def network_size(height: int, width: int, long_side: int) -> tuple[int, int]:
    """(height, width) a photo is shown to the network at: multiples of 32."""
    scale = long_side / max(height, width)
    return max(32, round(height * scale / 32) * 32), max(32, round(width * scale / 32) * 32)


class ClassFigures:
    """Figures of classes, moves and suitability, gathered a photo at a time."""

    def __init__(self) -> None:
        self.ious: list[float] = []
        self.all_moving: list[float] = []
        self.false_motion: list[float] = []
        self.meet, self.join = np.zeros(len(CLASS_NAMES)), np.zeros(len(CLASS_NAMES))
        self.drifting = np.zeros(2)
        # Pixels by truth (still, moving) and by answer.
        self.table = np.zeros((2, 2))
        self.suited: list[tuple[float, bool]] = []

    def add(self, item: LabelledPhoto, classes: FloatArray, moves: FloatArray, suited: float) -> None:
        """Compare one photo's answer with its labels.

        Args:
            item: the labelled photo.
            classes: (10, h, w) logits, of any size.
            moves: (h, w) logits.
            suited: logit.
        """
        size = item.classes.shape[::-1]
        chosen = np.stack([cv2.resize(p, size, interpolation=cv2.INTER_LINEAR) for p in classes]).argmax(0)
        moving = cv2.resize(moves, size, interpolation=cv2.INTER_LINEAR) > 0
        truth = item.moves > 0
        np.add.at(self.table, (truth.astype(int), moving.astype(int)), 1)
        if truth.mean() > 0.005:
            self.ious.append(float((moving & truth).sum() / max((moving | truth).sum(), 1)))
            self.all_moving.append(float(truth.mean()))
        else:
            self.false_motion.append(float(moving.mean()))
        for c in range(len(CLASS_NAMES)):
            self.meet[c] += ((chosen == c) & (item.classes == c)).sum()
            self.join[c] += ((chosen == c) | (item.classes == c)).sum()
        a, b = np.isin(chosen, (2, 3)), np.isin(item.classes, (2, 3))
        self.drifting += ((a & b).sum(), (a | b).sum())
        self.suited.append((suited, item.suitability >= 2))

    def figures(self) -> dict[str, Any]:
        """Figures by name; see ``validate``."""
        table, said = self.table, np.array([s for s, _ in self.suited])
        true = np.array([t for _, t in self.suited], bool)
        both = [table[k, k] / max(table[k].sum() + table[1 - k, k], 1) for k in (0, 1)]
        return {
            "iou_moves": float(np.mean(self.ious)) if self.ious else 0.0,
            "iou_moves_all_moving": float(np.mean(self.all_moving)) if self.all_moving else 0.0,
            "iou_two_way": float(np.mean(both)),
            "iou_two_way_all_moving": float(table[1].sum() / max(table.sum(), 1) / 2),
            "iou_class": {
                name: round(float(self.meet[c] / self.join[c]), 4)
                for c, name in enumerate(CLASS_NAMES)
                if self.join[c] > 0
            },
            "iou_cloud_or_smoke": float(self.drifting[0] / max(self.drifting[1], 1)),
            "false_motion": float(np.mean(self.false_motion)) if self.false_motion else None,
            "static_photos": len(self.false_motion),
            "still_called_moving": float(table[0, 1] / max(table[0].sum(), 1)),
            "moving_found": float(table[1, 1] / max(table[1].sum(), 1)),
            "suited_agreement": float(((said > 0) == true).mean()),
            "suited_always_yes": float(true.mean()),
            "suited_ranked": float((said[true][:, None] > said[~true][None]).mean())
            if true.any() and not true.all()
            else None,
        }


class DirectionFigures:
    """By how much velocities miss the labels' arrows, gathered a photo at a time."""

    def __init__(self) -> None:
        names = ("unguided", "to_the_right", "one_arrow", "one_arrow_rbf")
        self.misses: dict[str, list[Miss]] = {name: [] for name in names}

    def add(self, item: LabelledPhoto, ask: Callable[[Hints], FloatArray], size: tuple[int, int]) -> None:
        """Compare one photo's velocities with its arrows.

        Args:
            item: the labelled photo.
            ask: maps hints to the velocity (h, w, 2), widths a second.
            size: (height, width) the network sees the photo at.
        """
        h, w = size
        if len(item.arrows):
            self.misses["unguided"] += misses(ask(NO_HINTS), item.arrows, h / w)
            self.misses["to_the_right"] += misses(np.array([[[0.01, 0]]], np.float32), item.arrows, h / w)
        if len(item.arrows) > 1:
            arrow = as_arrow(item.arrows[0], h / w)
            self.misses["one_arrow"] += misses(ask(Hints(arrows=(arrow,))), item.arrows[1:], h / w)
            closed = rbf_velocity([arrow], h, w, h / w)
            self.misses["one_arrow_rbf"] += misses(closed, item.arrows[1:], h / w)

    def figures(self) -> dict[str, Any]:
        """Figures by name; see ``validate``."""
        figures = {}
        for name, found in self.misses.items():
            if found:
                angles = np.array([miss.angle for miss in found])
                factors = [miss.factor for miss in found]
                figures[f"angle_median_{name}"] = float(np.median(angles))
                figures[f"angle_under_60_{name}"] = float(np.mean(angles < 60))
                if name != "to_the_right":
                    figures[f"speed_median_{name}"] = float(np.exp(np.median(factors)))
        return figures


def validate(
    predict: Predict, photos: list[LabelledPhoto], long_side: int, scenes: int = 24
) -> dict[str, Any]:
    """Measure a network.

    Args:
        predict: runs the network on one photo.
        photos: held-back labelled photos.
        long_side: size the network sees them at.
        scenes: procedural scenes for the velocity error.

    Returns:
        Figures by name. iou_moves: mean over photos that move; iou_moves_all_moving: calling all of each
        moving. iou_two_way: mean of the IoU of what moves and of what does not, over all pixels, beside the same
        of all moving. iou_class: over all pixels; iou_cloud_or_smoke: both as one class. false_motion: mean share
        called moving of photos where nothing moves; still_called_moving and moving_found: shares of all still and
        of all moving pixels. suited_agreement: share of photos whose suitability (0-1 against 2-3) is told right,
        beside "always suited"; suited_ranked: share of pairs told apart. angle_median and angle_under_60: degrees
        at the labels' arrows, unguided, beside "to the right everywhere"; one_arrow: at a photo's other arrows
        when its first is given, beside the closed form. speed_median: factor between speed and label's.
        velocity_error: on procedural scenes, relative to their mean speed, beside the closed form.
    """
    classes, directions = ClassFigures(), DirectionFigures()
    for item in photos:
        h, w = network_size(*item.classes.shape, long_side)
        small = shrink(item.photo, h, w)
        answer = predict(small, hint_planes(NO_HINTS, h, w))
        classes.add(item, answer["classes"], answer["moves"][0], float(answer["suited"].reshape(-1)[0]))

        def ask(hints: Hints, small: FloatArray = small) -> FloatArray:
            return velocity_field(predict, small, hints)

        directions.add(item, ask, (h, w))
    figures = {**classes.figures(), **directions.figures()}
    figures["velocity_error"] = velocity_errors(predict, photos, scenes)
    return figures


def velocity_errors(
    predict: Predict, photos: list[LabelledPhoto], scenes: int
) -> dict[str, dict[str, float]]:
    """Mean velocity error relative to the scene's mean speed, inside the mask, network and RBF."""

    def guess(picture: npt.NDArray[np.uint8], hints: Hints) -> FloatArray:
        return velocity_field(predict, picture.astype(np.float32).transpose(2, 0, 1) / 255, hints)

    result = {}
    for count in ARROW_COUNTS:
        network, rbf = scene_errors(guess, [p.photo for p in photos], count, scenes)
        result[str(count)] = {
            "network": round(float(np.mean(network)), 4),
            "rbf": round(float(np.mean(rbf)), 4),
        }
    return result


def velocity_field(predict: Predict, photo: FloatArray, hints: Hints) -> FloatArray:
    """The velocity (h, w, 2) in widths a second that hints lead to, as ``stillflow.flow`` makes it with the network."""
    answer = predict(photo, hint_planes(hints, *photo.shape[1:]))
    field = np.ascontiguousarray(
        answer["velocity"].transpose(1, 2, 0) / np.float32(VELOCITY_UNIT), np.float32
    )
    if not hints.arrows:
        return field
    group = (
        None if hints.mask is not None else answer["classes"][list(FLOW_CLASSES)].argmax(0).astype(np.uint8)
    )
    return bend_velocity(field, hints.arrows, photo.shape[1] / photo.shape[2], group)


def shrink(photo: npt.NDArray[np.uint8], h: int, w: int) -> FloatArray:
    """Bring a photo to the network's size, (3, h, w) float32 0..1."""
    small = cv2.resize(photo, (w, h), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return np.ascontiguousarray(small.transpose(2, 0, 1))
