# SPDX-License-Identifier: Apache-2.0
"""Closed-form sway: what oscillates moves as a sum of whole harmonics of the loop, so it closes exactly.

Foliage, cloth and living things do not flow (a constant flow on trees looks worse than the frozen photo).
Their displacement is d(t) = sum_k [a_k (cos 2 pi k t/N - 1) + b_k sin 2 pi k t/N], smooth over the picture
and drawn from the seed: neighbouring leaves move together, distant ones do not.
"""

from __future__ import annotations

import cv2
import numpy as np

from stillflow.kernels.arrays import ByteArray, FloatArray

HARMONICS = 3
"""K: with a 4 s loop 0.25, 0.5 and 0.75 Hz, where wind-driven branches have most of their energy."""

AMPLITUDE = {5: 0.0020, 6: 0.0008, 7: 0.0008, 8: 0.0020}
"""Picture widths, by class: foliage, person, animal, cloth. A chest moves well under 1 % of a person's height."""

DIRECTION = {5: (1.0, 0.35), 6: (0.15, 1.0), 7: (0.15, 1.0), 8: (1.0, 0.5)}
"""Weight of x and y: wind pushes sideways, breath lifts."""

COHERENCE = {5: 0.06, 6: 0.30, 7: 0.30, 8: 0.10}
"""Picture widths over which neighbours move together."""

DECAY = 1.5
"""Amplitude of harmonic k is k^-DECAY: wind spectra fall with frequency."""


def sway_coefficients(
    matte: FloatArray, classes: ByteArray, *, strength: float = 1.0, seed: int = 0
) -> FloatArray:
    """Draw sway for a picture's swaying classes.

    The amplitude rises from 0 at the edge of each swaying region to full some way inside, so that
    nothing tears off what stands still.

    Args:
        matte: (h, w) float32 0..1 at field size, what sways.
        classes: (h, w) uint8.
        strength: factor on the amplitude.
        seed: same seed, same sway.

    Returns:
        (K, h, w, 4) float32 picture widths (ax, ay, bx, by); K = 0 when nothing sways.
    """
    h, w = matte.shape
    present = [c for c in AMPLITUDE if bool(((classes == c) & (matte > 0.5)).any())]
    if not present or strength == 0:
        return np.zeros((0, h, w, 4), np.float32)
    rng = np.random.default_rng(seed)
    result = np.zeros((HARMONICS, h, w, 4), np.float32)
    for c in present:
        region = ((classes == c) & (matte > 0.5)).astype(np.uint8)
        depth = cv2.distanceTransform(region, cv2.DIST_L2, cv2.DIST_MASK_5) / w
        anchor = np.clip(depth / 0.02, 0, 1) * matte
        for k in range(HARMONICS):
            amplitude = AMPLITUDE[c] * strength * (k + 1) ** -DECAY
            for i in range(4):
                axis = DIRECTION[c][i % 2]
                result[k, ..., i] += anchor * _smooth_noise(rng, h, w, COHERENCE[c] * w) * amplitude * axis
    return result


def _smooth_noise(rng: np.random.Generator, h: int, w: int, length: float) -> FloatArray:
    """Random field of unit variance that varies over ``length`` samples, (h, w) float32."""
    size = (max(2, round(w / length) + 2), max(2, round(h / length) + 2))
    coarse = rng.standard_normal((size[1], size[0])).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC), np.float32)
