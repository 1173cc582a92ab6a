# SPDX-License-Identifier: Apache-2.0
"""Tone of old photos: gray ones stay gray, sepia ones keep their one tint, whatever a network paints behind them."""

from __future__ import annotations

import cv2
import numpy as np

from stillflow.kernels.arrays import ByteArray, FloatArray
from stillflow.kernels.reference import LUMA

SPREAD_MOST = 2.5
"""Grey levels, root mean square: how far a tinted photo's colours may lie off its curve. JPEG leaves 1 to 2."""

CURVE_SIGMA = 6.0
"""Grey levels over which the curve is smoothed, so that a shade that hardly occurs follows its neighbours."""

LOOKED_AT = 1 << 17
"""About this many pixels are looked at."""


def tone_curve(photo: ByteArray) -> FloatArray | None:
    """Find the one colour that each shade of a photo has, if it has only one.

    Args:
        photo: (H, W, 3) uint8 RGB.

    Returns:
        (256, 3) float32, the colour of each luma 0..255: gray itself for a gray photo, a tint for sepia
        and other toned prints; None for a photo in colours.
    """
    step = max(1, round((photo.shape[0] * photo.shape[1] / LOOKED_AT) ** 0.5))
    pixels = photo[::step, ::step].reshape(-1, 3)
    shades = np.repeat(np.arange(256, dtype=np.float32)[:, None], 3, 1)
    if all(np.array_equal(p[..., 0], p[..., c]) for p in (pixels, photo) for c in (1, 2)):
        return shades
    values = pixels.astype(np.float32)
    luma = values @ LUMA
    chroma = values - luma[:, None]
    at = np.clip(np.rint(luma), 0, 255).astype(np.intp)
    count = np.bincount(at, minlength=256).astype(np.float32)
    total = np.stack([np.bincount(at, chroma[:, c], 256) for c in range(3)], -1).astype(np.float32)
    # Far from every shade that occurs the tint fades towards gray; a little of all keeps the sum above 0.
    weight = _smoothed(count[:, None]) + 1e-3
    curve = np.asarray(_smoothed(total) / weight, np.float32)
    off = chroma - curve[at]
    if float(np.sqrt((off**2).sum(1).mean())) > SPREAD_MOST:
        return None
    return np.asarray(shades + curve, np.float32)


def toned(colours: FloatArray, curve: FloatArray) -> FloatArray:
    """Give colours the one tint that a photo has; their luma stays.

    Args:
        colours: (..., 3) float32 0..255.
        curve: what ``tone_curve`` returned.

    Returns:
        The same shape, float32; R = G = B exactly for a gray photo.
    """
    luma = np.clip(colours @ LUMA, 0, 255)
    result = np.empty_like(colours)
    for c in range(3):
        result[..., c] = np.interp(luma, np.arange(256), curve[:, c])
    return result


def _smoothed(values: FloatArray) -> FloatArray:
    """Gaussian over the shades, (256, n); a repeated end would count its shade too often."""
    kernel = cv2.getGaussianKernel(int(6 * CURVE_SIGMA) | 1, CURVE_SIGMA)
    smooth = cv2.filter2D(values, -1, kernel, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(smooth, np.float32).reshape(values.shape)
