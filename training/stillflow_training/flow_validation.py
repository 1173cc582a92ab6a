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


def validate(predict: Predict, photos: list[LabelledPhoto], long_side: int, scenes: int = 24) -> dict[str, Any]:
    """Measure a network.

    Args:
        predict: runs the network on one photo.
        photos: held-back labelled photos.
        long_side: size the network sees them at.
        scenes: procedural scenes for the velocity error.

    Returns:
        Figures by name: iou_moves (mean over photos that move), iou_moves_all_moving (baseline),
        iou_class (over all pixels), false_motion (mean share on photos where nothing moves), angle_median
        and angle_under_60 without guidance and with one arrow, velocity_error against RBF.
    """
    ious, baseline, false_motion = [], [], []
    meet, join = np.zeros(10), np.zeros(10)
    free, guided = [], []
    for item in photos:
        h, w = network_size(*item.classes.shape, long_side)
        small = _shrink(item.photo, h, w)
        classes, moves, velocity = predict(small, hint_planes(NO_HINTS, h, w))
        truth = cv2.resize(item.moves, (w // 2, h // 2), interpolation=cv2.INTER_NEAREST) > 0
        labels = cv2.resize(item.classes, (w // 2, h // 2), interpolation=cv2.INTER_NEAREST)
        chosen = classes.argmax(0)
        moving = (moves > 0) & ~np.isin(chosen, (0, 9))
        if truth.mean() > 0.005:
            ious.append((moving & truth).sum() / max((moving | truth).sum(), 1))
            baseline.append(truth.mean())
        else:
            false_motion.append(moving.mean())
        for c in range(10):
            meet[c] += ((chosen == c) & (labels == c)).sum()
            join[c] += ((chosen == c) | (labels == c)).sum()
        if len(item.arrows):
            free += _angles(velocity, item.arrows, h / w)
            guided += _one_arrow(predict, small, item.arrows, h, w)
    figures: dict[str, Any] = {
        "iou_moves": float(np.mean(ious)),
        "iou_moves_all_moving": float(np.mean(baseline)),
        "iou_class": {CLASS_NAMES[c]: round(float(meet[c] / join[c]), 4) for c in range(10) if join[c] > 0},
        "false_motion": float(np.mean(false_motion)) if false_motion else None,
        "static_photos": len(false_motion),
    }
    for name, angles in (("unguided", free), ("one_arrow", guided)):
        if angles:
            figures[f"angle_median_{name}"] = float(np.median(angles))
            figures[f"angle_under_60_{name}"] = float(np.mean(np.array(angles) < 60))
    figures["velocity_error"] = velocity_errors(predict, photos, scenes)
    return figures


def velocity_errors(predict: Predict, photos: list[LabelledPhoto], scenes: int) -> dict[str, dict[str, float]]:
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
        result[str(count)] = {"network": round(float(np.mean(network)), 4), "rbf": round(float(np.mean(rbf)), 4)}
    return result


def _shrink(photo: npt.NDArray[np.uint8], h: int, w: int) -> FloatArray:
    small = cv2.resize(photo, (w, h), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return np.ascontiguousarray(small.transpose(2, 0, 1))


def _angles(velocity: FloatArray, arrows: FloatArray, aspect: float) -> list[float]:
    """Angle in degrees between the field at each arrow's middle and the arrow."""
    h, w = velocity.shape[1:]
    result = []
    for x0, y0, x1, y1, _ in arrows:
        i, j = min(int((y0 + y1) / 2 * h), h - 1), min(int((x0 + x1) / 2 * w), w - 1)
        a = np.array([x1 - x0, (y1 - y0) * aspect])
        b = velocity[:, i, j]
        cosine = a @ b / max(float(np.hypot(*a) * np.hypot(*b)), 1e-9)
        result.append(float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))))
    return result


def _one_arrow(predict: Predict, photo: FloatArray, arrows: FloatArray, h: int, w: int) -> list[float]:
    """Angles at a photo's other arrows when its first one is given (photos with two or more)."""
    if len(arrows) < 2:
        return []
    x0, y0, x1, y1, speed = (float(v) for v in arrows[0])
    run = float(np.hypot(x1 - x0, (y1 - y0) * h / w))
    arrow = Arrow(*(float(np.clip(v, 0, 1)) for v in (x0, y0, x1, y1)), run / max(speed, 1e-3))
    velocity = predict(photo, hint_planes(Hints(arrows=(arrow,)), h, w))[2]
    return _angles(velocity, arrows[1:], h / w)


