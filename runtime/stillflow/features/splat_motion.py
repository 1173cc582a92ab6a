# SPDX-License-Identifier: Apache-2.0
"""How a feature scene moves: a motion, or a field from elsewhere, as pixels a frame at the picture's size."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from stillflow.guidance import Hints
from stillflow.kernels.arrays import ByteArray, FloatArray
from stillflow.motion import Motion
from stillflow.photo import Photo
from stillflow.region import flow_region

EDGE_MIX = 2.0
"""Pixels of a 1280-wide picture inside the edge of what flows that are not thrown."""

LONGEST_TRAVEL = 0.2
"""Picture widths that the fast part of a region may travel in one cycle, as in cross-faded scenes: what is thrown
further leaves holes that no decoder closes (``features.feature_scene``)."""

SHORTEST_CYCLE = 2.0
"""Seconds: the published loops have 60 frames at 30 a second."""


@dataclass(frozen=True, eq=False)
class SplatMotion:
    """What moves in a feature scene.

    Attributes:
        velocity: (H, W, 2) float32, pixels a frame, 0 where nothing flows.
        cycles: how often the loop closes within its frames; divides their number.
        speed_scale: smallest factor applied to the speed of a region.
    """

    velocity: FloatArray
    cycles: int = 1
    speed_scale: float = 1.0


def splat_motion(photo: Photo, motion: Motion, hints: Hints, *, seconds: float, fps: float) -> SplatMotion:
    """Say how a photo moves as a feature scene.

    A field from elsewhere is played as it is, the way the published generators play it: its nearest sample, one
    cycle, and 0 where the user's maps keep things still. Otherwise it is the motion's velocity, cut along the
    photo's own colours. What then travels too far closes more often, and is slowed down where it does even so.

    Args:
        photo: the picture.
        motion: of this very picture, strength included.
        hints: resolved guidance.
        seconds: length of the loop.
        fps: frames a second.
    """
    if hints.velocity is not None:
        velocity = hints.velocity.nearest(photo.height, photo.width) * np.float32(hints.strength)
        if hints.mask is not None:
            velocity[hints.mask < 0.5] = 0
        if hints.still is not None:
            velocity[hints.still >= 0.5] = 0
        return SplatMotion(velocity)
    flows, _ = flow_region(motion, photo.pixels)
    # The outermost pixels hold colours mixed with what stands beside: thrown, they draw its outline again.
    inwards = max(1, round(EDGE_MIX * photo.width / 1280))
    flows = np.asarray(cv2.erode(flows, np.ones((3, 3), np.uint8), iterations=inwards), np.uint8)
    widths = cv2.resize(motion.velocity, (photo.width, photo.height), interpolation=cv2.INTER_LINEAR)
    cycles, slower = _plan(flows, np.asarray(widths, np.float32), seconds, max(1, round(seconds * fps)))
    velocity = widths * (slower * np.float32(photo.width / fps))[..., None]
    scale = float(slower[flows > 0].min()) if flows.any() else 1.0
    return SplatMotion(np.ascontiguousarray(velocity, np.float32), cycles, scale)


def _plan(flows: ByteArray, velocity: FloatArray, seconds: float, frames: int) -> tuple[int, FloatArray]:
    """Cycles of a loop, and what each region's speed is multiplied by, (H, W) float32: 0 where nothing flows.

    Args:
        flows: (H, W) uint8, not 0 where something flows.
        velocity: (H, W, 2) float32, picture widths a second.
        seconds: length of the loop.
        frames: in the loop.
    """
    speed = np.hypot(velocity[..., 0], velocity[..., 1])
    count, labels = cv2.connectedComponents((flows > 0).astype(np.uint8), connectivity=8)
    order = np.argsort(labels, axis=None, kind="stable")
    ends = np.cumsum(np.bincount(labels.ravel(), minlength=count))
    fast = [
        float(np.percentile(speed.ravel()[order[begin:end]], 90)) for begin, end in zip(ends[:-1], ends[1:])
    ]
    most = max(1, int(seconds / SHORTEST_CYCLE))
    wanted = min(most, max(1, int(np.ceil(max(fast, default=0.0) * seconds / LONGEST_TRAVEL))))
    # A cycle is a whole number of frames, so that every one of them closes on a frame.
    cycles = next(c for c in range(wanted, 0, -1) if frames % c == 0)
    travels = np.array([0.0, *fast]) * seconds / cycles
    factors = np.minimum(1, LONGEST_TRAVEL / np.maximum(travels, 1e-9))
    factors[0] = 0
    return cycles, np.asarray(factors.astype(np.float32)[labels], np.float32)
