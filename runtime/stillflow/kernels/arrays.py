# SPDX-License-Identifier: Apache-2.0
"""The arrays a frame is made of: what every form of the kernels reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError

FIELD_SCALE = 4
"""A field has one sample for a block of 4x4 pixels."""

FIELD_OFFSET = 1.5
"""Field sample (i, j) sits at full-size pixel (4 i + 1.5, 4 j + 1.5): the block's centre."""

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]
IntArray = npt.NDArray[np.int32]


def field_shape(height: int, width: int) -> tuple[int, int]:
    """Return the (h, w) of the fields that belong to a picture of height x width pixels."""
    return -(-height // FIELD_SCALE), -(-width // FIELD_SCALE)


@dataclass(frozen=True)
class SceneArrays:
    """Everything constant in time; a frame is a function of these and of t alone.

    Attributes:
        photo: (H, W, 3) uint8 RGB. Where the matte is 0 a frame holds exactly these bytes.
        plate: (H, W, 3) uint8 RGB, the moving layer: the photo wherever matte > 0, and the layer
            continued beyond its edge elsewhere, so that a trace that leaves the layer still lands on it.
        matte: (H, W) uint8, how much of a pixel belongs to the moving layer: 0 = the photo's bytes, 1 = the
            photo, but under the light, 255 = all of it moves.
        velocity: (h, w, 2) float32, x and y, field pixels a frame; extended beyond the moving region.
        flow: (h, w) uint8, 0 where the sample is still or only sways, else which layer flows there (water,
            cloud...): content of another layer is never a source.
        cycles: (h, w) uint8 >= 1, cross-fade cycles in one loop; constant over a connected moving region.
        inside: (h, w) float32 0..1, confidence that content there belongs to the moving layer.
        sway: (K, h, w, 4) float32 field pixels, (ax, ay, bx, by) of each harmonic; K may be 0.
        blend: (h, w, 2) float32 logits (the generator's coefficients), or None for the closed form.
        low: (h, w, 3) float32 0..255, local mean of the plate.
        frames: N, frames in one loop, >= 1.
        light: (L, h, w, 2) float32, (a, b) of each harmonic of the logarithm of the brightness; L may be 0, as
            it is by default.
        sway_periods: (K,) int32 >= 1, whole periods of each harmonic in one loop; 1, 2, 3... by default.
        light_periods: (L,) int32 >= 1, likewise.
    """

    photo: ByteArray
    plate: ByteArray
    matte: ByteArray
    velocity: FloatArray
    flow: ByteArray
    cycles: ByteArray
    inside: FloatArray
    sway: FloatArray
    blend: FloatArray | None
    low: FloatArray
    frames: int
    light: FloatArray = field(default_factory=lambda: np.zeros((0, 0, 0, 2), np.float32))
    sway_periods: IntArray = field(default_factory=lambda: np.zeros(0, np.int32))
    light_periods: IntArray = field(default_factory=lambda: np.zeros(0, np.int32))

    def __post_init__(self) -> None:
        height, width = self.matte.shape
        h, w = field_shape(height, width)
        if not self.light.size:
            object.__setattr__(self, "light", np.zeros((0, h, w, 2), np.float32))
        for name, harmonics in (("sway", self.sway), ("light", self.light)):
            if not getattr(self, f"{name}_periods").size:
                counted = np.arange(1, harmonics.shape[0] + 1, dtype=np.int32)
                object.__setattr__(self, f"{name}_periods", counted)
        expected: dict[str, tuple[tuple[int, ...], type[Any]]] = {
            "photo": ((height, width, 3), np.uint8),
            "plate": ((height, width, 3), np.uint8),
            "matte": ((height, width), np.uint8),
            "velocity": ((h, w, 2), np.float32),
            "flow": ((h, w), np.uint8),
            "cycles": ((h, w), np.uint8),
            "inside": ((h, w), np.float32),
            "sway": ((self.sway.shape[0], h, w, 4), np.float32),
            "low": ((h, w, 3), np.float32),
            "light": ((self.light.shape[0], h, w, 2), np.float32),
            "sway_periods": ((self.sway.shape[0],), np.int32),
            "light_periods": ((self.light.shape[0],), np.int32),
        }
        if self.blend is not None:
            expected["blend"] = ((h, w, 2), np.float32)
        for name, (shape, dtype) in expected.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype != dtype or not array.flags.c_contiguous:
                raise StillflowError(
                    f"the scene's {name} array does not fit",
                    f"it is {array.shape} {array.dtype}, a {width}x{height} scene needs {shape} {np.dtype(dtype)}",
                    "build the scene with stillflow.scene.build_scene, or pass a C-contiguous array of that shape",
                )
        if self.frames < 1:
            raise StillflowError(
                "the loop has no frames", f"frames is {self.frames}", "ask for at least one frame"
            )
        for name in ("cycles", "sway_periods", "light_periods"):
            array = getattr(self, name)
            if array.size and int(array.min()) < 1:
                raise StillflowError(
                    f"the scene's {name} array does not fit",
                    f"it holds {int(array.min())}",
                    "use whole numbers of at least 1 everywhere",
                )

    @property
    def height(self) -> int:
        """Picture height in pixels."""
        return int(self.matte.shape[0])

    @property
    def width(self) -> int:
        """Picture width in pixels."""
        return int(self.matte.shape[1])
