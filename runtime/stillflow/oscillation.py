# SPDX-License-Identifier: Apache-2.0
"""What oscillates: sums of a few frequencies a sample, and the geometry that keeps them from tearing anything.

A displacement that changes by less than one sample from one sample to the next cannot fold. So amplitudes here
are Lipschitz: they grow with the distance from what holds still by no more than a given slope, and fall off by
the same slope where a thing's outline bends over what lies behind it.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.kernels.arrays import ByteArray, FloatArray
from stillflow.layer import nearest_owner

Mask = npt.NDArray[np.bool_]

CLOUD, SKY = 2, 9
"""Classes that lie behind everything else, whatever the order says."""

REACH = np.array([0.012, 0.015, 0.015, 0.015, 0.012, 0.012, 0.012, 0.012, 0.012, 0.025], np.float32)
"""Picture widths beyond an outline in which what is behind it is bent along, for each class: a clear sky shows
nothing of it; what streams is held there, which also keeps leaves that a cut missed from drifting away."""

LEAST_REACH = 2.0
"""The same in samples: less leaves an outline no room to bend at all."""

FAR = np.float32(1e6)
"""Distance of what cannot be reached, samples."""

SWEEPS = 3
"""Passes in all four directions; each lets a path turn once more."""


class Oscillation(NamedTuple):
    """A sum of oscillations, each sample with amplitudes and phases of its own.

    Attributes:
        coefficients: (K, h, w, c) float32. For displacements c = 4, (ax, ay, bx, by); for brightness c = 2,
            (a, b). At time t the sum is sum_k a_k (cos 2 pi f_k t - 1) + b_k sin 2 pi f_k t.
        hz: (K,) float32, the frequencies.
    """

    coefficients: FloatArray
    hz: FloatArray


def whole_periods(hz: FloatArray, seconds: float, frames: int) -> npt.NDArray[np.int32]:
    """Choose the whole number of periods in a loop that is nearest to each frequency.

    Args:
        hz: (K,) frequencies.
        seconds: length of the loop.
        frames: in the loop; a period is given at least three of them.

    Returns:
        (K,) int32 >= 1.
    """
    most = max(1, frames // 3)
    return np.asarray(np.clip(np.floor(hz * np.float32(seconds) + 0.5), 1, most), np.int32)


def in_loop(
    oscillation: Oscillation, seconds: float, frames: int
) -> tuple[FloatArray, npt.NDArray[np.int32]]:
    """Fit oscillations to a loop; those that come to the same number of periods are added up.

    Args:
        oscillation: K of them.
        seconds: length of the loop.
        frames: in the loop.

    Returns:
        Coefficients (K', h, w, c) float32 with K' <= K, and their periods (K',) int32, rising.
    """
    periods = whole_periods(oscillation.hz, seconds, frames)
    kept = np.unique(periods)
    total = np.zeros((kept.size, *oscillation.coefficients.shape[1:]), np.float32)
    for k, period in enumerate(periods):
        total[np.searchsorted(kept, period)] += oscillation.coefficients[k]
    return total, kept


def envelope(coefficients: FloatArray) -> FloatArray:
    """Bound of the displacement at any time: sum_k |a_k| + sqrt(|a_k|² + |b_k|²), (h, w) float32."""
    a = np.hypot(coefficients[..., 0], coefficients[..., 1])
    b = np.hypot(coefficients[..., 2], coefficients[..., 3])
    return np.asarray((a + np.hypot(a, b)).sum(0), np.float32)


def smooth_noise(rng: np.random.Generator, h: int, w: int, length: float) -> FloatArray:
    """Random field of about unit variance that varies over ``length`` samples, (h, w) float32."""
    size = (max(2, round(w / length) + 2), max(2, round(h / length) + 2))
    coarse = rng.standard_normal((size[1], size[0])).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC), np.float32)


def geodesic(start: FloatArray, inside: Mask, outside_cost: float) -> FloatArray:
    """Length of the shortest way from where a start value is given, staying inside where that is shorter.

    Args:
        start: (h, w) float32, the distance a way begins with, ``FAR`` where none begins.
        inside: (h, w), where a step costs its length.
        outside_cost: factor on a step's length elsewhere.

    Returns:
        (h, w) float32, samples.
    """
    cost = np.where(inside, 1, outside_cost).astype(np.float32)
    d = start.astype(np.float32)
    h = d.shape[0]
    along = np.cumsum(cost, 1)
    diagonal = np.float32(np.sqrt(2))
    for _ in range(SWEEPS):
        for rows in (range(h), range(h - 1, -1, -1)):
            previous = -1
            for y in rows:
                row = d[y]
                if previous >= 0:
                    above = d[previous]
                    np.minimum(row, above + cost[y], out=row)
                    np.minimum(row[1:], above[:-1] + cost[y, 1:] * diagonal, out=row[1:])
                    np.minimum(row[:-1], above[1:] + cost[y, :-1] * diagonal, out=row[:-1])
                # Along a row all at once: the least of what comes from the left, then from the right.
                np.minimum(row, np.minimum.accumulate(row - along[y]) + along[y], out=row)
                back = along[y, -1] - along[y] + cost[y]
                np.minimum(row, (np.minimum.accumulate((row - back)[::-1]))[::-1] + back, out=row)
                previous = y
    return d


def distance_to(mask: Mask) -> FloatArray:
    """Distance of every sample from a mask, (h, w) float32 samples, ``FAR`` when it is empty."""
    if not mask.any():
        return np.full(mask.shape, FAR, np.float32)
    return np.asarray(
        cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5), np.float32
    )


def cone(values: FloatArray, slope: float) -> FloatArray:
    """Least field that is nowhere below ``values`` and falls off by no more than ``slope`` a sample.

    Args:
        values: (h, w) float32 >= 0.
        slope: > 0, in the values' unit a sample.

    Returns:
        (h, w) float32.
    """
    result = values.astype(np.float32)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    square = np.ones((3, 3), np.uint8)
    reach = int(np.ceil(float(result.max()) / slope)) if result.size else 0
    for _ in range(min(reach, max(result.shape))):
        grown = np.maximum(cv2.dilate(result, cross) - slope, cv2.dilate(result, square) - slope * 2**0.5)
        if not (grown > result).any():
            break
        result = np.maximum(result, grown)
    return np.asarray(result, np.float32)


def behind(region: Mask, classes: ByteArray, order: ByteArray) -> Mask:
    """Say what lies behind a region: its outline may bend over that.

    Args:
        region: (h, w), what moves.
        classes: (h, w) uint8.
        order: (h, w) uint8, rank of occlusion; all the same when nothing is known.

    Returns:
        (h, w) bool, False inside the region.
    """
    if not region.any():
        return np.zeros(region.shape, np.bool_)
    rank = nearest_owner(np.where(region, order.astype(np.int32) + 1, 0)) - 1
    return np.asarray(~region & ((order < rank) | np.isin(classes, (CLOUD, SKY))), np.bool_)


def held(
    amplitude: FloatArray, region: Mask, over: Mask, *, slope: float, reach: float | FloatArray
) -> FloatArray:
    """Amplitudes that go to 0 where a region is held and fall off beyond its outline where it may bend.

    Args:
        amplitude: (h, w) float32 >= 0, wanted inside the region, samples.
        region: (h, w), what moves.
        over: (h, w), what its outline may bend over.
        slope: largest change from one sample to the next.
        reach: samples beyond the outline at which everything stands still again, a number or (h, w).

    Returns:
        (h, w) float32: at most ``amplitude`` inside, 0 on what holds the region.
    """
    wanted = cone(np.where(region, amplitude, 0).astype(np.float32), slope)
    free = region | (over & (distance_to(region) <= reach))
    return np.asarray(np.minimum(wanted, slope * np.maximum(distance_to(~free) - 0.5, 0)), np.float32)


def steepness(oscillation: Oscillation, times: int = 12) -> float:
    """Largest change of a displacement from one sample to the next, over some times of 4 seconds.

    Args:
        oscillation: coefficients (K, h, w, 4) in samples.
        times: how many.
    """
    coefficients, hz = oscillation
    theta = 2 * np.pi * hz * (np.arange(times)[:, None] * (4.0 / times) + 0.17)
    swing = np.concatenate([np.cos(theta) - 1, np.sin(theta)], 1).astype(np.float32)
    parts = np.concatenate([coefficients[..., :2], coefficients[..., 2:]])
    flat = parts.reshape(len(parts), -1)
    worst = 0.0
    for one in swing:
        # One time after the other: all at once take 150 MB for a 4K picture.
        d = (one @ flat).reshape(parts.shape[1:])
        for axis in (0, 1):
            change = np.diff(d, axis=axis)
            worst = max(worst, float((change * change).sum(-1).max(initial=0)))
    return float(np.sqrt(worst))


def reach_of(classes: ByteArray) -> FloatArray:
    """How far beyond an outline each sample may be bent along, (h, w) float32 samples; 0..9 are known classes."""
    reach = REACH[np.minimum(classes, REACH.size - 1)] * np.float32(classes.shape[1])
    return np.asarray(np.maximum(reach, LEAST_REACH), np.float32)


def spread(values: FloatArray, region: Mask, sigma: float) -> FloatArray:
    """Continue values beyond a region by their Gaussian mean; (K, h, w, c) float32, unchanged inside."""
    weight = cv2.GaussianBlur(region.astype(np.float32), (0, 0), sigma)
    result = np.empty_like(values)
    for k in range(values.shape[0]):
        inside = values[k] * region[..., None]
        mean = cv2.GaussianBlur(inside, (0, 0), sigma) / np.maximum(weight, 1e-4)[..., None]
        result[k] = np.where(region[..., None], values[k], mean)
    return result
