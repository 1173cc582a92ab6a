# SPDX-License-Identifier: Apache-2.0
"""The flow network, run once a photo: photo and hints in, Motion out; and the closed form it must beat."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.bend import bend_velocity, rbf_velocity
from stillflow.consensus import agree
from stillflow.guidance import Arrow, Hints
from stillflow.kernels.arrays import ByteArray, FloatArray, field_shape
from stillflow.light import predict_light
from stillflow.motion import FLOW_CLASSES, MOVING_CLASSES, STILL_CLASSES, Motion
from stillflow.order import occlusion_order
from stillflow.photo import Photo
from stillflow.sway import predict_sway

Run = Callable[[Mapping[str, npt.NDArray[np.float32]]], Mapping[str, npt.NDArray[np.float32]]]
"""A session's ``run``: {"photo", "hints"} to {"classes", "moves", "velocity", "spread"}, and, in bundles made
since 0.1, {"either", "suited"}."""

LONG_SIDE = 192
"""Long side in pixels at which the network sees the photo, unless the bundle says another."""

MULTIPLE = 32
"""Both sides are brought to a multiple of this: the network halves five times."""

VELOCITY_UNIT = 10.0
"""The network speaks of widths a second times 10, so that common speeds are near 0.1..1."""

ARROW_SIGMA = 0.03
"""Width of an arrow's bump in the hint planes, in long sides."""

ARROW_FLOOR = 0.1
"""Value of arrow_known far from every stroke."""

SLOWEST = 0.002
"""Widths a second: slower is as good as still."""


def hint_planes(hints: Hints, h: int, w: int) -> FloatArray:
    """Lay out guidance as the network reads it.

    Args:
        hints: resolved guidance.
        h: rows of the network's input.
        w: columns of the network's input.

    Returns:
        (6, h, w) float32: mask_known, mask_value, arrow_known (1 on a stroke, 0.1 far from all, 0 when
        there are none), the closed form's vx and vy everywhere (widths a second times 10), row 0 (top)
        to 1 (bottom). The network corrects the closed form, so it starts as good as that.
    """
    planes = np.zeros((6, h, w), np.float32)
    if hints.mask is not None:
        planes[0] = 1
        planes[1] = cv2.resize(hints.mask, (w, h), interpolation=cv2.INTER_AREA)
    if hints.still is not None:
        still = cv2.resize(hints.still, (w, h), interpolation=cv2.INTER_AREA)
        planes[0] = np.maximum(planes[0], still)
        planes[1] *= 1 - still
    if hints.arrows:
        # The floor tells the network everywhere that the direction was given.
        bumps = [_arrow_bump(arrow, h, w) for arrow in hints.arrows]
        planes[2] = np.maximum(np.max(bumps, axis=0), ARROW_FLOOR)
        planes[3:5] = rbf_velocity(hints.arrows, h, w, h / w).transpose(2, 0, 1) * VELOCITY_UNIT
    planes[5] = np.linspace(0, 1, h, dtype=np.float32)[:, None]
    return planes


def _arrow_bump(arrow: Arrow, h: int, w: int) -> FloatArray:
    """Gaussian of the distance to the arrow's stroke, (h, w) float32 0..1."""
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    ax, ay, bx, by = arrow.x0 * (w - 1), arrow.y0 * (h - 1), arrow.x1 * (w - 1), arrow.y1 * (h - 1)
    dx, dy = bx - ax, by - ay
    along = np.clip(((x - ax) * dx + (y - ay) * dy) / max(dx * dx + dy * dy, 1e-9), 0, 1)
    squared = (x - ax - along * dx) ** 2 + (y - ay - along * dy) ** 2
    return np.asarray(np.exp(-squared / (2 * (ARROW_SIGMA * max(h, w)) ** 2)), np.float32)


def predict_motion(
    photo: Photo, hints: Hints, run: Run, outputs: Mapping[str, str], long_side: int = LONG_SIDE
) -> Motion:
    """Ask the flow network how a photo would move.

    Args:
        photo: the picture.
        hints: resolved guidance; strength scales every speed.
        run: the flow network's session.
        outputs: the manifest's switches ("velocity_guided": "network" or "rbf").
        long_side: pixels at which the network sees the photo.

    Returns:
        The motion, at field size.
    """
    h, w = field_shape(photo.height, photo.width)
    size = _network_size(photo.height, photo.width, long_side)
    small = cv2.resize(photo.pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    planes = hint_planes(hints, size[1], size[0])
    out = run({"photo": np.ascontiguousarray(small.transpose(2, 0, 1)[None]), "hints": planes[None]})
    agreed = agree(out["classes"][0], out["moves"][0, 0], photo.pixels)
    logits = np.stack([_to_field(p, h, w) for p in agreed[0]])
    moves = _sigmoid(_to_field(agreed[1], h, w))
    velocity = np.stack([_to_field(p, h, w) for p in out["velocity"][0]], -1) / np.float32(VELOCITY_UNIT)
    # The expected error relative to the speed: an error of the speed's size leaves one half.
    error = np.exp(np.clip(_to_field(out["spread"][0, 0], h, w), -20, 20)) / np.float32(VELOCITY_UNIT)
    confidence = 1 / (1 + error / (np.hypot(velocity[..., 0], velocity[..., 1]) + SLOWEST))
    sources = {"velocity": "network", "matte": "network"}
    if hints.velocity is None:
        matte, classes = _matte_and_classes(moves, logits, hints, h, w)
    else:
        velocity, share = hints.velocity.smooth(h, w, photo.height / photo.width)
        allowed = may_change(hints, h, w)
        matte = share if allowed is None else share * allowed
        classes = _classes_of_field(matte, logits)
        # As with arrows, the user has settled the direction; and what moves.
        confidence = np.ones_like(confidence)
        sources = {"velocity": "file", "matte": "file"}
    if hints.arrows:
        # Who drew arrows has settled the direction.
        confidence = np.ones_like(confidence)
        aspect = photo.height / photo.width
        if outputs.get("velocity_guided", "rbf") == "rbf":
            velocity, sources["velocity"] = rbf_velocity(hints.arrows, h, w, aspect), "rbf"
        else:
            # An arrow on a river says nothing of the clouds; inside a mask it speaks for everything.
            group = None if hints.mask is not None else logits[list(FLOW_CLASSES)].argmax(0).astype(np.uint8)
            velocity = bend_velocity(velocity, hints.arrows, aspect, group)
    if hints.mask is not None and hints.velocity is None:
        sources["matte"] = "user"
    velocity = np.ascontiguousarray(velocity * np.float32(hints.strength), np.float32)
    order = occlusion_order(classes)
    seed, strength = hints.seed, hints.strength
    allowed = may_change(hints, h, w)
    sway = predict_sway(photo.pixels, matte, classes, order, strength=strength, seed=seed, allowed=allowed)
    light = predict_light(photo.pixels, matte, classes, strength=strength, seed=seed, allowed=allowed)
    return Motion(
        velocity=velocity,
        matte=matte,
        classes=classes,
        confidence=np.ascontiguousarray(confidence, np.float32),
        sway=sway.coefficients,
        sway_hz=sway.hz,
        light=light.coefficients,
        light_hz=light.hz,
        height=photo.height,
        width=photo.width,
        sources=sources | {"sway": "closed form", "light": "closed form"},
        order=order,
        doubt=_doubt(out, hints, h, w),
        suitability=float(_sigmoid(out["suited"].reshape(-1)[0])) if "suited" in out else math.nan,
    )


def _doubt(out: Mapping[str, npt.NDArray[np.float32]], hints: Hints, h: int, w: int) -> FloatArray:
    """Probability that the opposite direction is the true one: half of "either would do"; none where the user said."""
    if "either" not in out or hints.arrows or hints.velocity is not None:
        return np.zeros((h, w), np.float32)
    return np.asarray(0.5 * _sigmoid(_to_field(out["either"][0, 0], h, w)), np.float32)


def _sigmoid(x: npt.ArrayLike) -> FloatArray:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))), np.float32)


def may_change(hints: Hints, h: int, w: int) -> FloatArray | None:
    """Where the user's maps let anything change, (h, w) float32 0..1; None when there are none."""
    if hints.mask is None and hints.still is None:
        return None
    allowed = np.ones((h, w), np.float32)
    if hints.mask is not None:
        allowed = np.asarray(cv2.resize(hints.mask, (w, h), interpolation=cv2.INTER_AREA), np.float32)
    if hints.still is not None:
        allowed = allowed * (1 - cv2.resize(hints.still, (w, h), interpolation=cv2.INTER_AREA))
    return np.asarray(allowed, np.float32)


def _network_size(height: int, width: int, long_side: int) -> tuple[int, int]:
    """(width, height) the network runs at: long side at most ``long_side``, multiples of 32."""
    scale = min(1.0, long_side / max(height, width))
    return (
        max(MULTIPLE, round(width * scale / MULTIPLE) * MULTIPLE),
        max(MULTIPLE, round(height * scale / MULTIPLE) * MULTIPLE),
    )


def _to_field(plane: npt.NDArray[np.float32], h: int, w: int) -> FloatArray:
    """Bring one output plane to field size."""
    return np.asarray(cv2.resize(plane, (w, h), interpolation=cv2.INTER_LINEAR), np.float32)


def _matte_and_classes(
    moves: FloatArray, logits: FloatArray, hints: Hints, h: int, w: int
) -> tuple[FloatArray, ByteArray]:
    """Apply the user's maps: a mask says what moves, and arrows alone say that their region flows."""
    matte, moving = moves, np.array(MOVING_CLASSES)
    # "moves" decides what moves; the classes only say how. Several moving classes may share what none of them has.
    likely = moving[logits[moving].argmax(0)]
    classes = np.where(matte > 0.5, likely, np.array(STILL_CLASSES)[logits[list(STILL_CLASSES)].argmax(0)])
    flow = np.array(FLOW_CLASSES)
    best_flow = flow[logits[flow].argmax(0)]
    if hints.mask is not None:
        matte = cv2.resize(hints.mask, (w, h), interpolation=cv2.INTER_AREA)
        # With arrows beside the mask, what is white flows.
        classes = best_flow if hints.arrows else likely
    elif hints.arrows:
        bump = np.max([_arrow_bump(arrow, h, w) for arrow in hints.arrows], axis=0)
        classes = np.where(bump > 0.5, best_flow, classes)
        matte = np.maximum(matte, np.where(bump > 0.5, bump, 0))
    if hints.still is not None:
        matte = matte * (1 - cv2.resize(hints.still, (w, h), interpolation=cv2.INTER_AREA))
    return np.ascontiguousarray(matte, np.float32), np.ascontiguousarray(classes, np.uint8)


def _classes_of_field(matte: FloatArray, logits: FloatArray) -> ByteArray:
    """Classes (h, w) under a velocity from elsewhere: where it moves the network's, if that flows, else water."""
    said = logits.argmax(0)
    still = np.array(STILL_CLASSES)[logits[list(STILL_CLASSES)].argmax(0)]
    flowing = np.where(np.isin(said, FLOW_CLASSES), said, FLOW_CLASSES[0])
    return np.ascontiguousarray(np.where(matte > 0, flowing, still), np.uint8)
