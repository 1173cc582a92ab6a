# SPDX-License-Identifier: Apache-2.0
"""What sways in the wind: plants and cloth, each sample with a few frequencies of its own.

A constant flow on trees looks worse than the frozen photo. Their displacement is a short sum of oscillations,
drawn from the seed: one wind for the whole picture, whose gusts travel; plants fixed where they meet the ground,
with tips that move; cloth fixed where it hangs, with waves that run to its free side. ``breath`` adds what
lives.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from stillflow import breath
from stillflow.kernels.arrays import ByteArray, FloatArray
from stillflow.oscillation import (
    FAR,
    Mask,
    Oscillation,
    behind,
    distance_to,
    envelope,
    geodesic,
    held,
    reach_of,
    smooth_noise,
    spread,
    steepness,
)

FOLIAGE, PERSON, ANIMAL, CLOTH = 5, 6, 7, 8

HZ = np.array([0.25, 0.5, 0.75, 1.25, 2.0], np.float32)
"""Gusts and breath; branches twice; twigs; leaves. Trees' first modes lie between 0.3 and 0.8 Hz."""

WORKING_SIDE = 192
"""Longest side, in samples, at which the motion is drawn; it is smooth, so larger fields are interpolated."""

SLOPE = 0.2
"""Largest change of an amplitude from one sample to the next; phases add about as much."""

STEEPEST = 0.42
"""Displacements never change by more than this from one sample to the next: below 1 nothing folds. It is measured at
12 times of a period; in between it is up to a tenth more."""

GUST_SPEED = 0.35
"""Picture widths a second at which gusts travel among plants of middling distance."""

STIFF, LOOSE = 0.3, 1.0
"""Picture widths: what is narrower than the first answers a gust as one plant, a meadow wider than the second
sample by sample."""

SHARES = np.array([0.40, 0.60, 0.38], np.float32)
"""Amplitudes of the gust and of the two branch frequencies, in parts of a plant's amplitude."""

TIP = 0.024
"""A plant's amplitude at its tips, in parts of its height."""

TIP_MOST = 0.0042
"""Picture widths: largest amplitude of a plant."""

TWIGS, LEAVES = 0.00055, 0.00032
"""Picture widths: amplitudes of the two fast frequencies, where leaves are of middling size."""

CLOTH_TIP = 0.024
"""A cloth's amplitude at its free side, in parts of its length."""

CLOTH_MOST = 0.0030
"""Picture widths: largest amplitude of cloth."""


@dataclass(frozen=True, eq=False)
class Wind:
    """The wind of one picture.

    Attributes:
        direction: (2,) float32 unit vector, x right and y down.
        travelled: (h, w) float32, seconds that a gust needs to each sample.
    """

    direction: FloatArray
    travelled: FloatArray


def predict_sway(
    photo: ByteArray,
    matte: FloatArray,
    classes: ByteArray,
    order: ByteArray,
    *,
    strength: float = 1.0,
    seed: int = 0,
    allowed: FloatArray | None = None,
) -> Oscillation:
    """Draw how a picture's plants, cloth, people and animals oscillate.

    Args:
        photo: (H, W, 3) uint8, for the size of leaves and for where skin is.
        matte: (h, w) float32 0..1 at field size, what moves.
        classes: (h, w) uint8, index into ``motion.CLASS_NAMES``.
        order: (h, w) uint8, rank of occlusion (``Motion.order``); all the same when nothing is known.
        strength: factor on the amplitudes.
        seed: same seed, same sway.
        allowed: (h, w) float32 0..1, where anything may move at all (the user's maps); everywhere without it.
            What sways is held there, and bends nothing beyond.

    Returns:
        Coefficients (K, h, w, 4) in picture widths (ax, ay, bx, by), continued a little beyond each
        region's outline where it may bend; K = 0 when nothing sways.
    """
    h, w = matte.shape
    scale = min(1.0, WORKING_SIDE / max(h, w))
    size = (max(2, round(w * scale)), max(2, round(h * scale)))
    moving = cv2.resize(matte, size, interpolation=cv2.INTER_AREA) > 0.5
    small_classes = cv2.resize(classes, size, interpolation=cv2.INTER_NEAREST)
    small_order = cv2.resize(order, size, interpolation=cv2.INTER_NEAREST)
    present = [c for c in (FOLIAGE, PERSON, ANIMAL, CLOTH) if (moving & (small_classes == c)).any()]
    if not present or strength == 0:
        return Oscillation(np.zeros((0, h, w, 4), np.float32), np.zeros(0, np.float32))
    may = np.ones((size[1], size[0]), np.bool_)
    if allowed is not None:
        may = cv2.resize(allowed, size, interpolation=cv2.INTER_AREA) > 0.5
    total = np.zeros((HZ.size, size[1], size[0], 4), np.float32)
    wind = draw_wind(np.random.default_rng((seed, 0)), size[1], size[0])
    leaves = detail_scale(photo, size)
    for c in present:
        region = moving & may & (small_classes == c)
        over = behind(region, small_classes, small_order) & may
        rng = np.random.default_rng((seed, c))
        if c == FOLIAGE:
            drawn = foliage(rng, region, over, wind, leaves)
        elif c == CLOTH:
            drawn = cloth(rng, region, over, wind)
        else:
            drawn = breath.breathing(rng, region, HZ, upright=c == PERSON)
        total += anchored(drawn * np.float32(strength), region, over, reach_of(small_classes))
    total *= np.float32(min(1.0, STEEPEST / max(steepness(Oscillation(total, HZ)), 1e-6)))
    field = np.stack([cv2.resize(part, (w, h), interpolation=cv2.INTER_LINEAR) for part in total])
    if allowed is not None:
        field *= (allowed > 0)[None, ..., None]
    return Oscillation(np.ascontiguousarray(field / np.float32(size[0]), np.float32), HZ.copy())


def draw_wind(rng: np.random.Generator, h: int, w: int) -> Wind:
    """Choose where the wind of a picture blows: to the left or the right, a little up or down."""
    angle = rng.uniform(-0.3, 0.3) + (np.pi if rng.random() < 0.5 else 0)
    direction = np.array([np.cos(angle), np.sin(angle)], np.float32)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32) / w
    bent = 0.08 * smooth_noise(rng, h, w, 0.25 * w)
    return Wind(direction, np.asarray((x * direction[0] + y * direction[1] + bent) / GUST_SPEED, np.float32))


def detail_scale(photo: ByteArray, size: tuple[int, int]) -> FloatArray:
    """Size of a picture's details relative to the usual: near leaves 2, far woods 0.4.

    The mean scale of five octaves of detail, weighed by their energy: photos have about as much of it in
    every octave, so what has more of the fine ones is small, or far away.

    Args:
        photo: (H, W, 3) uint8.
        size: (w, h) of the result.

    Returns:
        (h, w) float32 0.4..2.
    """
    gray = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    level = cv2.resize(gray, (size[0] * 4, size[1] * 4), interpolation=cv2.INTER_AREA).astype(np.float32)
    # A smaller field is a smaller picture, whose octaves begin at coarser details.
    first = np.log2(640 / (4 * size[0]))
    total = np.full((size[1], size[0]), 1e-3, np.float32)
    weighed = total * 2
    for i in range(5):
        coarse = cv2.pyrDown(level)
        fine = level - cv2.resize(coarse, level.shape[::-1], interpolation=cv2.INTER_LINEAR)
        way = cv2.INTER_AREA if fine.shape[1] > size[0] else cv2.INTER_LINEAR
        energy = cv2.GaussianBlur(cv2.resize(fine * fine, size, interpolation=way), (0, 0), 0.04 * size[0])
        total += energy
        weighed += energy * np.float32(i + first)
        level = coarse
        if min(level.shape) < 8:
            break
    octave = weighed / total
    return np.asarray(np.clip(2.0 ** (octave - 2.1), 0.4, 2.0), np.float32)


def heights(region: Mask, over: Mask) -> tuple[FloatArray, FloatArray]:
    """Height of each sample above where its plant is held, and of the whole plant.

    Held is what touches anything that is not behind it. The picture's border is no outline: a plant goes on
    beyond it, so there it has some height already.

    Args:
        region: (h, w), the plants.
        over: (h, w), what is behind them.

    Returns:
        Both (h, w) float32 in picture widths, 0 outside the region.
    """
    h, w = region.shape
    start = np.full((h, w), FAR, np.float32)
    start[[0], :], start[:, [0, -1]], start[[-1], :] = 0.12 * w, 0.12 * w, 0.06 * w
    near = cv2.dilate((~region & ~over).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    start[near] = 0
    start[~region] = FAR
    count, parts = cv2.connectedComponents(region.astype(np.uint8), connectivity=8)
    for i in range(1, count):
        mine = parts == i
        if float(start[mine].min()) >= FAR:
            # Held by nothing (a bush before the sky): its foot holds it.
            rows = np.nonzero(mine.any(1))[0]
            foot = mine.copy()
            foot[: rows[-1]] = False
            start[foot] = 0
    height = np.where(region, geodesic(start, region, outside_cost=4) / w, 0).astype(np.float32)
    whole = np.zeros_like(height)
    for i in range(1, count):
        mine = parts == i
        whole[mine] = np.percentile(height[mine], 95)
    return height, whole


def foliage(rng: np.random.Generator, region: Mask, over: Mask, wind: Wind, leaves: FloatArray) -> FloatArray:
    """Plants: stems that bend with the wind, branches that answer late, leaves that flutter.

    Returns:
        (K, h, w, 4) float32 samples, for ``HZ``.
    """
    h, w = region.shape
    height, whole = heights(region, over)
    rise = np.clip(height / np.clip(whole, 0.04, 0.35), 0, 1) ** 1.2
    tip = np.clip(TIP * whole, 0.0002, TIP_MOST) * leaves**0.7
    amplitude = (w * tip * rise).astype(np.float32)
    branches, twigs = smooth_noise(rng, h, w, 0.10 * w), smooth_noise(rng, h, w, 0.04 * w)
    stems = _stem_directions(height, region)
    # A stem that stands upright bends along the wind, a branch that reaches out goes up and down.
    across = np.stack([-stems[..., 1], stems[..., 0]], -1) * np.sign(wind.direction[0])
    way = 0.8 * wind.direction + 0.35 * across
    late = arrivals(region, wind, leaves)
    result = np.zeros((HZ.size, h, w, 4), np.float32)
    for k in range(3):
        lag = (0.15, 0.45, 0.75)[k] * branches + (0.0, 0.1, 0.25)[k] * twigs
        loud = np.clip(1 + 0.35 * smooth_noise(rng, h, w, 0.15 * w), 0.3, 1.7)
        phase = 2 * np.pi * HZ[k] * late + lag + rng.uniform(0, 2 * np.pi)
        _add(result[k], amplitude * SHARES[k] * loud, way, phase)
    small = np.sqrt(rise) * leaves * w
    for k, (size, length) in enumerate(((TWIGS, 0.035), (LEAVES, 0.018)), start=3):
        angle = 1.5 * smooth_noise(rng, h, w, 2 * length * w) + np.pi / 2 * (k == 4)
        where = np.stack([np.cos(angle), np.sin(angle)], -1) * wind.direction[0]
        loud = np.clip(1 + 0.5 * smooth_noise(rng, h, w, 0.12 * w), 0.1, 2)
        phase = 2 * np.pi * HZ[k] * late + 1.8 * smooth_noise(rng, h, w, length * w)
        _add(result[k], (size * small * loud).astype(np.float32), where, phase)
    return result


def arrivals(region: Mask, wind: Wind, leaves: FloatArray) -> FloatArray:
    """When a gust reaches each sample, (h, w) float32 seconds: one plant answers as a whole.

    Args:
        region: (h, w), the plants.
        wind: of the picture.
        leaves: (h, w), relative size of details; where they are small a gust takes longer.
    """
    late = wind.travelled.copy()
    w = region.shape[1]
    count, parts, stats, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)
    for i in range(1, count):
        mine = parts == i
        wide = float(stats[i, cv2.CC_STAT_WIDTH]) / w
        loose = float(np.clip((wide - STIFF) / (LOOSE - STIFF), 0.15, 1))
        middle = float(late[mine].mean())
        late[mine] = middle + (late[mine] - middle) * loose / max(float(leaves[mine].mean()), 0.7)
    return late


def cloth(rng: np.random.Generator, region: Mask, over: Mask, wind: Wind) -> FloatArray:
    """Cloth, flags and hair: waves that run from where it is held to its free side.

    Returns:
        (K, h, w, 4) float32 samples, for ``HZ``.
    """
    h, w = region.shape
    length, whole = heights(region, over)
    rise = np.clip(length / np.clip(whole, 0.02, 0.3), 0, 1)
    amplitude = (w * np.clip(CLOTH_TIP * whole, 0.0002, CLOTH_MOST) * rise).astype(np.float32)
    along = _stem_directions(length, region)
    way = np.stack([-along[..., 1], along[..., 0]], -1) * 0.8 + 0.35 * wind.direction
    result = np.zeros((HZ.size, h, w, 4), np.float32)
    for k, share in enumerate((0.25, 0.6, 0.45, 0.2)):
        # About one wave over the whole length for the main frequency, more for faster ones.
        waves = length / np.maximum(whole, 0.05) * HZ[k] / HZ[1]
        phase = 2 * np.pi * (0.7 * waves + 0.3 * HZ[k] * wind.travelled) + rng.uniform(0, 2 * np.pi)
        _add(result[k], amplitude * np.float32(share), way, phase + 0.5 * smooth_noise(rng, h, w, 0.15 * w))
    return result


def anchored(drawn: FloatArray, region: Mask, over: Mask, reach: FloatArray) -> FloatArray:
    """Let a drawn sway go to 0 where its region is held, and fall off beyond the outline where it may bend.

    Args:
        drawn: (K, h, w, 4) float32 samples.
        region: (h, w), what sways.
        over: (h, w), what its outline may bend over.
        reach: (h, w) float32, samples up to which it does.
    """
    # A little further than the outline bends: the region is cut anew along the photo's own edges.
    near = distance_to(region) <= reach + 0.012 * region.shape[1] + 1
    wide = spread(drawn, region, max(1.3, 0.012 * region.shape[1])) * near[None, ..., None]
    wanted = envelope(wide)
    allowed = held(wanted, region, over, slope=SLOPE, reach=reach)
    return np.asarray(wide * np.minimum(1, allowed / np.maximum(wanted, 1e-6))[None, ..., None], np.float32)


def _stem_directions(height: FloatArray, region: Mask) -> FloatArray:
    """Which way stems grow: the smoothed slope of the height, (h, w, 2) float32, length 0..1."""
    w = region.shape[1]
    gy, gx = np.gradient(cv2.GaussianBlur(height * w, (0, 0), max(1.0, 0.01 * w)))
    slope = np.stack([gx, gy], -1).astype(np.float32)
    slope /= np.maximum(np.linalg.norm(slope, axis=-1, keepdims=True), 1e-3)
    slope[~region] = 0
    return np.asarray(cv2.GaussianBlur(slope, (0, 0), max(1.0, 0.025 * w)), np.float32)


def _add(into: FloatArray, amplitude: FloatArray, way: FloatArray, phase: FloatArray) -> None:
    """Add amplitude * way * cos(2 pi f t - phase) to the coefficients (h, w, 4) of one frequency."""
    into[..., :2] += amplitude[..., None] * way * np.cos(phase)[..., None]
    into[..., 2:] += amplitude[..., None] * way * np.sin(phase)[..., None]
