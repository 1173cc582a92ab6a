# SPDX-License-Identifier: Apache-2.0
"""What a loop will lack: how much of it shows what the photo does not hold, foretold from the motion alone.

A moving sample is shown from where it came from, or from where it goes to one cycle later. Where both lie outside its
own region nothing of the photo is left to show, and the plate is: that is seen as smooth blocks at a fall's foot and as
bald patches at the rim of clouds. Slower motion uncovers less: there is a strength at which a loop still looks clean.
"""

from __future__ import annotations

import cv2
import numpy as np

from stillflow.cycles import cycle_plan
from stillflow.kernels.arrays import FloatArray
from stillflow.kernels.reference import grid, lookup
from stillflow.motion import Motion

ACROSS = 160
"""Samples across at which it is foretold: 8 pixels of a 1280-wide picture."""

PHASES = (0.25, 0.5, 0.75)
"""Places in a cycle that are looked at; at its ends the photo itself is shown."""

UNCOVERED_LIMIT = 0.08
"""Share of the flowing area that may lack a source."""

UNSEEN = 0.002
"""Share of the picture that may lack one anyway: specks that nobody looks at."""

LEAST_STRENGTH = 0.4
"""Slower than that hardly helps any more: what still lacks a source then lies in slits that any motion uncovers."""

STEP = 0.05
"""Strengths are told in steps of this: nobody sees a finer one."""


def uncovered_share(motion: Motion, strength: float = 1.0, *, seconds: float = 4.0) -> float:
    """Foretell how much of what flows will have no source.

    Args:
        motion: of strength 1.
        strength: factor on every speed.
        seconds: length of the loop.

    Returns:
        Share of the flowing area, 0..1, mean over the cycle's phases: 0 when nothing flows.
    """
    return _share(*_reduced(motion), strength, seconds)


def safe_strength(motion: Motion, *, limit: float = UNCOVERED_LIMIT, seconds: float = 4.0) -> float:
    """Find the largest strength up to 1 that keeps the uncovered share under a limit.

    Args:
        motion: of strength 1.
        limit: share of the flowing area, 0..1.
        seconds: length of the loop.

    Returns:
        0.4 to 1, in steps of 0.05; 0.4 also where even that uncovers more.
    """
    region, velocity = _reduced(motion)
    low, high = round(LEAST_STRENGTH / STEP), round(1 / STEP)
    limit = max(limit, UNSEEN / max(float((region > 0.5).mean()), 1e-6))
    if _share(region, velocity, high * STEP, seconds) <= limit:
        return 1.0
    # The share does not grow strictly with the strength, since faster regions fade more often; bisection
    # then ends at one of the strengths where it crosses the limit, which is all that is asked.
    while high - low > 1:
        middle = (low + high) // 2
        if _share(region, velocity, middle * STEP, seconds) <= limit:
            low = middle
        else:
            high = middle
    return round(low * STEP, 2)


def _reduced(motion: Motion) -> tuple[FloatArray, FloatArray]:
    """What flows (h, w) 0..1, and velocity (h, w, 2) in picture widths a second, ``ACROSS`` samples across."""
    h, w = motion.matte.shape
    scale = min(1.0, ACROSS / w)
    size = (max(2, round(w * scale)), max(2, round(h * scale)))
    flows = (motion.flow_matte > 0.5).astype(np.float32)
    return (
        np.asarray(cv2.resize(flows, size, interpolation=cv2.INTER_AREA), np.float32),
        np.asarray(cv2.resize(motion.velocity, size, interpolation=cv2.INTER_AREA), np.float32),
    )


def _share(flows: FloatArray, velocity: FloatArray, strength: float, seconds: float) -> float:
    """Mean over the phases of the share of flowing samples whose two straight paths both end outside."""
    region = flows > 0.5
    if not region.any():
        return 0.0
    velocity = velocity * np.float32(strength)
    speed = np.hypot(velocity[..., 0], velocity[..., 1])
    cycles, slower = cycle_plan(region.astype(np.uint8), speed.astype(np.float32), seconds)
    # Samples that the content travels in one cycle.
    travel = np.asarray(
        velocity * (slower * (seconds / cycles))[..., None] * np.float32(flows.shape[1]), np.float32
    )
    x, y = grid(*flows.shape)
    lost = []
    for phase in PHASES:
        shown = np.zeros(flows.shape, np.float32)
        for share in (-phase, 1 - phase):
            # Positions beyond the picture are mirrored at its border, as the kernels do.
            px = _mirrored(x + np.float32(share) * travel[..., 0], flows.shape[1])
            py = _mirrored(y + np.float32(share) * travel[..., 1], flows.shape[0])
            shown = np.maximum(shown, lookup(flows, px, py))
        lost.append(float((shown[region] < 0.5).mean()))
    return float(np.mean(lost))


def _mirrored(position: FloatArray, size: int) -> FloatArray:
    """Positions folded into 0..size-1."""
    top = max(size - 1, 1)
    folded = np.mod(position, 2 * top)
    return np.asarray(np.minimum(folded, 2 * top - folded), np.float32)
