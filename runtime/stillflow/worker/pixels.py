# SPDX-License-Identifier: Apache-2.0
"""Frames as a client wants them: scaled, in its layout."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.video.colour import nv12, nv12_shape

ByteArray = npt.NDArray[np.uint8]

FORMATS = ("rgb", "bgra", "nv12")


@dataclass(frozen=True)
class Layout:
    """How frames are laid out.

    Attributes:
        format: one of ``FORMATS``.
        width: pixels.
        height: pixels.

    Raises:
        StillflowError: the format is unknown.
    """

    format: str
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise StillflowError(
                f"cannot render frames as {self.format!r}",
                "it is no known format",
                f"use one of {', '.join(FORMATS)}",
            )

    @property
    def stride(self) -> int:
        """Bytes from row to row."""
        if self.format == "nv12":
            return nv12_shape(self.height, self.width)[1]
        return self.width * (3 if self.format == "rgb" else 4)

    @property
    def bytes(self) -> int:
        """Bytes of a frame."""
        if self.format == "nv12":
            return nv12_shape(self.height, self.width)[0] * self.stride
        return self.height * self.stride

    def laid_out(self, frame: ByteArray) -> ByteArray:
        """Bring a frame to this layout.

        Args:
            frame: (H, W, 3) uint8 RGB, of any size; along each side scaled by area where it shrinks, bilinearly where
                it grows.

        Returns:
            ``bytes`` bytes, flat.
        """
        height, width = frame.shape[:2]
        if (width, height) != (self.width, self.height):
            # One way after the other, as libstillflow does: no mean of an area is taken where one side grows.
            frame = _scaled(frame, width, self.height, smaller=self.height < height)
            frame = _scaled(frame, self.width, self.height, smaller=self.width < width)
        if self.format == "nv12":
            frame = nv12(frame)
        elif self.format == "bgra":
            frame = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2BGRA), np.uint8)
        return np.ascontiguousarray(frame).reshape(-1)


def _scaled(frame: ByteArray, width: int, height: int, *, smaller: bool) -> ByteArray:
    if frame.shape[:2] == (height, width):
        return frame
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(frame, (width, height), interpolation=way), np.uint8)
