# SPDX-License-Identifier: Apache-2.0
"""Light that changes: flames flicker and so does what they shine on, lamps a little, a face hardly and slowly.

All three channels are multiplied alike, so nothing changes its colour and gray stays gray. A flame's brightness
wanders with most of its power below 10 Hz and less the faster it is; a few frequencies without a common beat do that.
"""

from __future__ import annotations

import cv2
import numpy as np

from stillflow.breath import shoulders
from stillflow.kernels.arrays import ByteArray, FloatArray
from stillflow.oscillation import Mask, Oscillation, distance_to, smooth_noise, spread

FIRE, PERSON = 4, 6

HZ = np.array([0.25, 1.1, 1.9, 3.1, 4.7], np.float32)
"""A face's slow light, then a flame's four frequencies; none is a multiple of another."""

FLAME = np.array([0.0, 0.045, 0.036, 0.024, 0.015], np.float32)
"""Amplitudes of the logarithm of a flame's brightness: 12 % when all come together."""

FLAME_MOST = 0.14
"""Largest change of that logarithm: 15 %."""

GLOW = 0.6
"""Amplitude of what lies next to a flame and is lit by it alone, in parts of the flame's."""

GLOW_LENGTH = 0.05
"""Picture widths over which the glow falls to 1/e."""

GLOW_REACH = 0.14
"""Picture widths at which it ends: every pixel that it touches costs time in every frame."""

LAMP = np.array([0.0, 0.008, 0.006, 0.004, 0.0], np.float32)
"""Amplitudes of a lamp or a candle that the motion does not call fire."""

LAMP_DARKNESS = 40.0
"""Median luma above which a picture shows no lamps that light anything."""

LAMP_CONTRAST = 110.0
"""Grey levels by which a lamp's red stands out from what is around it."""

LAMP_LARGEST = 0.004
"""Share of the picture above which a bright spot is no lamp."""

FACE = 0.012
"""Amplitude of the light on a face; the side it comes from changes by as much."""

FACE_LEAST = 0.18
"""Picture widths: figures that are smaller have no face that one could see."""

LEAST = 0.001
"""Largest change of the logarithm that is nothing: a quarter of a grey level."""

WORKING_SIDE = 192
"""Longest side, in samples, at which light is drawn; it is smooth."""


def predict_light(
    photo: ByteArray,
    matte: FloatArray,
    classes: ByteArray,
    *,
    strength: float = 1.0,
    seed: int = 0,
    allowed: FloatArray | None = None,
) -> Oscillation:
    """Draw how a picture's light changes.

    Args:
        photo: (H, W, 3) uint8 RGB.
        matte: (h, w) float32 0..1 at field size, what moves.
        classes: (h, w) uint8, index into ``motion.CLASS_NAMES``.
        strength: factor on the amplitudes; flames never change by more than 15 %.
        seed: same seed, same light.
        allowed: (h, w) float32 0..1, where light may change at all (the user's maps); everywhere without it.

    Returns:
        Coefficients (K, h, w, 2) of the logarithm of the brightness, 0 where nothing changes; K = 0 when
        nothing does anywhere.
    """
    h, w = matte.shape
    scale = min(1.0, WORKING_SIDE / max(h, w))
    size = (max(2, round(w * scale)), max(2, round(h * scale)))
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    moving = cv2.resize(matte, size, interpolation=cv2.INTER_AREA) > 0.5
    kinds = cv2.resize(classes, size, interpolation=cv2.INTER_NEAREST)
    total = np.zeros((HZ.size, size[1], size[0], 2), np.float32)
    fire = moving & (kinds == FIRE)
    total += flames(np.random.default_rng((seed, 4)), small, fire)
    total += lamps(np.random.default_rng((seed, 10)), photo, small, kinds, fire)
    total += faces(np.random.default_rng((seed, 6)), moving & (kinds == PERSON))
    total *= np.float32(strength)
    bound = change(total)
    total *= np.minimum(1, FLAME_MOST / np.maximum(bound, 1e-6))[None, ..., None]
    if allowed is not None:
        total *= cv2.resize(allowed, size, interpolation=cv2.INTER_AREA)[None, ..., None]
    if float(change(total).max()) < LEAST:
        return Oscillation(np.zeros((0, h, w, 2), np.float32), np.zeros(0, np.float32))
    field = np.stack([cv2.resize(part, (w, h), interpolation=cv2.INTER_LINEAR) for part in total])
    if allowed is not None:
        field *= (allowed > 0)[None, ..., None]
    return Oscillation(np.ascontiguousarray(field, np.float32), HZ.copy())


def change(coefficients: FloatArray) -> FloatArray:
    """Bound of the logarithm of the brightness at any time, (h, w) float32 >= 0."""
    a, b = np.abs(coefficients[..., 0]), coefficients[..., 1]
    return np.asarray((a + np.hypot(a, b)).sum(0), np.float32)


def touched(light: FloatArray, height: int, width: int) -> Mask:
    """Say which pixels a scene's light changes, (H, W) bool; light is (K, h, w, 2)."""
    if not light.shape[0]:
        return np.zeros((height, width), np.bool_)
    bound = cv2.resize(change(light), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(bound > LEAST, np.bool_)


def flames(rng: np.random.Generator, small: FloatArray, fire: Mask) -> FloatArray:
    """Flicker of flames and of what they shine on.

    Args:
        rng: gives every flame its phases.
        small: (h, w, 3) float32 0..255, the photo.
        fire: (h, w), the flames.

    Returns:
        (K, h, w, 2) float32.
    """
    h, w = fire.shape
    if not fire.any():
        return np.zeros((HZ.size, h, w, 2), np.float32)
    distance = distance_to(fire) / w
    fade = np.clip(1 - distance / GLOW_REACH, 0, 1)
    shine = GLOW * np.exp(-distance / GLOW_LENGTH) * fade * fade * (3 - 2 * fade) * lit_by_fire(small)
    # Each place is lit by all flames around it, so far from them their flicker evens out.
    mean = spread(_flicker(rng, fire, FLAME), fire, 0.05 * w)
    result = mean * np.where(fire, 1, shine * (distance < GLOW_REACH))[None, ..., None]
    soft = [cv2.GaussianBlur(part, (0, 0), max(0.8, 0.004 * w)) for part in result]
    return np.asarray(np.stack(soft), np.float32)


def lit_by_fire(small: FloatArray) -> FloatArray:
    """Share of a place's light that may come from a flame: warm and not bright, (h, w) float32 0..1."""
    red, blue = small[..., 0], small[..., 2]
    warm = np.clip((red - blue) / np.maximum(red + blue, 20) * 1.6, 0, 1)
    dark = np.clip(1.25 - small.mean(-1) / 160, 0, 1)
    gray = float(np.abs(small - small.mean(-1, keepdims=True)).mean()) < 1
    # Light is smooth: what is painted on a wall does not decide how much of a flame's light falls on it.
    share = 0.5 * dark if gray else warm * (0.35 + 0.65 * dark)
    return np.asarray(cv2.GaussianBlur(share, (0, 0), 0.035 * share.shape[1]), np.float32)


def lamps(
    rng: np.random.Generator, photo: ByteArray, small: FloatArray, kinds: ByteArray, fire: Mask
) -> FloatArray:
    """Small, warm, bright spots in a dark picture tremble a little; the sky's and the water's do not."""
    h, w = kinds.shape
    result = np.zeros((HZ.size, h, w, 2), np.float32)
    if float(np.median(small.mean(-1))) > LAMP_DARKNESS:
        return result
    # Lamps are smaller than a sample: look for them at twice its density.
    fine = cv2.resize(photo, (2 * w, 2 * h), interpolation=cv2.INTER_AREA).astype(np.float32)
    around = cv2.GaussianBlur(fine[..., 0], (0, 0), 0.04 * 2 * w)
    bright = (
        (fine[..., 0] > 240) & (fine[..., 0] - fine[..., 2] > 40) & (fine[..., 0] - around > LAMP_CONTRAST)
    )
    spots = (cv2.dilate(bright.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)[::2, ::2]
    count, parts, stats, _ = cv2.connectedComponentsWithStats(spots.astype(np.uint8), connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] > LAMP_LARGEST * h * w
    large[0] = True
    # What shines near a flame is lit by it.
    lamp = ~large[parts] & (kinds == 0) & (distance_to(fire) > GLOW_REACH * w)
    # A sky that is not called one, or a sunlit wall, has more bright spots than lamps would be.
    if count < 2 or not lamp.any() or lamp.mean() > 0.01:
        return result
    amplitude = np.clip(
        2 * cv2.GaussianBlur(lamp.astype(np.float32), (0, 0), max(0.8, 0.006 * w)) - 0.1, 0, 1
    )
    trembling = spread(_flicker(rng, lamp, LAMP), lamp, 0.01 * w)
    return np.asarray(trembling * amplitude[None, ..., None], np.float32)


def faces(rng: np.random.Generator, people: Mask) -> FloatArray:
    """The light on near faces comes and goes a little, more from one side, as under passing clouds."""
    h, w = people.shape
    result = np.zeros((HZ.size, h, w, 2), np.float32)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(people.astype(np.uint8), connectivity=8)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    for i in range(1, count):
        phase, side = rng.uniform(0, 2 * np.pi), rng.uniform(-1, 1)
        if stats[i, cv2.CC_STAT_HEIGHT] < FACE_LEAST * w:
            continue
        mine = parts == i
        top, line, middle, wide = shoulders(mine)
        tall, across = max(2.0, 0.5 * (line - top)), max(2.0, 0.35 * wide)
        near = np.exp(-(((y - (top + line) / 2) / (1.4 * tall)) ** 2) - ((x - middle) / (1.4 * across)) ** 2)
        inward = np.clip((distance_to(~mine) - 1) / (0.03 * w), 0, 1)
        lean = np.clip(1 + side * (x - middle) / across, 0, 2)
        amplitude = (FACE * near * inward * lean * mine).astype(np.float32)
        result[0] += amplitude[..., None] * np.array([np.cos(phase), np.sin(phase)], np.float32)
    return result


def _flicker(rng: np.random.Generator, sources: Mask, strengths: FloatArray) -> FloatArray:
    """Coefficients of sources that flicker half together: each has its own phases, around those of all.

    Args:
        rng: gives the phases.
        sources: (h, w), flames or lamps.
        strengths: (K,) float32, amplitudes.

    Returns:
        (K, h, w, 2) float32, 0 outside the sources.
    """
    h, w = sources.shape
    count, parts = cv2.connectedComponents(sources.astype(np.uint8), connectivity=8)
    result = np.zeros((HZ.size, h, w, 2), np.float32)
    for k in range(1, HZ.size):
        # A large fire does not flicker as one.
        phase = rng.normal(0, 0.8, count)[parts] + 0.9 * smooth_noise(rng, h, w, 0.08 * w)
        phase += rng.uniform(0, 2 * np.pi)
        amplitude = np.float32(strengths[k] * rng.uniform(0.8, 1.2)) * sources
        result[k, ..., 0], result[k, ..., 1] = amplitude * np.cos(phase), amplitude * np.sin(phase)
    return result
