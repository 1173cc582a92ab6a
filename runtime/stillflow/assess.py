# SPDX-License-Identifier: Apache-2.0
"""Will this photo look right as a loop, and if not, why: measured on the photo and its motion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from stillflow.kernels.arrays import FloatArray
from stillflow.kernels.reference import grid, lookup
from stillflow.motion import Motion
from stillflow.photo import Photo

SMALL_SIDE = 320
"""Long side in pixels below which a loop looks coarse on any screen."""

BLUR_LIMIT = 0.006
"""Detail (see ``sharpness``) below which a photo counts as blurred: out-of-focus and thumbnail-enlarged ones."""

LITTLE_MOTION = 0.01
"""Share of the picture below which motion is not noticed."""

MANY_EDGES = 0.030
"""Outline of the moving regions in picture areas (field samples on an edge / all): above it, cut-outs
such as branches before the sky make tears likely."""

UNSURE = 0.45
"""Mean confidence of the velocity below which the direction may well be wrong."""

MUCH_UNCOVERED = 0.35
"""Share of the flowing region whose content leaves it within a second both ways: nothing to show there."""


@dataclass(frozen=True)
class Suitability:
    """The verdict on one photo.

    Attributes:
        score: 0 nothing to animate, 1 poor, 2 good, 3 ideal.
        reasons: in plain words, the gravest first; empty when nothing speaks against it.
        measures: the numbers behind them.
    """

    score: int
    reasons: tuple[str, ...]
    measures: Mapping[str, float]


def assess(photo: Photo, motion: Motion) -> Suitability:
    """Judge a photo and the motion predicted for it.

    Args:
        photo: the picture.
        motion: of this picture.

    Returns:
        The verdict. It starts at 3 and loses points for each reason.
    """
    moving = motion.matte > 0.5
    flows = motion.flow_matte > 0.5
    measures = {
        "long_side": float(max(photo.height, photo.width)),
        "sharpness": sharpness(photo),
        "moving_share": float(moving.mean()),
        "flow_share": float(flows.mean()),
        "edge_share": _edge_share(moving),
        "confidence": float(motion.confidence[flows].mean()) if flows.any() else 1.0,
        "uncovered_share": _uncovered_share(motion, flows),
        "matte_doubt": _doubt(motion.matte),
    }
    if measures["moving_share"] < LITTLE_MOTION:
        return Suitability(0, ("nothing in the picture would move",), measures)
    found: list[tuple[int, str]] = []
    if measures["long_side"] < SMALL_SIDE:
        found.append((2, f"the picture is small ({photo.width}x{photo.height} pixels)"))
    if measures["sharpness"] < BLUR_LIMIT:
        found.append((1, "the picture is blurred, so there is little texture that could be seen to move"))
    if measures["edge_share"] > MANY_EDGES:
        found.append((1, "many outlines cross what moves; tears along them are likely"))
    if measures["confidence"] < UNSURE:
        found.append((1, "the direction of the motion is uncertain; an --arrow would settle it"))
    if measures["uncovered_share"] > MUCH_UNCOVERED:
        found.append((1, "the motion leaves its region quickly; a lower --strength would look cleaner"))
    if measures["matte_doubt"] > 0.5:
        found.append((1, "it is uncertain what moves; a --mask would settle it"))
    if measures["moving_share"] < 0.05:
        found.append((1, "only a small part of the picture moves"))
    found.sort(key=lambda item: -item[0])
    return Suitability(max(0, 3 - sum(p for p, _ in found)), tuple(text for _, text in found), measures)


def sharpness(photo: Photo) -> float:
    """Mean absolute second difference of the luma at 640 pixels, 0..1: how much fine texture there is."""
    gray = cv2.cvtColor(photo.fitted(640).pixels, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    return float(np.abs(cv2.Laplacian(gray, cv2.CV_32F)).mean())


def _edge_share(moving: np.ndarray) -> float:
    """Samples on the outline of what moves, relative to all samples at 320 across."""
    small = cv2.resize(moving.astype(np.uint8), (320, max(1, round(320 * moving.shape[0] / moving.shape[1]))))
    outline = cv2.morphologyEx(small, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return float(outline.mean() / 2)


def _uncovered_share(motion: Motion, flows: np.ndarray) -> float:
    """Share of flowing samples whose straight path leaves the region within 0.5 s back and forth."""
    if not flows.any():
        return 0.0
    x, y = grid(*flows.shape)
    step = (motion.velocity * np.float32(0.5 * motion.width / 4)).astype(np.float32)
    inside = cv2.erode(flows.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    covered = np.zeros(flows.shape, np.float32)
    for sign in (-1, 1):
        px, py = x + sign * step[..., 0], y + sign * step[..., 1]
        shown = (px >= 0) & (px < flows.shape[1]) & (py >= 0) & (py < flows.shape[0])
        covered = np.maximum(covered, lookup(inside, px, py) * shown)
    return float((covered[flows] < 0.5).mean())


def _doubt(matte: FloatArray) -> float:
    """How undecided the matte is where it says anything: samples of 0.3-0.7 relative to those above 0.5."""
    unsure = ((matte > 0.3) & (matte < 0.7)).sum()
    return float(unsure / max(int((matte > 0.5).sum()), 1))
