# SPDX-License-Identifier: Apache-2.0
"""Regions: what flows, what sways and what stands, cut along the photo's own colours at full size.

A network's map is coarse: a mast or a branch before the sky is narrower than one of its samples. Near an edge
each side has colours of its own, so every pixel is asked which side's it has (a local form of Bayes matting,
Chuang et al. 2001, with one Gaussian for each side and window, and the map as the prior).
"""

from __future__ import annotations

import cv2
import numpy as np

from stillflow.kernels.arrays import ByteArray, FloatArray
from stillflow.layer import nearest_owner
from stillflow.motion import FLOW_CLASSES, Motion

WINDOW = 0.04
"""Picture widths from a pixel to the border of the window in which the sides' colours are taken."""

COLOUR_FLOOR = 4.0
"""Standard deviation, in levels of CIELAB, that every side has at least: noise and JPEG blocks."""

COLOUR_WEIGHT = 0.4
"""Weight of a pixel's colour: a texture is no Gaussian, and neighbours are not independent."""

MOST_EVIDENCE = 4.0
"""Log-likelihood ratio beyond which a pixel's colour counts no more: one odd pixel is not that odd."""

PRIOR_FLOOR = 0.1
"""What the map is thought to overlook: a side has at least this prior where it is seen in the window."""

SURE = 0.7
"""Mean log odds at which a small hole in what flows is something that stands before it. A wrong hole is a dot
that stands still, a wrong filling is a railing that drifts away."""

STILL, FLOWS, SWAYS = 0, 1, 2


def flow_region(motion: Motion, photo: ByteArray) -> tuple[ByteArray, ByteArray]:
    """Cut the moving regions along the photo's own colours.

    Args:
        motion: at field size.
        photo: (H, W, 3) uint8.

    Returns:
        (H, W) uint8 masks of 0 or 255: what flows and what sways; they do not overlap.
    """
    flow, sway = motion.flow_matte, motion.sway_matte
    shares = np.stack([np.clip(1 - flow - sway, 0, 1), flow, sway])
    size = photo.shape[1::-1]
    leads = margins(shares, photo)
    flows, sways = (
        (cv2.resize(_without_specks(leads[side], sure), size) > 0).astype(np.uint8) * 255
        for side, sure in ((FLOWS, SURE), (SWAYS, np.inf))
    )
    sways[flows > 0] = 0
    return flows, sways


def flow_kinds(motion: Motion, photo: ByteArray) -> ByteArray:
    """Say which flow class each sample belongs to, along the photo's own colours where two of them meet.

    A horizon is where water meets cloud: a map that is a few pixels off lets one carry off the other's edge.

    Args:
        motion: at field size.
        photo: (H, W, 3) uint8.

    Returns:
        (h, w) uint8: a flow class everywhere, outside of what flows that of the nearest sample that does; all 0
        when nothing flows.
    """
    streaming = np.where(np.isin(motion.classes, FLOW_CLASSES), motion.classes, 0)
    kinds = np.asarray(nearest_owner(streaming), np.uint8)
    flows = motion.flow_matte
    present = [c for c in FLOW_CLASSES if ((kinds == c) & (flows > 0.5)).any()]
    if len(present) < 2:
        return kinds
    shares = np.stack([cv2.GaussianBlur((kinds == c) * flows, (0, 0), 1.5) for c in present])
    leads = margins(shares, photo)
    size = kinds.shape[::-1]
    best = np.stack([cv2.resize(lead, size, interpolation=cv2.INTER_AREA) for lead in leads]).argmax(0)
    return np.where(flows > 0.5, np.array(present, np.uint8)[best], kinds).astype(np.uint8)


def margins(shares: FloatArray, photo: ByteArray) -> FloatArray:
    """Say for each pixel by how much each of several sides leads the best of the others.

    Args:
        shares: (n, h, w) float32 0..1 at field size, n >= 2: how much each side is thought to cover a sample.
        photo: (H, W, 3) uint8.

    Returns:
        (n, H // 2, W // 2) float32 log odds at half the photo's size, > 0 where the side has the pixel.
    """
    n, h, w = shares.shape
    # At half size: a quarter of the time, and what is a pixel wide is half mixed with its surroundings anyway.
    size = (max(1, photo.shape[1] // 2), max(1, photo.shape[0] // 2))
    pixels = cv2.cvtColor(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2LAB)
    pixels = pixels.astype(np.float32)
    small = cv2.resize(pixels, (w, h), interpolation=cv2.INTER_AREA)
    # Once on the samples, so that a mast that the map gives to the sky does not count as the sky's colour.
    first = _log_shares(small, small, shares, shares)
    first = np.exp(first - first.max(0))
    evidence = _log_shares(pixels, small, first / first.sum(0), shares)
    leads = np.empty_like(evidence)
    for side in range(n):
        others = [k for k in range(n) if k != side]
        leads[side] = evidence[side] - np.maximum.reduce([evidence[k] for k in others])
    return leads


def _log_shares(pixels: FloatArray, small: FloatArray, seeds: FloatArray, shares: FloatArray) -> FloatArray:
    """Log of each side's share of each pixel, up to a constant.

    Args:
        pixels: (H', W', 3) float32 CIELAB, of any size.
        small: (h, w, 3) float32, the same at field size.
        seeds: (n, h, w) float32, where each side's colours are taken.
        shares: (n, h, w) float32, the map.

    Returns:
        (n, H', W') float32.
    """
    n, _, w = shares.shape
    size = pixels.shape[1::-1]
    evidence = np.empty((n, *pixels.shape[:2]), np.float32)
    priors = np.empty_like(evidence)
    for side in range(n):
        mean, precision, level, seen = _colours(small, seeds[side], round(WINDOW * w))
        mean, precision = (cv2.resize(a, size, interpolation=cv2.INTER_LINEAR) for a in (mean, precision))
        away = pixels - mean
        away *= away
        away *= precision
        evidence[side] = cv2.resize(level, size, interpolation=cv2.INTER_LINEAR)
        evidence[side] -= cv2.transform(away, np.full((1, 3), 0.5, np.float32))
        prior = shares[side] + np.float32(PRIOR_FLOOR) * seen + np.float32(1e-6)
        priors[side] = cv2.resize(prior, size, interpolation=cv2.INTER_LINEAR)
    evidence -= evidence.max(0)
    evidence *= np.float32(COLOUR_WEIGHT)
    np.maximum(evidence, np.float32(-MOST_EVIDENCE), out=evidence)
    evidence += cv2.log(priors.reshape(n, -1)).reshape(priors.shape)
    return evidence


def _colours(
    small: FloatArray, share: FloatArray, radius: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Gaussian of a side's colours around each sample.

    Args:
        small: (h, w, 3) float32, the photo at field size.
        share: (h, w) float32 0..1.
        radius: of the window, samples.

    Returns:
        Mean (h, w, 3), precision 1 / variance (h, w, 3), log of the density at the mean (h, w) up to a
        constant, and whether the side is seen in the window, (h, w) float32 0..1.
    """
    box = (2 * max(radius, 1) + 1,) * 2
    # Squared: a sample that is half something else is no model of this.
    weight = share * share
    total = cv2.blur(weight, box)
    scale = (1 / (total + np.float32(1e-4)))[..., None]
    weighed = small * weight[..., None]
    mean = cv2.blur(weighed, box) * scale
    variance = cv2.blur(weighed * small, box) * scale - mean * mean
    variance = np.maximum(variance, 0) + np.float32(COLOUR_FLOOR**2)
    level = -0.5 * np.log(variance).sum(-1)
    return mean, 1 / variance, level.astype(np.float32), np.minimum(total * 50, 1).astype(np.float32)


def _without_specks(lead: FloatArray, sure: float) -> FloatArray:
    """Turn the sign of islands and holes below 0.02 % of the picture; (h, w) float32.

    Args:
        lead: (h, w) float32 log odds.
        sure: holes whose mean log odds are this far below 0 stay, however small: a railing before clouds.
    """
    least = max(4, int(lead.size * 2e-4))
    inside = (lead > 0).astype(np.uint8)
    for value in (1, 0):
        count, labels, stats, _ = cv2.connectedComponentsWithStats(
            (inside == value).astype(np.uint8), connectivity=8 - 4 * value
        )
        small = np.zeros(count, bool)
        small[1:] = stats[1:, cv2.CC_STAT_AREA] < least
        if value == 0 and small.any():
            area = np.maximum(stats[:, cv2.CC_STAT_AREA], 1)
            small &= np.bincount(labels.ravel(), lead.ravel(), count) / area > -sure
        if small.any():
            inside[small[labels]] = 1 - value
    turned = inside != (lead > 0)
    return np.where(turned, inside - np.float32(0.5), lead).astype(np.float32)


def inner_ramp(region: ByteArray, ramp: float) -> ByteArray:
    """Matte that lies inside a region: 0 at its edge, 255 from ``ramp`` pixels inwards; no ramp at the border."""
    more = int(ramp) + 2
    padded = cv2.copyMakeBorder(region, more, more, more, more, cv2.BORDER_REPLICATE)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_5)
    distance = distance[more : more + region.shape[0], more : more + region.shape[1]]
    x = np.clip((distance - 1) / max(ramp, 1), 0, 1)
    return np.ascontiguousarray(np.rint(255 * x * x * (3 - 2 * x)), np.uint8)
