# SPDX-License-Identifier: Apache-2.0
"""Will this photo look right as a loop, and if not, why: measured on the photo and its motion.

Two questions, answered apart. Does the picture lend itself to a loop at all: the network's own answer where the bundle
has one, else a small logistic model over measures with names; ``python -m stillflow_training verdict-check`` fits both
to hand-made labels. And will the motion that was found play cleanly: predicted artefacts, each against a limit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from stillflow.artefacts import safe_strength, uncovered_share
from stillflow.errors import StillflowError
from stillflow.kernels.arrays import FloatArray
from stillflow.motion import CLASS_NAMES, FLOW_CLASSES, SWAY_CLASSES, Motion
from stillflow.photo import Photo

FOLIAGE, FIRE = CLASS_NAMES.index("foliage"), CLASS_NAMES.index("fire")

WEIGHTS = {
    "flow_share": 4.9,
    "foliage_share": 1.9,
    "fire_share": 8.0,
    "life_share": -2.6,
    "visible_motion": 14.8,
}
"""Of the logistic model, on the square roots of these measures."""

BIAS = -2.1
"""Of the logistic model."""

NETWORK_BIAS = -1.0
"""Added to the log-odds of the network's own chance: right on its training photos, it is too fond of others."""

REFUSED, POOR, IDEAL = 0.1, 0.5, 0.85
"""Chances up to which a picture is refused, is poor, and from which it is ideal."""

SMALL_SIDE = 320
"""Long side in pixels below which a loop looks coarse on any screen."""

DETAIL_SIDE = 640
"""Pixels at which texture is measured, so that a photo's size does not matter."""

BLUR_LIMIT = 0.006
"""Detail (see ``sharpness``) below which a photo counts as blurred: out-of-focus and thumbnail-enlarged ones."""

LITTLE_MOTION = 0.003
"""Share of the picture below which motion is not noticed."""

MANY_EDGES = 0.030
"""Outline of the moving regions in picture areas (field samples on an edge / all): above it, cut-outs
such as branches before the sky make tears likely."""

UNSURE = 0.45
"""Mean confidence of the velocity below which the direction may well be wrong."""

UNDECIDED = 0.5
"""Area where the matte says neither yes nor no, relative to the area where it says yes."""


@dataclass(frozen=True)
class Suitability:
    """The verdict on one photo.

    Attributes:
        score: 0 unsuitable, 1 poor, 2 good, 3 ideal.
        reasons: in plain words, the gravest first; empty when nothing speaks against it.
        measures: the numbers behind them.
        chance: that the photo makes a good loop, 0..1; 1 where the user said what moves.
        strength: the largest factor up to 1 on this motion's speed at which the loop still looks clean.
        strength_why: what would be seen without it; empty at 1.
    """

    score: int
    reasons: tuple[str, ...]
    measures: Mapping[str, float]
    chance: float = 1.0
    strength: float = 1.0
    strength_why: str = ""

    @property
    def verdict(self) -> Literal["good", "risky", "unsuitable"]:
        """Whether to play it, to play it with care, or not at all."""
        if self.score == 0:
            return "unsuitable"
        return "risky" if self.score == 1 or self.strength < 1 else "good"

    @property
    def warnings(self) -> tuple[str, ...]:
        """The reasons, where the verdict is not good."""
        return () if self.verdict == "good" else self.reasons

    def refuse(self, name: str) -> None:
        """Raise when the photo is unsuitable.

        Args:
            name: of the photo, for the message.

        Raises:
            StillflowError: with the gravest reasons.
        """
        if self.verdict == "unsuitable":
            raise StillflowError(
                f"cannot make a good loop of {name}",
                "; ".join(self.reasons[:2]),
                "say what moves with --mask or --arrow, choose another photo, or add --force to try anyway",
            )


def assess(photo: Photo, motion: Motion, *, placed: bool = False, seconds: float = 4.0) -> Suitability:
    """Judge a photo and the motion predicted for it.

    Args:
        photo: the picture.
        motion: of this picture.
        placed: the user said what moves, so that only how it will look is in question.
        seconds: length of the loop.

    Returns:
        The verdict.
    """
    measures = measure(photo, motion, seconds=seconds)
    moving = measures["moving_share"]
    if moving == 0 or (moving < LITTLE_MOTION and not placed):
        return Suitability(0, ("nothing in the picture would move",), measures, chance=0.0)
    chance = 1.0 if placed else chance_of(measures)
    reasons = [] if chance > POOR else _shortcomings(measures)
    faults = _faults(photo, measures, placed=placed)
    strength, why = safe_strength(motion, seconds=seconds), ""
    if strength < 1:
        share = 100 * measures["uncovered_share"]
        why = f"at this speed {share:.0f} % of what flows would leave its region, with nothing behind to show"
        faults.append(why)
    score = 0 if chance <= REFUSED else 1 if chance <= POOR else 2 if chance < IDEAL else 3
    if faults:
        score = min(score, 2)
    if measures["sharpness"] < BLUR_LIMIT:
        score = min(score, 1)
    return Suitability(score, (*reasons, *faults), measures, chance, strength, why)


def measure(photo: Photo, motion: Motion, *, seconds: float = 4.0) -> dict[str, float]:
    """Measure what the verdict is made of.

    Args:
        photo: the picture.
        motion: of this picture.
        seconds: length of the loop.

    Returns:
        By name. long_side: pixels. sharpness: see there. Shares of the picture: moving_share, flow_share (water,
        cloud, smoke, fire), foliage_share, fire_share, life_share (people and animals), edge_share (outline of
        what moves). visible_motion: mean local contrast of the luma inside what moves, over the whole picture:
        texture that can be seen to move. confidence: mean of the velocity's. uncovered_share: of what flows, see
        ``artefacts``. matte_doubt: undecided area relative to the moving one. network: its own chance, where it
        says one.
    """
    luma = _luma(photo)
    moving = motion.matte > 0.5
    flows = moving & np.isin(motion.classes, FLOW_CLASSES)
    measures = {
        "long_side": float(max(photo.height, photo.width)),
        "sharpness": _detail(luma),
        "moving_share": float((moving & np.isin(motion.classes, FLOW_CLASSES + SWAY_CLASSES)).mean()),
        "flow_share": float(flows.mean()),
        "foliage_share": float((moving & (motion.classes == FOLIAGE)).mean()),
        "fire_share": float((moving & (motion.classes == FIRE)).mean()),
        "life_share": float(np.isin(motion.classes, (6, 7)).mean()),
        "edge_share": _edge_share(moving),
        "visible_motion": _visible_motion(luma, moving),
        "confidence": float(motion.confidence[flows].mean()) if flows.any() else 1.0,
        "uncovered_share": uncovered_share(motion, seconds=seconds),
        "matte_doubt": _doubt(motion.matte),
    }
    if not math.isnan(motion.suitability):
        measures["network"] = float(motion.suitability)
    return measures


def chance_of(measures: Mapping[str, float]) -> float:
    """Chance that a photo makes a good loop, 0..1: the network's own where it says one, else the logistic model's."""
    if "network" in measures:
        z = NETWORK_BIAS + log_odds(measures["network"])
    else:
        z = BIAS + sum(weight * math.sqrt(measures[name]) for name, weight in WEIGHTS.items())
    return 1 / (1 + math.exp(-z))


def log_odds(chance: float) -> float:
    """Logarithm of chance / (1 - chance), within those of 0.01 and 0.99: no network is surer than that."""
    clipped = min(max(chance, 0.01), 0.99)
    return math.log(clipped / (1 - clipped))


def sharpness(photo: Photo) -> float:
    """Mean absolute second difference of the luma at 640 pixels, 0..1: how much fine texture there is."""
    return _detail(_luma(photo))


def _luma(photo: Photo) -> FloatArray:
    """(h, w) float32 0..1, ``DETAIL_SIDE`` pixels on the longest side."""
    scale = min(1.0, DETAIL_SIDE / max(photo.height, photo.width))
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    small = cv2.resize(photo.pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255, np.float32)


def _detail(luma: FloatArray) -> float:
    return float(np.abs(cv2.Laplacian(luma, cv2.CV_32F)).mean())


def _shortcomings(measures: Mapping[str, float]) -> list[str]:
    """Why the chance is low, in plain words; at least one reason."""
    streams, sways, lives = (measures[f"{kind}_share"] for kind in ("flow", "foliage", "life"))
    found = []
    if streams + sways < 0.25:
        share = 100 * (streams + sways)
        found.append(f"water, clouds, smoke, fire and foliage fill only {share:.0f} % of the picture")
    if lives > 0.15:
        found.append(
            f"people or animals fill {100 * lives:.0f} % of the picture, and they can do no more than breathe"
        )
    if measures["visible_motion"] < 0.004:
        found.append("what moves has so little texture that hardly anything would be seen")
    return found or ["it is like pictures that people judged to be better left still"]


def _faults(photo: Photo, measures: Mapping[str, float], *, placed: bool) -> list[str]:
    """What will look wrong, in plain words, the gravest first."""
    found = []
    if measures["long_side"] < SMALL_SIDE:
        found.append(f"the picture is small ({photo.width}x{photo.height} pixels)")
    if measures["sharpness"] < BLUR_LIMIT:
        found.append("the picture is blurred, so there is little texture that could be seen to move")
    if measures["edge_share"] > MANY_EDGES:
        found.append("many outlines cross what moves; tears along them are likely")
    if measures["confidence"] < UNSURE:
        found.append("the direction of the motion is uncertain; an --arrow would settle it")
    if measures["matte_doubt"] > UNDECIDED and not placed:
        found.append("it is uncertain what moves; a --mask would settle it")
    if measures["moving_share"] < 0.05:
        found.append("only a small part of the picture moves")
    return found


def _visible_motion(luma: FloatArray, moving: np.ndarray) -> float:
    """Local contrast of the luma (against a Gaussian of 2 % of the width) inside what moves, mean over all, 0..1."""
    small = (160, max(1, round(160 * luma.shape[0] / luma.shape[1])))
    luma = np.asarray(cv2.resize(luma, small, interpolation=cv2.INTER_AREA), np.float32)
    contrast = np.abs(luma - cv2.GaussianBlur(luma, (0, 0), 0.02 * small[0]))
    where = cv2.resize(moving.astype(np.float32), small, interpolation=cv2.INTER_AREA)
    return float((contrast * where).mean())


def _edge_share(moving: np.ndarray) -> float:
    """Samples on the outline of what moves, relative to all samples at 320 across."""
    small = cv2.resize(moving.astype(np.uint8), (320, max(1, round(320 * moving.shape[0] / moving.shape[1]))))
    outline = cv2.morphologyEx(small, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return float(outline.mean() / 2)


def _doubt(matte: FloatArray) -> float:
    """How undecided the matte is where it says anything: samples of 0.3-0.7 relative to those above 0.5."""
    unsure = ((matte > 0.3) & (matte < 0.7)).sum()
    return float(unsure / max(int((matte > 0.5).sum()), 1))
