# SPDX-License-Identifier: Apache-2.0
"""Futures: other motions that the same photo could have, drawn from a seed within what is uncertain.

Seed 0 is the most probable motion. Any other seed may turn a drift round, tilt it and change its speed: as often and as
far as ``Motion.doubt`` says, so that clouds may come from the other side while a fall goes on falling. Sway, gusts and
light take the same seed where they are drawn. What the user's arrows say is not drawn again.

The numbers of a seed are those of a Kronecker sequence (multiples of irrational steps, modulo 1), not of a generator of
random numbers: a few neighbouring seeds then spread over the possibilities in proportion, where random ones would often
all fall on the same side, and no version of a library can change them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from statistics import NormalDist
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from stillflow import layer
from stillflow.errors import StillflowError
from stillflow.guidance import MAX_SEED, Arrow, Hints
from stillflow.kernels.arrays import FloatArray
from stillflow.motion import CLASS_NAMES, FLOW_CLASSES, Motion

if TYPE_CHECKING:
    from stillflow.flow import Run

Mask = npt.NDArray[np.bool_]

MAX_FUTURES = 64
"""Most loops of one photo in one go; nobody looks at more."""

WATER = CLASS_NAMES.index("water")
CLOUD = CLASS_NAMES.index("cloud")

SURE = 0.12
"""Doubt up to which a direction is as good as certain: what falls and is so sure is never turned round."""

MOST_DOUBT = 0.5
"""Cap on doubt: beyond it the other direction would be the more probable one, and seed 0 would have it."""

TILT = dict(zip(FLOW_CLASSES, (25.0, 45.0, 45.0, 40.0), strict=True))
"""Degrees of standard deviation of the tilt at doubt 1, by class: water has banks, clouds have the whole sky."""

MOST_TILT = 25.0
"""Degrees. Further round, water climbs its banks, and clouds near the horizon leave it."""

SPEED_SPREAD, SPEED_SPREAD_GIVEN = 0.25, 0.06
"""Standard deviation of the logarithm of the speed: free, and where an arrow gave the speed."""

EXTREME = 1.8
"""Standard deviations at which tilts and speeds are cut off: speeds stay within a factor of 1.57."""

LEVEL_DOUBT = {WATER: 0.35, CLOUD: 0.45}
"""Doubt of a level drift where the network does not say any: a still picture hardly tells left from right."""

BORDER = 0.015
"""Picture widths over which a turned part passes into one that is not."""

LARGEST = 240
"""Samples across at which parts are found and turned; their borders are soft anyway."""

STEPS = {
    what: tuple(math.sqrt(prime) % 1 for prime in primes)
    for what, primes in (("turn", (2, 3, 5, 7)), ("tilt", (11, 13, 17, 19)), ("speed", (23, 29, 31, 37)))
}
"""Irrational steps of the sequence, one for each flow class in the order of ``STREAMS``."""

STREAMS = (CLOUD, WATER, *(c for c in FLOW_CLASSES if c not in (CLOUD, WATER)))


def draw_future(motion: Motion, hints: Hints) -> Motion:
    """Draw the future of a seed.

    All parts of a class share their wind or current: one draw decides for all of them which way and how
    fast, and each part follows as far as its own doubt allows.

    Args:
        motion: the most probable one, of this photo.
        hints: its seed says which future; its arrows say what is not in question. Both are resolved.

    Returns:
        The motion with another velocity; the very same object for seed 0, and where the user gave the velocity.
    """
    if hints.seed == 0 or hints.velocity is not None:
        return motion
    flows = (motion.flow_matte > 0.5) * motion.classes
    if not flows.any():
        return motion
    h, w = motion.matte.shape
    given = _classes_under(hints.arrows, flows)
    doubt = _doubt(motion)
    owner = layer.nearest_owner(flows)
    velocity = motion.velocity.copy()
    for label in (int(c) for c in np.unique(flows[flows > 0])):
        fixed = label in given or (bool(hints.arrows) and not given)
        pull = draws(hints.seed, label)
        falls = (motion.velocity[..., 1] > np.abs(motion.velocity[..., 0])) & (doubt <= SURE)
        change = _changes(flows == label, np.zeros_like(doubt) if fixed else doubt, falls, label, pull)
        spread = SPEED_SPREAD_GIVEN if fixed else SPEED_SPREAD
        change = cv2.resize(change, (w, h), interpolation=cv2.INTER_LINEAR) * math.exp(spread * pull["speed"])
        x, y = motion.velocity[..., 0], motion.velocity[..., 1]
        turned = np.stack(
            [change[..., 0] * x + change[..., 1] * y, change[..., 2] * x + change[..., 3] * y], -1
        )
        mine = owner == label
        velocity[mine] = turned[mine]
    return replace(motion, velocity=np.ascontiguousarray(velocity, np.float32))


def draws(seed: int, label: int) -> Mapping[str, float]:
    """Numbers of one seed for one class.

    Args:
        seed: 0 to 2^32 - 1.
        label: a flow class.

    Returns:
        turn: 0..1, uniform: parts with more doubt than this turn round. tilt and speed: normal with
        variance 1, cut off at ``EXTREME``.
    """
    place = STREAMS.index(label)
    uniform = {what: seed * steps[place] % 1 for what, steps in STEPS.items()}
    normal = {
        what: float(np.clip(NormalDist().inv_cdf(min(max(uniform[what], 1e-6), 1 - 1e-6)), -EXTREME, EXTREME))
        for what in ("tilt", "speed")
    }
    return {"turn": uniform["turn"], **normal}


def check_futures(count: int, seed: int, *, given: bool = False) -> None:
    """Refuse a number of futures that cannot be made.

    Args:
        count: how many.
        seed: of the first.
        given: the user gave the velocity, so that there is only one way it could move.

    Raises:
        StillflowError: fewer than 1 or more than 64, the last seed would be too large, or several of a given
            velocity.
    """
    if given and count > 1:
        raise StillflowError(
            f"cannot make {count} futures of one velocity",
            "it says how everything moves, so that all of them would be the same",
            "leave out --futures, or --velocity",
        )
    if not 1 <= count <= MAX_FUTURES:
        raise StillflowError(
            f"cannot make {count} futures",
            f"it must be a number from 1 to {MAX_FUTURES}",
            "give 4, for example; --seed N is any one of them",
        )
    if seed + count - 1 > MAX_SEED:
        raise StillflowError(
            f"cannot make {count} futures from the seed {seed}",
            f"the last one would have a seed above {MAX_SEED}",
            "give a smaller seed",
        )


def asked_once(run: Run) -> Run:
    """Make a network answer the same question again without running again.

    Futures differ in what is drawn afterwards, not in what the network is asked.

    Args:
        run: the session's.

    Returns:
        A function like it. Its answers are shared: they must not be written to.
    """
    kept: list[tuple[Mapping[str, FloatArray], Mapping[str, FloatArray]]] = []

    def answer(inputs: Mapping[str, FloatArray]) -> Mapping[str, FloatArray]:
        for asked, found in kept:
            if all(np.array_equal(asked[name], inputs[name]) for name in inputs):
                return found
        kept.append((inputs, run(inputs)))
        return kept[-1][1]

    return answer


def _doubt(motion: Motion) -> FloatArray:
    """The network's doubt; where it has none to say, that of a level drift."""
    if motion.doubt.any():
        return np.minimum(motion.doubt, np.float32(MOST_DOUBT))
    speed = np.hypot(motion.velocity[..., 0], motion.velocity[..., 1])
    level = np.abs(motion.velocity[..., 0]) / np.maximum(speed, 1e-6)
    doubt = np.zeros(motion.matte.shape, np.float32)
    for label, most in LEVEL_DOUBT.items():
        doubt += (motion.classes == label) * most * level**2
    return np.asarray(doubt, np.float32)


def _classes_under(arrows: tuple[Arrow, ...], flows: npt.NDArray[np.uint8]) -> set[int]:
    """Flow classes that an arrow's stroke crosses: the user said which way they go."""
    h, w = flows.shape
    found: set[int] = set()
    for arrow in arrows:
        along = np.linspace(0, 1, 33)
        x = np.clip((arrow.x0 + along * (arrow.x1 - arrow.x0)) * w, 0, w - 1).astype(int)
        y = np.clip((arrow.y0 + along * (arrow.y1 - arrow.y0)) * h, 0, h - 1).astype(int)
        found |= {int(label) for label in np.unique(flows[y, x])}
    return found - {0}


def _changes(
    region: Mask, doubt: FloatArray, falls: Mask, label: int, pull: Mapping[str, float]
) -> FloatArray:
    """2x2 matrices that turn a class's velocity, (h', w', 4) float32 at most ``LARGEST`` samples across."""
    h, w = region.shape
    scale = min(1.0, LARGEST / max(h, w))
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    inside = cv2.resize(region.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    if not inside.any():
        return np.broadcast_to(_matrix(0.0, label, turned=False), (size[1], size[0], 4)).copy()
    hesitant = cv2.resize(np.where(region, doubt, 0), size, interpolation=cv2.INTER_AREA)
    weight = cv2.resize(region.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    hesitant = hesitant / np.maximum(weight, 1e-3)
    owner = np.zeros(inside.shape, np.int32)
    matrices = [np.zeros(4, np.float32)]
    falling = cv2.resize(falls.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    for part in _parts(inside > 0, falling > 0, label):
        mean = float(hesitant[part].mean())
        tilt = float(np.clip(TILT[label] * mean * pull["tilt"], -MOST_TILT, MOST_TILT))
        owner[part] = len(matrices)
        matrices.append(_matrix(tilt, label, turned=mean > SURE and pull["turn"] < mean))
    field = np.stack(matrices)[layer.nearest_owner(owner)]
    return np.asarray(cv2.GaussianBlur(field, (0, 0), max(BORDER * size[0], 0.5)), np.float32)


def _parts(region: Mask, falling: Mask, label: int) -> list[Mask]:
    """What turns as a whole, as (h, w) masks.

    All clouds have one wind; each plume and each flame is one. Connected water is one, but for what surely
    falls, so that a pool may turn below a fall that does not.
    """
    if label == CLOUD:
        return [region]
    found = []
    for where in (region & ~falling, region & falling) if label == WATER else (region,):
        count, labels = cv2.connectedComponents(where.astype(np.uint8), connectivity=8)
        found += [labels == i for i in range(1, count)]
    return found


def _matrix(tilt: float, label: int, *, turned: bool) -> FloatArray:
    """(xx, xy, yx, yy) of a rotation by ``tilt`` degrees, after a turn.

    Water turns round along its own lines. What the wind carries changes sides, but keeps on rising or sinking.
    """
    angle = math.radians(tilt)
    c, s = math.cos(angle), math.sin(angle)
    x = -1.0 if turned else 1.0
    y = x if label == WATER else 1.0
    return np.array([c * x, -s * y, s * x, c * y], np.float32)
