# SPDX-License-Identifier: Apache-2.0
"""How near a picture is to another one: PSNR, and SSIM after Wang et al. 2004."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.kernels.arrays import ByteArray, FloatArray
from stillflow.kernels.reference import LUMA

SSIM_SIGMA, SSIM_SIDE = 1.5, 11
"""The Gaussian window of Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to
structural similarity", IEEE TIP 13(4), 2004: its deviation and its side in pixels."""

SSIM_K1, SSIM_K2 = 0.01, 0.03
"""Of the same paper; the range of the values is 255."""

LEAST_SQUARE = 1e-6
"""Equal pictures have an infinite PSNR; this much error, 108.1 dB, stands for it."""

BoolArray = npt.NDArray[np.bool_]


@dataclass(eq=False)
class FidelityWatch:
    """Compares frames with true ones as they come; see ``quality.figures``. Frame 0 is the photo, and left out.

    Attributes:
        truth: frame index -> (H, W, 3) uint8.
        moves: (H, W) bool, where it truly moves.
        psnr_whole: per frame from 1 on, dB.
        psnr_moving: the same where it truly moves; empty where nothing does.
        ssim_whole: per frame from 1 on.
        ssim_moving: the same where it truly moves.
    """

    truth: Callable[[int], ByteArray]
    moves: BoolArray
    psnr_whole: list[float] = field(default_factory=list)
    psnr_moving: list[float] = field(default_factory=list)
    ssim_whole: list[float] = field(default_factory=list)
    ssim_moving: list[float] = field(default_factory=list)

    def __call__(self, index: int, frame: ByteArray, gray: FloatArray) -> None:
        """See one frame.

        Args:
            index: of the frame.
            frame: (H, W, 3) uint8.
            gray: (H, W) float32, its luma 0..255.
        """
        if index == 0:
            return
        truth = self.truth(index)
        alike = ssim_map(gray, np.asarray(truth @ LUMA, np.float32))
        self.psnr_whole.append(psnr(frame, truth))
        self.ssim_whole.append(float(alike.mean()))
        edge = SSIM_SIDE // 2
        inner = self.moves[edge:-edge, edge:-edge]
        if self.moves.any():
            self.psnr_moving.append(psnr(frame, truth, self.moves))
        if inner.any():
            self.ssim_moving.append(float(alike[inner].mean()))


def psnr(a: ByteArray, b: ByteArray, where: BoolArray | None = None) -> float:
    """Peak signal-to-noise ratio over all channels, dB.

    Args:
        a: (H, W, 3) uint8.
        b: likewise.
        where: (H, W) bool, not empty; None for the whole picture.
    """
    square = (a.astype(np.float32) - b) ** 2
    return psnr_of(float((square if where is None else square[where]).mean()))


def psnr_of(square: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error of values 0..255."""
    return float(10 * np.log10(255**2 / max(square, LEAST_SQUARE)))


def ssim_map(a: FloatArray, b: FloatArray) -> FloatArray:
    """Structural similarity of two planes wherever the whole window lies in the picture.

    Args:
        a: (H, W) float32 0..255, at least SSIM_SIDE pixels each way.
        b: likewise.

    Returns:
        (H - 10, W - 10) float32, at most 1.
    """

    def mean(plane: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        edge = SSIM_SIDE // 2
        blurred = cv2.GaussianBlur(plane, (SSIM_SIDE, SSIM_SIDE), SSIM_SIGMA)
        return np.asarray(blurred[edge:-edge, edge:-edge], np.float64)

    # Variances are small differences of large squares: float32 would lose them in flat areas.
    x, y = a.astype(np.float64), b.astype(np.float64)
    mx, my = mean(x), mean(y)
    vx, vy, both = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = (SSIM_K1 * 255) ** 2, (SSIM_K2 * 255) ** 2
    alike = (2 * mx * my + c1) * (2 * both + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return np.asarray(alike, np.float32)
