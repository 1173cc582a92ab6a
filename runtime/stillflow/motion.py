# SPDX-License-Identifier: Apache-2.0
"""Motion: what moves in a photo, which way, how fast, and how sure the networks are."""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from stillflow.errors import StillflowError
from stillflow.kernels.arrays import ByteArray, FloatArray, field_shape

CLASS_NAMES = (
    "static", "water", "cloud", "smoke", "fire", "foliage", "person", "animal", "cloth", "sky",
)  # fmt: skip
"""Index = value in ``Motion.classes``; the same order as in the labels and the network's output."""

FLOW_CLASSES = (1, 2, 3, 4)
"""Classes that stream: water, cloud, smoke, fire."""

SWAY_CLASSES = (5, 6, 7, 8)
"""Classes that oscillate: foliage, person, animal, cloth."""

MOVING_CLASSES = FLOW_CLASSES + SWAY_CLASSES
"""All of them."""

STILL_CLASSES = (0, 9)
"""Classes that never move: static, clear sky."""

# NumPy's parser of a malformed header and zipfile let more than ValueError out.
UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    zipfile.BadZipFile,
    tokenize.TokenError,
    SyntaxError,
    TypeError,
    RecursionError,
    MemoryError,
    NotImplementedError,
    zlib.error,
)

LATER_ARRAYS = {
    "light": np.float32,
    "order": np.uint8,
    "doubt": np.float32,
    "sway_hz": np.float32,
    "light_hz": np.float32,
}
"""Arrays that the first motion files do not hold."""

BASE_HZ = 0.25
"""Oscillations without a frequency are harmonics of this: the first motions were made for loops of 4 s."""

MAX_FILE_BYTES = 1 << 30
"""Largest unpacked motion file that is read: a 16k x 16k picture's motion takes about 400 MB."""


@dataclass(frozen=True, eq=False)
class Motion:
    """How one photo would move. Arrays are at field size: one sample for 4x4 pixels.

    Attributes:
        velocity: (h, w, 2) float32, x right and y down, picture widths a second. Meant where flow
            classes move; elsewhere it continues the nearest motion.
        matte: (h, w) float32 0..1, how much of the sample moves.
        classes: (h, w) uint8, index into ``CLASS_NAMES``.
        confidence: (h, w) float32 0..1, how sure the network is of the velocity.
        sway: (K, h, w, 4) float32 picture widths, per oscillation (ax, ay, bx, by): a sample is displaced by
            sum_k a_k (cos 2 pi f_k t - 1) + b_k sin 2 pi f_k t, t in seconds.
        height: of the photo, pixels.
        width: of the photo, pixels.
        sources: for each output, what made it ("network", "rbf", "user", "closed form"...).
        light: (L, h, w, 2) float32, per oscillation (a, b): brightness is multiplied by
            exp(sum_k a_k (cos 2 pi f_k t - 1) + b_k sin 2 pi f_k t). L = 0 where nothing flickers.
        order: (h, w) uint8, rank of occlusion: 0 is farthest (clear sky), larger is nearer to the viewer.
        doubt: (h, w) float32 0..1, probability that the true direction is another one.
        suitability: 0..1, the network's probability that the picture makes a good loop; NaN when it does
            not say.
        sway_hz: (K,) float32 > 0, frequency of each oscillation; a loop takes the nearest whole periods.
        light_hz: (L,) float32 > 0, likewise.
    """

    velocity: FloatArray
    matte: FloatArray
    classes: ByteArray
    confidence: FloatArray
    sway: FloatArray
    height: int
    width: int
    sources: Mapping[str, str] = field(default_factory=dict)
    light: FloatArray = field(default_factory=lambda: np.zeros((0, 0, 0, 2), np.float32))
    order: ByteArray = field(default_factory=lambda: np.zeros((0, 0), np.uint8))
    doubt: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    suitability: float = math.nan
    sway_hz: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    light_hz: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        h, w = field_shape(self.height, self.width)
        for name in ("light", "order", "doubt"):
            array = getattr(self, name)
            if not array.size:
                # The defaults know no size: light becomes (0, h, w, 2), the others a plane of zeros.
                empty = (0, h, w, 2) if name == "light" else (h, w)
                object.__setattr__(self, name, np.zeros(empty, array.dtype))
        for name, oscillations in (("sway_hz", self.sway), ("light_hz", self.light)):
            if not getattr(self, name).size:
                steps = np.arange(1, oscillations.shape[0] + 1, dtype=np.float32)
                object.__setattr__(self, name, steps * np.float32(BASE_HZ))
        if not (math.isnan(self.suitability) or 0 <= self.suitability <= 1):
            raise StillflowError(
                "the motion's suitability cannot be used",
                f"it is {self.suitability}, a probability lies between 0 and 1",
                "make the motion again with: stillflow motion PHOTO -o motion.npz",
            )
        shapes = {
            "velocity": (h, w, 2),
            "matte": (h, w),
            "classes": (h, w),
            "confidence": (h, w),
            "sway": (self.sway.shape[0], h, w, 4),
            "light": (self.light.shape[0], h, w, 2),
            "order": (h, w),
            "doubt": (h, w),
            "sway_hz": (self.sway.shape[0],),
            "light_hz": (self.light.shape[0],),
        }
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.shape != shape:
                raise StillflowError(
                    f"the motion's {name} does not fit its photo",
                    f"it is {array.shape}, a {self.width}x{self.height} photo needs {shape}",
                    "make the motion from this very photo with: stillflow motion PHOTO -o motion.npz",
                )
            if name.endswith("_hz") and (array <= 0).any():
                raise StillflowError(
                    f"the motion's {name} cannot be played",
                    "a frequency is not above 0",
                    "make the motion again with: stillflow motion PHOTO -o motion.npz",
                )
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise StillflowError(
                    f"the motion's {name} cannot be played",
                    "it holds NaN or infinite values",
                    "make the motion again with: stillflow motion PHOTO -o motion.npz",
                )

    @property
    def flow_matte(self) -> FloatArray:
        """(h, w) float32: the matte where a flow class moves, 0 elsewhere."""
        return np.asarray(self.matte * np.isin(self.classes, FLOW_CLASSES), np.float32)

    @property
    def sway_matte(self) -> FloatArray:
        """(h, w) float32: the matte where a sway class moves, 0 elsewhere."""
        return np.asarray(self.matte * np.isin(self.classes, SWAY_CLASSES), np.float32)

    def save(self, path: str | Path) -> None:
        """Write a .npz file: this class's arrays under their names, class_names and size (height, width)."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            velocity=self.velocity,
            matte=self.matte,
            classes=self.classes,
            class_names=np.array(CLASS_NAMES),
            confidence=self.confidence,
            sway=self.sway,
            light=self.light,
            order=self.order,
            doubt=self.doubt,
            sway_hz=self.sway_hz,
            light_hz=self.light_hz,
            suitability=np.float32(self.suitability),
            size=np.array([self.height, self.width], np.int32),
        )
        Path(path).write_bytes(buffer.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> Motion:
        """Read a file that ``save`` wrote, also of a version that knew only velocity, matte, classes and sway.

        Raises:
            StillflowError: not such a file, an array missing or misshapen, or values not finite.
        """
        what = f"cannot read the motion {Path(path).name}"
        fix = "make it with: stillflow motion PHOTO -o motion.npz"
        try:
            with zipfile.ZipFile(path) as archive:
                total = sum(entry.file_size for entry in archive.infolist())
            if total > MAX_FILE_BYTES:
                raise StillflowError(
                    what, f"it unpacks to {total} bytes, over the limit of {MAX_FILE_BYTES}", fix
                )
            with np.load(path, allow_pickle=False) as data:
                height, width = (int(v) for v in data["size"])
                later: dict[str, Any] = {
                    name: np.ascontiguousarray(data[name], kind)
                    for name, kind in LATER_ARRAYS.items()
                    if name in data
                }
                if "suitability" in data:
                    later["suitability"] = float(data["suitability"])
                return cls(
                    velocity=np.ascontiguousarray(data["velocity"], np.float32),
                    matte=np.ascontiguousarray(data["matte"], np.float32),
                    classes=np.ascontiguousarray(data["classes"], np.uint8),
                    confidence=np.ascontiguousarray(data["confidence"], np.float32),
                    sway=np.ascontiguousarray(data["sway"], np.float32),
                    height=height,
                    width=width,
                    sources={"all": "file"},
                    **later,
                )
        except StillflowError:
            raise
        except FileNotFoundError as error:
            raise StillflowError(what, "there is no such file", fix) from error
        except UNREADABLE as error:
            raise StillflowError(what, f"it is not a motion file ({error})", fix) from error

    def picture(self, photo: ByteArray) -> ByteArray:
        """Draw the motion over its photo: flow in blue, sway in green, arrows one second long.

        Args:
            photo: (H, W, 3) uint8 RGB of this motion's size.

        Returns:
            (H, W, 3) uint8 RGB.
        """
        size = (self.width, self.height)
        tint = np.zeros((self.height, self.width, 3), np.float32)
        flow, sway = (cv2.resize(m, size)[..., None] for m in (self.flow_matte, self.sway_matte))
        tint = flow * np.array([40, 110, 255], np.float32) + sway * np.array([60, 220, 90], np.float32)
        strength = 0.45 * np.clip(flow + sway, 0, 1)
        canvas = np.clip(photo * (1 - strength) + tint * 0.45, 0, 255).astype(np.uint8)
        step = max(self.width, self.height) / 24
        thickness = max(1, round(max(size) / 700))
        for y in np.arange(step / 2, self.height, step):
            for x in np.arange(step / 2, self.width, step):
                i, j = int(y) // 4, int(x) // 4
                if self.flow_matte[i, j] < 0.5:
                    continue
                dx, dy = self.velocity[i, j] * self.width
                length = float(np.hypot(dx, dy))
                if length < 1:
                    continue
                # Arrows are one second long, but never longer than 1.5 grid steps nor shorter than a quarter.
                shown = float(np.clip(length, step / 4, step * 1.5)) / length
                head = (round(float(x + dx * shown)), round(float(y + dy * shown)))
                tail = (round(float(x)), round(float(y)))
                cv2.arrowedLine(canvas, tail, head, (0, 0, 0), thickness * 3, cv2.LINE_AA, tipLength=0.3)
                cv2.arrowedLine(canvas, tail, head, (255, 255, 255), thickness, cv2.LINE_AA, tipLength=0.3)
        return np.asarray(canvas, np.uint8)
