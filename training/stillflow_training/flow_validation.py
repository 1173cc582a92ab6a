# SPDX-License-Identifier: Apache-2.0
"""What a flow network is worth on held-back photos and scenes, each figure beside its baseline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.flow import VELOCITY_UNIT, hint_planes, rbf_velocity
from stillflow.guidance import Arrow, Hints
from stillflow.motion import CLASS_NAMES
from stillflow_training.flow_samples import draw_arrows
from stillflow_training.labels import LabelledPhoto
from stillflow_training.procedural import make_scene

FloatArray = npt.NDArray[np.float32]
Predict = Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray, FloatArray]]
"""(photo (3, H, W), hints (6, H, W)) to classes (10, h, w) logits, moves (h, w) logit, velocity (2, h, w) x 10."""

NO_HINTS = Hints()


def network_size(height: int, width: int, long_side: int) -> tuple[int, int]:
    """(height, width) a photo is shown to the network at: multiples of 32."""
    scale = long_side / max(height, width)
    return max(32, round(height * scale / 32) * 32), max(32, round(width * scale / 32) * 32)


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
        of all moving. iou_class: over all pixels. false_motion: mean share called moving of photos where nothing
        moves; still_called_moving and moving_found:
        shares of all still and of all moving pixels. angle_median and angle_under_60: degrees at
        the labels' arrows, unguided, beside "to the right everywhere"; one_arrow: at a photo's other arrows
        when its first is given, beside the closed form. speed_median: factor between speed and label's.
        velocity_error: on procedural scenes, relative to their mean speed, beside the closed form.
    """
    ious, baseline, false_motion = [], [], []
    meet, join = np.zeros(10), np.zeros(10)
    # Pixels by truth (still, moving) and by answer.
    table = np.zeros((2, 2))
    free, right, guided, closed = [], [], [], []
    for item in photos:
        h, w = network_size(*item.classes.shape, long_side)
        small = shrink(item.photo, h, w)
        classes, moves, velocity = predict(small, hint_planes(NO_HINTS, h, w))
        truth = cv2.resize(item.moves, (w // 2, h // 2), interpolation=cv2.INTER_NEAREST) > 0
        labels = cv2.resize(item.classes, (w // 2, h // 2), interpolation=cv2.INTER_NEAREST)
        chosen = classes.argmax(0)
        moving = (moves > 0) & ~np.isin(chosen, (0, 9))
        np.add.at(table, (truth.astype(int), moving.astype(int)), 1)
        if truth.mean() > 0.005:
            ious.append((moving & truth).sum() / max((moving | truth).sum(), 1))
            baseline.append(truth.mean())
        else:
            false_motion.append(moving.mean())
        for c in range(10):
            meet[c] += ((chosen == c) & (labels == c)).sum()
            join[c] += ((chosen == c) | (labels == c)).sum()
        if len(item.arrows):
            free += _misses(velocity, item.arrows, h / w)
            right += _misses(np.array([[[0.1]], [[0.0]]], np.float32), item.arrows, h / w)
        if len(item.arrows) > 1:
            arrow = _as_arrow(item.arrows[0], h / w)
            velocity = predict(small, hint_planes(Hints(arrows=(arrow,)), h, w))[2]
            guided += _misses(velocity, item.arrows[1:], h / w)
            rbf = rbf_velocity([arrow], h, w, h / w).transpose(2, 0, 1) * np.float32(VELOCITY_UNIT)
            closed += _misses(rbf, item.arrows[1:], h / w)
    figures: dict[str, Any] = {
        "iou_moves": float(np.mean(ious)),
        "iou_moves_all_moving": float(np.mean(baseline)),
        "iou_two_way": float(
            np.mean([table[k, k] / max(table[k].sum() + table[1 - k, k], 1) for k in (0, 1)])
        ),
        "iou_two_way_all_moving": float(table[1].sum() / max(table.sum(), 1) / 2),
        "iou_class": {CLASS_NAMES[c]: round(float(meet[c] / join[c]), 4) for c in range(10) if join[c] > 0},
        "false_motion": float(np.mean(false_motion)) if false_motion else None,
        "still_called_moving": float(table[0, 1] / max(table[0].sum(), 1)),
        "moving_found": float(table[1, 1] / max(table[1].sum(), 1)),
        "static_photos": len(false_motion),
    }
    for name, misses in (
        ("unguided", free),
        ("to_the_right", right),
        ("one_arrow", guided),
        ("one_arrow_rbf", closed),
    ):
        if misses:
            angles, factors = np.array(misses).T
            figures[f"angle_median_{name}"] = float(np.median(angles))
            figures[f"angle_under_60_{name}"] = float(np.mean(angles < 60))
            if name != "to_the_right":
                figures[f"speed_median_{name}"] = float(np.exp(np.median(factors)))
    figures["velocity_error"] = velocity_errors(predict, photos, scenes)
    return figures


def velocity_errors(
    predict: Predict, photos: list[LabelledPhoto], scenes: int
) -> dict[str, dict[str, float]]:
    """Mean velocity error relative to the scene's mean speed, inside the mask, network and RBF."""
    result = {}
    pictures = [p.photo for p in photos]
    for count in (1, 3, 5):
        rng = np.random.default_rng(1234 + count)
        network, rbf = [], []
        for _ in range(scenes):
            scene = make_scene(rng, 192, 256, pictures)
            where = scene.matte > 0.9
            arrows = draw_arrows(rng, where, scene.velocity, count)
            if not arrows or where.sum() < 500:
                continue
            hints = Hints(mask=(scene.matte > 0.5).astype(np.float32), arrows=arrows)
            photo = scene.render(0.0).astype(np.float32).transpose(2, 0, 1) / 255
            _, _, velocity = predict(photo, hint_planes(hints, 192, 256))
            truth, inside = scene.velocity[::2, ::2], where[::2, ::2]
            speed = float(np.hypot(truth[inside][:, 0], truth[inside][:, 1]).mean())
            for errors, guess in (
                (network, velocity.transpose(1, 2, 0) / VELOCITY_UNIT),
                (rbf, rbf_velocity(arrows, 96, 128, 0.75)),
            ):
                errors.append(float(np.linalg.norm((guess - truth)[inside], axis=1).mean()) / speed)
        result[str(count)] = {
            "network": round(float(np.mean(network)), 4),
            "rbf": round(float(np.mean(rbf)), 4),
        }
    return result


def shrink(photo: npt.NDArray[np.uint8], h: int, w: int) -> FloatArray:
    """Bring a photo to the network's size, (3, h, w) float32 0..1."""
    small = cv2.resize(photo, (w, h), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return np.ascontiguousarray(small.transpose(2, 0, 1))


def _misses(velocity: FloatArray, arrows: FloatArray, aspect: float) -> list[tuple[float, float]]:
    """By how much a field misses each arrow at its middle: degrees, and absolute log of the speeds' ratio."""
    h, w = velocity.shape[1:]
    result = []
    for x0, y0, x1, y1, speed in arrows:
        i, j = min(int((y0 + y1) / 2 * h), h - 1), min(int((x0 + x1) / 2 * w), w - 1)
        a = np.array([x1 - x0, (y1 - y0) * aspect])
        b = velocity[:, i, j]
        found = float(np.hypot(*b))
        cosine = a @ b / max(float(np.hypot(*a)) * found, 1e-9)
        ratio = abs(np.log(max(found, 1e-4) / (speed * VELOCITY_UNIT)))
        result.append((float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))), float(ratio)))
    return result


def _as_arrow(label: FloatArray, aspect: float) -> Arrow:
    """A label's arrow as a user's."""
    x0, y0, x1, y1 = (float(np.clip(v, 0, 1)) for v in label[:4])
    run = float(np.hypot(x1 - x0, (y1 - y0) * aspect))
    return Arrow(x0, y0, x1, y1, run / max(float(label[4]), 1e-3))
