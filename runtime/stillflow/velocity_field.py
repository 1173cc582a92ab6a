# SPDX-License-Identifier: Apache-2.0
"""A motion field from elsewhere: velocities in pixels a frame, at whatever size they were made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.kernels.arrays import FloatArray
from stillflow.layer import nearest_to

UNKNOWN = 1e9
"""Components beyond this mean "not known" in .flo files (Middlebury's convention); elsewhere they are a mistake."""

STILL_SPEED = 2e-4
"""Picture widths a second: one pixel of a 1280-wide picture in a loop of five seconds. Estimated fields are hardly
ever 0 exactly, and what goes no further than this is not seen to move."""

DEFAULT_FPS = 30.0
"""Frames a second that a field is meant for where nothing is said: the published loops have 60 frames in two."""

_FIX = "give an array of shape (h, w, 2): x and y in pixels a frame, at the array's own size"


@dataclass(frozen=True, eq=False)
class VelocityField:
    """Where everything goes, as somebody else's network or program says.

    Attributes:
        pixels: (h, w, 2) float32, x right and y down, pixels a frame at this very size.
        fps: frames a second at which it is played: the loop's.
        name: for messages.
    """

    pixels: FloatArray
    fps: float = DEFAULT_FPS
    name: str = "this velocity"

    @classmethod
    def from_array(cls, array: npt.NDArray[Any], name: str = "this velocity") -> VelocityField:
        """Take an array over.

        Args:
            array: (h, w, 2) of any float type, finite.
            name: for messages.

        Raises:
            StillflowError: another shape or type, NaN, infinite or absurdly large values.
        """
        what = f"cannot use {name}"
        if array.ndim != 3 or array.shape[2] != 2 or array.size == 0:
            raise StillflowError(what, f"its shape is {array.shape}", _FIX)
        if array.dtype.kind != "f":
            raise StillflowError(what, f"its samples are {array.dtype}", "use float16, float32 or float64")
        if not np.isfinite(array).all():
            raise StillflowError(what, "it holds NaN or infinity", "replace those samples; 0 stands still")
        if float(np.abs(array).max()) > UNKNOWN:
            raise StillflowError(
                what, f"it holds {np.abs(array).max():g} pixels a frame", "set to 0 what is not known"
            )
        return cls(np.ascontiguousarray(array, np.float32), name=name)

    def nearest(self, height: int, width: int) -> FloatArray:
        """Bring it to a picture's size as the published generators do: nearest sample, each axis scaled by its own.

        Args:
            height: of the picture, pixels.
            width: of the picture, pixels.

        Returns:
            (height, width, 2) float32, pixels a frame at the picture's size: a new array.
        """
        h, w = self.pixels.shape[:2]
        rows, columns = _nearest(h, height), _nearest(w, width)
        scale = np.array([width / w, height / h], np.float32)
        return np.asarray(self.pixels[rows[:, None], columns] * scale, np.float32)

    def smooth(self, h: int, w: int, aspect: float) -> tuple[FloatArray, FloatArray]:
        """Bring it to a motion's size.

        Args:
            h: rows of the motion.
            w: columns of the motion.
            aspect: height / width of the picture.

        Returns:
            Velocity (h, w, 2) float32 in picture widths a second, of what moves in a sample, elsewhere that of
            the nearest one that does; and how much of the sample moves, (h, w) float32 0..1.
        """
        own_h, own_w = self.pixels.shape[:2]
        unit = np.array([self.fps / own_w, self.fps * aspect / own_h], np.float32)
        velocity = self.pixels * unit
        moves = (np.hypot(velocity[..., 0], velocity[..., 1]) > STILL_SPEED).astype(np.float32)
        way = cv2.INTER_AREA if own_h * own_w > h * w else cv2.INTER_LINEAR
        # Clipped: the mean of many ones is rounded, to more than 1 as well.
        share = np.minimum(cv2.resize(moves, (w, h), interpolation=way), np.float32(1))
        mean = np.asarray(cv2.resize(velocity * moves[..., None], (w, h), interpolation=way), np.float32)
        # What stands still beside it does not slow down what moves.
        shown = share > 1e-3
        if not shown.any():
            return np.zeros((h, w, 2), np.float32), np.zeros((h, w), np.float32)
        _, nearest = nearest_to(shown)
        velocity = (mean / np.maximum(share, np.float32(1e-3))[..., None]).reshape(-1, 2)[nearest]
        return np.ascontiguousarray(velocity, np.float32), share


def _nearest(own: int, wanted: int) -> npt.NDArray[np.int64]:
    """Index of the sample for each place along one side: floor(place * own / wanted), rounded as in float32.

    That is how PyTorch does it, which the published scripts use: where a place falls exactly between two samples,
    rounding decides.
    """
    ratio = np.float32(own) / np.float32(wanted)
    places = np.floor(np.arange(wanted, dtype=np.float32) * ratio).astype(np.int64)
    return np.asarray(np.minimum(places, own - 1), np.int64)
