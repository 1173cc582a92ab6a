# SPDX-License-Identifier: Apache-2.0
"""What the user asks for: where it moves, where it stays still, which way, how strongly."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError

if TYPE_CHECKING:
    from stillflow.velocity_field import VelocityField

MAX_STRENGTH = 3.0
"""Three times the natural speed; beyond it traces leave the picture within one loop."""

MAX_SEED = 2**32 - 1
"""What 32 bits hold: callers in C pass it as such."""

MAX_SPEED = 4.0
"""Picture widths a second. Anything faster than that is a blur, and more likely a typing error."""

MIN_LENGTH = 1e-4
"""Shortest arrow, as a fraction of the picture: a tenth of a pixel at 1000 pixels gives no direction."""

ASPECT_TOLERANCE = 0.02
"""How far a mask's aspect ratio may be from the photo's (a mask drawn at another size rounds)."""

FloatArray = npt.NDArray[np.float32]
MapSource = Union[str, "os.PathLike[str]", npt.NDArray[Any]]


@dataclass(frozen=True)
class Arrow:
    """One stroke of motion: what lies at the tail moves to the head in so many seconds.

    Attributes:
        x0, y0: the tail, in fractions of width and height (0, 0 = top left; 1, 1 = bottom right).
        x1, y1: the head.
        seconds: time the stroke takes, > 0.

    Raises:
        StillflowError: a value is not finite, a point lies outside the picture, the length is zero, the
            time is not positive, or the speed is above 4 picture widths a second.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    seconds: float = 2.0

    def __post_init__(self) -> None:
        what = f"cannot use the arrow {self._text()}"
        for name in ("x0", "y0", "x1", "y1", "seconds"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float, np.floating, np.integer)):
                raise StillflowError(what, f"{name} is not a number", "give five numbers, seconds last")
            if not math.isfinite(value):
                raise StillflowError(what, f"{name} is {value}", "give finite numbers")
            object.__setattr__(self, name, float(value))
        for name in ("x0", "y0", "x1", "y1"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                hint = "; it looks like pixels" if value > 2 else ""
                raise StillflowError(
                    what,
                    f"{name} = {value:g} lies outside the picture{hint}",
                    "give fractions of the width and height, each from 0 to 1",
                )
        if math.hypot(self.x1 - self.x0, self.y1 - self.y0) < MIN_LENGTH:
            raise StillflowError(
                what,
                "it has no length, so it gives no direction",
                "put the head somewhere else than the tail, or use a mask to say what moves",
            )
        if self.seconds <= 0:
            raise StillflowError(
                what,
                f"it takes {self.seconds:g} seconds",
                "give a time above 0, for example 2",
            )
        speed = math.hypot(self.x1 - self.x0, self.y1 - self.y0) / self.seconds
        if speed > MAX_SPEED:
            raise StillflowError(
                what,
                f"it crosses {speed:g} pictures a second, and the limit is {MAX_SPEED:g}",
                "give it more seconds",
            )

    @classmethod
    def parse(cls, text: str) -> Arrow:
        """Read ``X0,Y0,X1,Y1[,SECONDS]``.

        Args:
            text: four or five numbers with commas between them.

        Returns:
            The arrow; seconds is 2 when left out.

        Raises:
            StillflowError: not four or five numbers, or one of the reasons of the class.
        """
        parts = [part.strip() for part in text.split(",")]
        fix = "write X0,Y0,X1,Y1 or X0,Y0,X1,Y1,SECONDS, for example 0.5,0.2,0.5,0.6,2"
        if len(parts) not in (4, 5):
            raise StillflowError(
                f"cannot read the arrow {text!r}",
                f"it has {len(parts)} numbers instead of 4 or 5",
                fix,
            )
        values = []
        for part in parts:
            try:
                values.append(float(part))
            except ValueError as error:
                raise StillflowError(
                    f"cannot read the arrow {text!r}", f"{part!r} is not a number", fix
                ) from error
        return cls(*values)

    def velocity(self, aspect: float) -> tuple[float, float]:
        """Return the speed in picture widths a second, x to the right, y down.

        Args:
            aspect: height / width of the picture.
        """
        return (self.x1 - self.x0) / self.seconds, (self.y1 - self.y0) * aspect / self.seconds

    def _text(self) -> str:
        values = (self.x0, self.y0, self.x1, self.y1, self.seconds)
        return ",".join(f"{v:g}" if isinstance(v, (int, float)) else str(v) for v in values)


@dataclass(frozen=True, eq=False)
class Hints:
    """Guidance brought to the size of one photo: what the networks and the baselines read.

    Attributes:
        mask: (H, W) float32 0..1, 1 = moves; None when the user gave none.
        still: (H, W) float32 0..1, 1 = never moves; None when the user gave none.
        arrows: the strokes, still in fractions.
        strength: factor on every speed, 0..3.
        seed: which future: 0 is the most probable motion, other numbers are other plausible ones.
        adaptive: the user left the strength open, so it may be lowered where the loop would show artefacts.
        velocity: a field from elsewhere, played instead of what the network would say; None when there is none.
        context: (1, 77, 768) float32, what a text encoder said, for networks that read a text; None without one.
    """

    mask: FloatArray | None = None
    still: FloatArray | None = None
    arrows: tuple[Arrow, ...] = ()
    strength: float = 1.0
    seed: int = 0
    adaptive: bool = False
    velocity: VelocityField | None = None
    context: FloatArray | None = None

    @property
    def placed(self) -> bool:
        """Whether the user said what moves: then the question is no longer if something does."""
        return self.mask is not None or bool(self.arrows) or self.velocity is not None

    @property
    def guided(self) -> bool:
        """Whether the user said anything about where or which way."""
        return self.placed or self.still is not None


@dataclass(frozen=True, eq=False)
class Guidance:
    """What the user asks of one photo. Nothing given: the network decides.

    Attributes:
        mask: a picture file or an array (H, W[, C]) of bool, uint8 or float 0..1: white moves.
        still: likewise: white never moves. It wins over the mask.
        arrows: which way it flows.
        strength: factor on every speed, 0 (frozen) to 3; None is 1, or less where a loop would show
            artefacts (``stillflow.artefacts``).
        seed: which future: 0 is the most probable motion, any other number up to 2^32 - 1 is another
            plausible one (``stillflow.futures``).
        velocity: a .npy or .flo file or an array (h, w, 2): pixels a frame at its own size, of any size and
            shape. It is played instead of what the flow network would say, and moves where it is not 0.
        context: a .npz file or an array (77, 768), for bundles whose networks read a text: what the text encoder
            of CLIP ViT-L/14 said of it.

    Raises:
        StillflowError: strength or seed out of range, or arrows beside a velocity.
    """

    mask: MapSource | None = None
    still: MapSource | None = None
    arrows: tuple[Arrow, ...] = ()
    strength: float | None = None
    seed: int = 0
    velocity: VelocityField | MapSource | None = None
    context: MapSource | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "arrows", tuple(self.arrows))
        if self.arrows and self.velocity is not None:
            raise StillflowError(
                "cannot use arrows and a velocity together",
                "both say which way everything goes",
                "leave out --arrow or --velocity; --mask and --still go with either",
            )
        if self.strength is not None and not 0 <= self.strength <= MAX_STRENGTH:
            raise StillflowError(
                f"cannot use the strength {self.strength:g}",
                f"it must lie between 0 and {MAX_STRENGTH:g}",
                "give 1 for the natural speed, 0.5 for half, 2 for twice",
            )
        if not 0 <= self.seed <= MAX_SEED:
            raise StillflowError(
                f"cannot use the seed {self.seed}",
                f"it must lie between 0 and {MAX_SEED}",
                "give 0, for example",
            )

    def resolve(self, height: int, width: int, fps: float | None = None) -> Hints:
        """Read the maps and bring them to the photo's size.

        Args:
            height: of the photo, pixels.
            width: of the photo, pixels.
            fps: frames a second of the loop, at which a velocity in pixels a frame is played; None: 30, or
                what the velocity says itself.

        Returns:
            The hints.

        Raises:
            StillflowError: a map cannot be read, holds NaN, has another aspect ratio than the photo (more
                than 2 % off), the mask is black all over, or nothing of it is left beside the still map; or the
                velocity or the context cannot be used.
        """
        mask = None if self.mask is None else _read_map(self.mask, "mask", height, width)
        still = None if self.still is None else _read_map(self.still, "still map", height, width)
        if mask is not None and float(mask.max()) < 0.5:
            raise StillflowError(
                f"cannot use {_name(self.mask, 'mask')}",
                "it is black all over, so nothing would move",
                "paint white what should move, or leave the mask out",
            )
        if still is not None:
            left = 1 - still if mask is None else np.minimum(mask, 1 - still)
            if float(left.max()) < 0.5:
                raise StillflowError(
                    f"cannot use {_name(self.still, 'still map')}",
                    "it covers everything that could move",
                    "leave black what may move",
                )
        velocity = context = None
        if self.velocity is not None:
            from stillflow.velocity_file import velocity_from

            velocity = velocity_from(self.velocity, fps)
        if self.context is not None:
            from stillflow.scene_flow import context_from

            context = context_from(self.context)
        strength = 1.0 if self.strength is None else self.strength
        # Whoever gives a velocity has said how fast.
        adaptive = self.strength is None and velocity is None
        return Hints(mask, still, self.arrows, strength, self.seed, adaptive, velocity, context)


def _name(source: MapSource | None, kind: str) -> str:
    return f"the {kind} {source}" if isinstance(source, (str, os.PathLike)) else f"this {kind}"


def _read_map(source: MapSource, kind: str, height: int, width: int) -> FloatArray:
    """Return a user's map as (height, width) float32 0..1."""
    what = f"cannot use {_name(source, kind)}"
    if isinstance(source, (str, os.PathLike)):
        from stillflow.photo import read_gray

        plane = np.asarray(read_gray(Path(source)), np.float32) / np.float32(255)
    else:
        plane = _array_plane(np.asarray(source), what)
    h, w = plane.shape
    if abs((w / h) / (width / height) - 1) > ASPECT_TOLERANCE:
        raise StillflowError(
            what,
            f"it is {w}x{h}, another shape than the photo's {width}x{height}",
            "give a map with the photo's aspect ratio; any size will do",
        )
    if (h, w) != (height, width):
        import cv2

        # Area averaging keeps thin strokes when shrinking; it has no meaning when growing.
        way = cv2.INTER_AREA if h * w > height * width else cv2.INTER_LINEAR
        plane = np.asarray(cv2.resize(plane, (width, height), interpolation=way), np.float32)
    return np.ascontiguousarray(np.clip(plane, 0, 1), np.float32)


def _array_plane(a: npt.NDArray[Any], what: str) -> FloatArray:
    if a.ndim == 3 and a.shape[2] in (1, 3, 4):
        a = a[..., : min(a.shape[2], 3)].max(axis=2)
    if a.ndim != 2 or a.size == 0:
        raise StillflowError(what, f"its shape is {a.shape}", "give an array of shape (H, W)")
    if a.dtype == np.bool_:
        return a.astype(np.float32)
    if a.dtype == np.uint8:
        return np.asarray(a / 255.0, np.float32)
    if a.dtype.kind != "f":
        raise StillflowError(what, f"its samples are {a.dtype}", "use bool, uint8 or floats 0..1")
    if not np.isfinite(a).all():
        raise StillflowError(what, "it holds NaN or infinity", "replace those samples")
    if float(a.min()) < 0 or float(a.max()) > 1:
        raise StillflowError(
            what,
            f"its samples run from {a.min():g} to {a.max():g}",
            "scale them to 0..1, or use bool or uint8",
        )
    return a.astype(np.float32)
