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
            frame: (H, W, 3) uint8 RGB, of any size; scaled by area where it shrinks, bilinearly where it grows.

        Returns:
            ``bytes`` bytes, flat.
        """
        height, width = frame.shape[:2]
        if (width, height) != (self.width, self.height):
            smaller = self.width <= width and self.height <= height
            way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
            frame = np.asarray(cv2.resize(frame, (self.width, self.height), interpolation=way), np.uint8)
        if self.format == "nv12":
            frame = nv12(frame)
        elif self.format == "bgra":
            frame = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2BGRA), np.uint8)
        return np.ascontiguousarray(frame).reshape(-1)
