# SPDX-License-Identifier: Apache-2.0
"""Feature scene: a loop whose frames a generator of others decodes, behind the same calls as a cross-faded scene.

The photo is encoded once; a frame throws its features along the motion from both ends of the loop and decodes what
landed. Only what moves is decoded: elsewhere a frame is the photo, to the last bit. Where nothing landed over more
than the decoder can close, it would paint mid grey; there the photo, or a layered generator's background, is shown.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

from stillflow.errors import StillflowError
from stillflow.features.displacements import Displacements
from stillflow.features.networks import LEAST_SIDE, STATES_SHARE, FeatureNetworks
from stillflow.features.painter import Painter, plain_painter
from stillflow.features.splat_motion import SplatMotion
from stillflow.features.tiles import TiledGraph, moving_windows
from stillflow.kernels.arrays import ByteArray, FloatArray
from stillflow.kernels.splat_source import Window, share_at
from stillflow.photo import Photo
from stillflow.region import inner_ramp

MATTE_RAMP = 6.0
"""Pixels of a 1280-wide picture over which the matte rises from the region's edge inwards."""

FEATHER = 12
"""Pixels over which what fills a hole passes into what the network painted around it."""

BAND = 128
"""Rows of a frame that are put together at a time."""

IN_FLIGHT = 2
"""Frames that are made at once: one is decoded while the features of the next are thrown. More would only take
memory, since decoders run one at a time, on all cores."""


@dataclass(frozen=True, eq=False)
class FeatureScene:
    """One photo, encoded and ready to be played. Made by ``build_feature_scene``.

    Attributes:
        photo: (H, W, 3) uint8. Where the matte is 0 a frame holds exactly these bytes.
        matte: (H, W) uint8, 255 where a frame is what the network painted.
        velocity: (H', W', 2) float32, pixels a frame, at the padded size.
        painter: the generator with the encoded photo.
        displacements: of the loop.
        windows: parts of the picture that are decoded for a frame.
        frames: N, frames in one loop.
        fps: frames a second.
        edge_share: smallest share that either direction keeps.
        cycles: how often the loop closes within its frames.
        speed_scale: smallest factor applied to the motion's speed (1 = none).
        sources: what made each part.
    """

    photo: ByteArray
    matte: ByteArray
    velocity: FloatArray
    painter: Painter
    displacements: Displacements
    windows: tuple[Window, ...]
    frames: int
    fps: float
    edge_share: float = 0.0
    cycles: int = 1
    speed_scale: float = 1.0
    sources: Mapping[str, str] = field(
        default_factory=lambda: {"plate": "decoder", "blend": "symmetric_splat"}
    )
    _turns: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(IN_FLIGHT), init=False, repr=False
    )

    @property
    def height(self) -> int:
        """Picture height in pixels."""
        return int(self.matte.shape[0])

    @property
    def width(self) -> int:
        """Picture width in pixels."""
        return int(self.matte.shape[1])

    def frame(self, t: float) -> ByteArray:
        """Render the frame at time t (in frames, any real number; period ``frames``).

        Returns:
            (H, W, 3) uint8 RGB, a new array.
        """
        out = np.empty_like(self.photo)
        self.frame_rows(t, 0, self.height, out)
        return out

    def frame_rows(self, t: float, y0: int, y1: int, out: ByteArray) -> None:
        """Render rows y0..y1-1 of the frame at time t; any number of threads may call this at once.

        Only what these rows need is decoded, in tiles cut for them: a value may round to the next level in ``frame``.

        Args:
            t: time in frames.
            y0: first row.
            y1: row after the last.
            out: (y1 - y0, W, 3) uint8 RGB, written to.
        """
        out[:] = self.photo[y0:y1]
        wanted = [
            Window(max(w.y0, y0), min(w.y1, y1), w.x0, w.x1) for w in self.windows if w.y0 < y1 and w.y1 > y0
        ]
        if not wanted:
            return
        with self._turns:
            self._draw(t, y0, wanted, out)

    def _draw(self, t: float, y0: int, wanted: list[Window], out: ByteArray) -> None:
        """Draw windows of a frame into its rows from y0 on."""
        forward, backward, share = self._throws(t)
        # A hole shows up to FEATHER pixels around itself, also where it lies just outside the window.
        height, width = self.velocity.shape[:2]
        outer = [grown(window, FEATHER, height, width) for window in wanted]
        rows = [self.painter.around(window) for window in outer]
        aimed = Window(min(w.y0 for w in rows), max(w.y1 for w in rows), 0, width)
        with self.painter.thrower.thrown(forward, backward, share, aimed) as native:
            for window, wider in zip(wanted, outer, strict=True):
                frame, closed = self.painter.paint(wider, native)
                self._show(window, wider, frame, closed, out[window.y0 - y0 : window.y1 - y0])

    def decoded(self, t: float) -> FloatArray:
        """What the network paints at time t, all of it, before the matte, the filling of holes and rounding.

        Returns:
            (H, W, 3) float32 -1..1.
        """
        forward, backward, share = self._throws(t)
        whole = Window(0, self.velocity.shape[0], 0, self.velocity.shape[1])
        with self.painter.thrower.thrown(forward, backward, share, whole) as native:
            frame, _ = self.painter.paint(whole, native)
        return np.ascontiguousarray(np.moveaxis(frame, 0, -1)[: self.height, : self.width])

    def _throws(self, t: float) -> tuple[FloatArray, FloatArray, float]:
        """Displacements forward and backward, and the forward throw's share."""
        period = self.frames // self.cycles
        time = float(t) - period * math.floor(float(t) / period)
        # For a tiny negative t the subtraction rounds up to the period itself, which is 0.
        time = 0.0 if time >= period else time
        return *self.displacements.at(time), share_at(time, period, self.edge_share)

    def _show(
        self, window: Window, outer: Window, frame: FloatArray, closed: FloatArray, out: ByteArray
    ) -> None:
        """Put what was painted in an outer window into rows of a frame, as far as the matte lets it."""
        holes = hole_share(closed) if (closed == 0).any() else None
        y, x = window.y0 - outer.y0, window.x0 - outer.x0
        columns = slice(window.x0, window.x1)
        # A few rows at a time: float pictures of 4K take 100 MB each.
        for top in range(0, window.y1 - window.y0, BAND):
            rows = slice(window.y0 + top, min(window.y0 + top + BAND, window.y1))
            inner = slice(y + top, y + rows.stop - window.y0), slice(x, x + window.x1 - window.x0)
            painted = frame[:, inner[0], inner[1]]
            if holes is not None:
                painted = painted + holes[inner] * (self.painter.fill[:, rows, columns] - painted)
            value = (np.moveaxis(painted, 0, -1) + 1) * np.float32(127.5)
            photo = self.photo[rows, columns].astype(np.float32)
            matte = self.matte[rows, columns, None]
            shown = np.where(matte == 255, value, photo + (matte / np.float32(255)) * (value - photo))
            out[top : top + rows.stop - rows.start, columns] = np.clip(np.rint(shown), 0, 255).astype(
                np.uint8
            )


def grown(window: Window, by: int, height: int, width: int) -> Window:
    """A window and so many pixels around it, within the picture."""
    return Window(
        max(0, window.y0 - by),
        min(height, window.y1 + by),
        max(0, window.x0 - by),
        min(width, window.x1 + by),
    )


def hole_share(closed: FloatArray) -> FloatArray:
    """How much of a pixel is filled: 1 in holes, falling smoothly to 0 ``FEATHER`` pixels around them.

    Args:
        closed: (h, w) float32, 0 in holes.

    Returns:
        (h, w) float32 0..1.
    """
    distance = cv2.distanceTransform((closed != 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    x = np.clip(1 - distance / FEATHER, 0, 1)
    return np.asarray(x * x * (3 - 2 * x), np.float32)


@dataclass(frozen=True, eq=False)
class FeaturePlan:
    """A feature scene before any network has run.

    Attributes:
        photo: (H, W, 3) uint8.
        matte: (H, W) uint8, see ``FeatureScene``.
        velocity: (H', W', 2) float32, pixels a frame, at the padded size: the networks' sides divide by something.
        windows: parts of the picture that are decoded for a frame.
        frames: N, frames in one loop.
        cycles: how often the loop closes within its frames.
        speed_scale: smallest factor applied to the motion's speed (1 = none).
    """

    photo: ByteArray
    matte: ByteArray
    velocity: FloatArray
    windows: tuple[Window, ...]
    frames: int
    cycles: int
    speed_scale: float

    @property
    def period(self) -> int:
        """Frames after which it closes."""
        return self.frames // self.cycles


def plan_feature_scene(
    photo: Photo, moving: SplatMotion | FloatArray, networks: FeatureNetworks, frames: int
) -> FeaturePlan:
    """Say what moves and what is decoded; see ``build_feature_scene``."""
    plan = moving if isinstance(moving, SplatMotion) else SplatMotion(moving)
    velocity = plan.velocity
    if velocity.shape != (photo.height, photo.width, 2):
        raise StillflowError(
            "the velocity does not fit the photo",
            f"it is {velocity.shape}, the photo needs {(photo.height, photo.width, 2)}",
            "bring it to the photo's size with VelocityField.nearest",
        )
    if frames % plan.cycles:
        raise StillflowError(
            "the cycles do not fit the loop",
            f"{frames} frames are no {plan.cycles} equal cycles",
            "plan them for this very length and frame rate with stillflow.features.splat_motion",
        )
    moves = (velocity != 0).any(-1)
    matte = inner_ramp(moves.astype(np.uint8) * 255, MATTE_RAMP * photo.width / 1280)
    height, width = (
        side + -side % networks.multiple
        for side in (max(photo.height, LEAST_SIDE), max(photo.width, LEAST_SIDE))
    )
    around = ((0, height - photo.height), (0, width - photo.width), (0, 0))
    velocity = np.asarray(np.pad(velocity, around, mode="edge"), np.float32)
    windows = _decoded_windows(matte, networks.decoder, height, width)
    return FeaturePlan(photo.pixels, matte, velocity, windows, frames, plan.cycles, plan.speed_scale)


def build_feature_scene(
    photo: Photo,
    moving: SplatMotion | FloatArray,
    networks: FeatureNetworks,
    *,
    seconds: float = 4.0,
    fps: float = 30.0,
) -> FeatureScene:
    """Encode a photo and prepare a loop.

    Args:
        photo: the picture, of any size.
        moving: how it moves, or just its velocity, (H, W, 2) float32 pixels a frame; what has none stays the photo.
        networks: of a bundle whose loop rule is symmetric_splat.
        seconds: length of the loop, > 0.
        fps: frames a second, > 0; the loop has round(seconds * fps) frames.

    Returns:
        The scene.

    Raises:
        StillflowError: a velocity of another size, or cycles that are no whole number of frames.
    """
    plan = plan_feature_scene(photo, moving, networks, max(1, round(seconds * fps)))
    height, width = plan.velocity.shape[:2]
    # Beyond the picture its last row and column go on.
    around = ((0, height - photo.height), (0, width - photo.width), (0, 0))
    pixels = np.pad(photo.pixels, around, mode="edge")
    planar = np.ascontiguousarray(np.moveaxis(pixels, -1, 0)).astype(np.float32)
    planar /= np.float32(127.5)
    planar -= np.float32(1)
    painter: Painter
    if networks.layers is None:
        painter = plain_painter(planar, networks)
    else:
        from stillflow.features.layered import layered_painter

        painter = layered_painter(planar, networks)
    return FeatureScene(
        photo=plan.photo,
        matte=plan.matte,
        velocity=plan.velocity,
        painter=painter,
        displacements=Displacements(plan.velocity, plan.period, int(networks.memory * STATES_SHARE)),
        windows=plan.windows,
        frames=plan.frames,
        fps=fps,
        edge_share=networks.edge_share,
        cycles=plan.cycles,
        speed_scale=plan.speed_scale,
    )


def _decoded_windows(matte: ByteArray, decoder: TiledGraph, height: int, width: int) -> tuple[Window, ...]:
    """Windows of the picture in which the matte lets a frame show what is decoded."""
    moves = np.zeros((height, width), bool)
    moves[: matte.shape[0], : matte.shape[1]] = matte > 0
    return tuple(moving_windows(moves, decoder))
