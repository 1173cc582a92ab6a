# SPDX-License-Identifier: Apache-2.0
"""Scene: everything a loop needs after the networks ran; a frame is a function of it and of the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stillflow import layer, stream
from stillflow.cycles import cycle_plan
from stillflow.errors import StillflowError
from stillflow.field_steps import rounded
from stillflow.generator import Generator, Layer, consult
from stillflow.kernels.arrays import ByteArray, FloatArray, SceneArrays
from stillflow.kernels.reference import CONFIDENCE_FLOOR, STATISTICS_RADIUS
from stillflow.light import touched
from stillflow.motion import Motion
from stillflow.order import occlusion_order
from stillflow.oscillation import Oscillation, in_loop
from stillflow.outline import bend_outlines
from stillflow.photo import Photo
from stillflow.region import flow_kinds, flow_region, inner_ramp
from stillflow.tone import tone_curve, toned

if TYPE_CHECKING:
    from stillflow.kernels.native import NativeScene

MATTE_RAMP = 6.0
"""Pixels of a 1280-wide picture over which the matte rises from the region's edge inwards."""

SOFT_RAMP = 24.0
"""The same where a cloud or smoke ends before the sky: it has no outline there, and must not get one."""

SOFT_CLASSES = (2, 3)
"""Cloud and smoke."""

EDGE_DOUBT = 6.0
"""Pixels of a 1280-wide picture inside the edge where a source may already show the outline of something else."""

CONFIDENCE_RAMP = 12.0
"""Pixels of a 1280-wide picture, from there on outwards, over which a source loses its confidence."""

BEHIND_CONFIDENCE = 0.3
"""Confidence in what a layer is made to look like behind something nearer, against 1 for what the photo shows."""

BEHIND_REACH = 64.0
"""Pixels of a 1280-wide picture behind an outline at which that confidence has fallen to nothing."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One photo, ready to be played.

    Attributes:
        arrays: what the kernels read.
        fps: frames a second.
        speed_scale: factor applied to the motion's speed to keep the loop clean (1 = none).
        sources: what made each part ("network", "push_pull", "variance_preserving"...).
    """

    arrays: SceneArrays
    fps: float
    speed_scale: float = 1.0
    sources: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def _native(self) -> NativeScene:
        """What the CPU plays: prepared with the first frame, since a GPU that plays the scene needs none of it."""
        from stillflow.kernels.native import NativeScene

        return NativeScene(self.arrays)

    @property
    def frames(self) -> int:
        """N, frames in one loop."""
        return self.arrays.frames

    @property
    def height(self) -> int:
        """Picture height in pixels."""
        return self.arrays.height

    @property
    def width(self) -> int:
        """Picture width in pixels."""
        return self.arrays.width

    @property
    def matte(self) -> ByteArray:
        """(H, W) uint8, 255 where a pixel belongs to the moving layer."""
        return self.arrays.matte

    def frame(self, t: float) -> ByteArray:
        """Render the frame at time t (in frames, any real number; period ``frames``).

        Returns:
            (H, W, 3) uint8 RGB, a new array.
        """
        out = np.empty_like(self.arrays.photo)
        self._native.frame(t, out)
        return out

    def frame_rows(self, t: float, y0: int, y1: int, out: ByteArray) -> None:
        """Render rows y0..y1-1 of the frame at time t; any number of threads may call this at once.

        Args:
            t: time in frames.
            y0: first row.
            y1: row after the last.
            out: (y1 - y0, W, 3) uint8 RGB, written to.
        """
        if (y0, y1) == (0, self.height):
            self._native.frame(t, out)
            return
        # The kernel writes rows where they lie in a whole frame; pages it does not touch cost nothing.
        whole = np.empty_like(self.arrays.photo)
        self._native.compose(self._native.fields(t), y0, y1, whole)
        out[:] = whole[y0:y1]


def build_scene(
    photo: Photo,
    motion: Motion,
    *,
    seconds: float = 4.0,
    fps: float = 30.0,
    generator: Generator | None = None,
    outputs: Mapping[str, str] | None = None,
) -> Scene:
    """Prepare a loop: cut the moving layer, continue it, plan its cycles.

    Args:
        photo: the picture.
        motion: of this very picture.
        seconds: length of the loop, > 0.
        fps: frames a second, > 0; the loop has round(seconds * fps) frames.
        generator: the generator network; None plays the closed forms.
        outputs: which of the generator's outputs are used: {"plate": "network" | "push_pull",
            "blend": "network" | "variance_preserving"}; the closed forms by default.

    Returns:
        The scene.

    Raises:
        StillflowError: seconds or fps out of range, or a motion of another picture size.
    """
    frames = _frame_count(seconds, fps)
    if (motion.height, motion.width) != (photo.height, photo.width):
        raise StillflowError(
            "the motion does not fit the photo",
            f"it was made for {motion.width}x{motion.height}, the photo has {photo.width}x{photo.height}",
            "make the motion from this very photo, at the size it is played",
        )
    outputs = outputs or {}
    unit = photo.width / 1280
    flows, sways, swaying = bend_outlines(motion, *flow_region(motion, photo.pixels))
    sway, sway_periods = in_loop(swaying, seconds, frames)
    light, light_periods = in_loop(Oscillation(motion.light, motion.light_hz), seconds, frames)
    h, w = motion.matte.shape
    field_size = (w, h)
    known = cv2.resize(flows, field_size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    known = np.where(known > 0.99, known, 0).astype(np.float32) if (known > 0.99).any() else known
    moving = motion.velocity.astype(np.float32)
    speed = np.hypot(moving[..., 0], moving[..., 1])
    cycles, slower = cycle_plan((known > 0).astype(np.uint8), speed, seconds)
    order = motion.order if motion.order.any() else occlusion_order(motion.classes)
    kinds = flow_kinds(motion, photo.pixels)
    streams = np.where(known > 0, kinds, 0).astype(np.uint8)
    travel = np.asarray(speed * slower * np.float32(seconds * photo.width / 4) / cycles, np.float32)
    course = stream.follow(moving, streams, order)
    moving *= stream.settle(course, travel)[..., None]
    owner = layer.owners(kinds, known, speed, order)
    velocity = layer.continue_values(moving, known, kinds, owner)
    velocity = velocity * slower[..., None] * np.float32(photo.width / 4 / fps)
    flow = _flow_samples(flows, sways, kinds)
    apart, begun = _apart(flow, unit), stream.doubt(course)
    inside = _confidence_ramp(flows, sways, apart, unit)
    inside = np.maximum(inside, _confidence_behind(known, sways, order, unit))
    inside = np.maximum(inside * begun, CONFIDENCE_FLOOR)
    colours = cv2.resize(photo.pixels, field_size, interpolation=cv2.INTER_AREA).astype(np.float32)
    fill = layer.continue_values(colours, known, kinds, owner) if known.any() else colours
    curve = tone_curve(photo.pixels)
    fill = fill if curve is None else toned(fill, curve)
    soft = _soft_outside(known, kinds, order)
    matte, plate = _matte_and_plate(photo.pixels, flows, sways, soft, owner, fill, unit)
    played = False
    if generator is not None and flows.any():
        prepared = Layer(photo.pixels, plate, matte, known, velocity, cycles, inside, frames)
        plate, inside = consult(generator, outputs, prepared, curve)
        # It hands back the very arrays where it leaves the closed forms, as for graphs of older bundles.
        played = plate is not prepared.plate or inside is not prepared.inside
        # The network has seen one layer at a time: what meets another, or begins at a lip, stays doubtful.
        inside = np.minimum(inside, np.maximum(apart * begun, CONFIDENCE_FLOOR))
    # Light reaches further than motion: where nothing moves, the matte says no more than that it is touched.
    matte = np.where(touched(light, photo.height, photo.width), np.maximum(matte, 1), matte)
    # Rounded here, so that a baked file (docs/sflow.md) plays the very same frames.
    arrays = SceneArrays(
        photo=photo.pixels,
        plate=plate,
        matte=matte,
        velocity=rounded("velocity", np.asarray(velocity, np.float32), frames),
        flow=flow,
        cycles=cycles,
        inside=rounded("inside", inside, frames),
        sway=rounded("sway", sway, frames),
        sway_periods=sway_periods,
        light=rounded("light", light, frames),
        light_periods=light_periods,
        blend=None,
        low=local_mean(plate),
        frames=frames,
    )
    return Scene(
        arrays=arrays,
        fps=fps,
        speed_scale=float(slower[known > 0].min()) if known.any() else 1.0,
        sources={
            "plate": "network" if played and outputs.get("plate") == "network" else "push_pull",
            "blend": "network" if played and outputs.get("blend") == "network" else "variance_preserving",
        },
    )


def local_mean(plate: ByteArray) -> FloatArray:
    """Fast form of ``kernels.reference.low_pass``: (H, W, 3) uint8 to (h, w, 3) float32."""
    height, width = plate.shape[:2]
    bottom, right = -height % 4, -width % 4
    padded = cv2.copyMakeBorder(plate, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    size = (padded.shape[1] // 4, padded.shape[0] // 4)
    blocks = cv2.resize(padded.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    box = (2 * STATISTICS_RADIUS + 1, 2 * STATISTICS_RADIUS + 1)
    for _ in range(2):
        blocks = cv2.blur(blocks, box, borderType=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(blocks, np.float32)


def _frame_count(seconds: float, fps: float) -> int:
    """Frames in a loop; checks both numbers."""
    for name, value, high in (("seconds", seconds, 600.0), ("frames a second", fps, 240.0)):
        if not (np.isfinite(value) and 0 < value <= high):
            raise StillflowError(
                f"cannot make a loop of {value} {name}",
                f"it must be above 0 and at most {high:g}",
                "leave it out for 4 seconds at 30 frames a second",
            )
    return max(1, round(seconds * fps))


def _apart(flow: ByteArray, unit: float) -> FloatArray:
    """Trust near places where two layers meet: 0 there, 1 from a ramp's width on; (h, w) float32."""
    owner = layer.nearest_owner(flow).astype(np.uint8)
    meeting = cv2.morphologyEx(owner, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    if not meeting.any():
        return np.ones(flow.shape, np.float32)
    apart = cv2.distanceTransform((~meeting).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) * 4
    return np.asarray(np.clip(apart / max(CONFIDENCE_RAMP * unit, 1), 0, 1), np.float32)


def _confidence_ramp(flows: ByteArray, sways: ByteArray, apart: FloatArray, unit: float) -> FloatArray:
    """Confidence at field size: 1 well inside the flowing region, falling to the floor beyond its edge.

    It starts to fall some pixels before the edge, where the outline of whatever stands there may be
    mixed in, and is at the floor in what sways, since the plate shows that there, and where two layers meet.
    """
    if not flows.any():
        return np.full(apart.shape, CONFIDENCE_FLOOR, np.float32)
    # Beyond the picture's border the region goes on: the border is no outline.
    core = cv2.erode(flows, np.ones((3, 3), np.uint8), iterations=max(1, round(EDGE_DOUBT * unit)))
    distance = cv2.distanceTransform(255 - (core if core.any() else flows), cv2.DIST_L2, cv2.DIST_MASK_5)
    value = 1 - distance / max(CONFIDENCE_RAMP * unit, 1)
    near = cv2.dilate(sways, np.ones((3, 3), np.uint8), iterations=max(1, round(EDGE_DOUBT * unit)))
    value[near > 0] = 0
    value = cv2.resize(value.astype(np.float32), apart.shape[::-1], interpolation=cv2.INTER_AREA)
    value = np.minimum(value, apart)
    return np.ascontiguousarray(np.maximum(value, CONFIDENCE_FLOOR), np.float32)


def _confidence_behind(known: FloatArray, sways: ByteArray, order: ByteArray, unit: float) -> FloatArray:
    """Confidence at field size where a layer goes on behind something nearer that stands still.

    The outline itself is no source; further behind than ``BEHIND_REACH`` there is only colour.
    """
    shown = known > 0
    if not shown.any():
        return np.zeros(known.shape, np.float32)
    distance, nearest = layer.nearest_to(shown)
    pixels = distance * (4 / unit)
    ramp = np.clip((pixels - EDGE_DOUBT) / EDGE_DOUBT, 0, 1) * np.clip(2 - 2 * pixels / BEHIND_REACH, 0, 1)
    sway = cv2.resize(sways, known.shape[::-1], interpolation=cv2.INTER_AREA)
    # In what sways, and a little around it, the plate holds that and not the layer.
    still = cv2.dilate(sway, np.ones((7, 7), np.uint8)) == 0
    behind = (order > order.ravel()[nearest]) & ~shown & still
    return np.asarray(BEHIND_CONFIDENCE * ramp * behind, np.float32)


def _flow_samples(flows: ByteArray, sways: ByteArray, kinds: ByteArray) -> ByteArray:
    """(h, w) uint8: the class that flows in a sample or at its soft edge, 0 elsewhere."""
    flow, sway = (cv2.resize(m, kinds.shape[::-1], interpolation=cv2.INTER_AREA) for m in (flows, sways))
    where = (cv2.dilate(flow, np.ones((3, 3), np.uint8)) > 0) & (sway < 128)
    return np.ascontiguousarray(np.where(where, kinds, 0), np.uint8)


def _soft_outside(known: FloatArray, kinds: ByteArray, order: ByteArray) -> ByteArray:
    """(h, w) uint8: 1 where what a cloud or smoke ends at is farther than itself, as the sky is."""
    shown = known > 0
    if not shown.any():
        return np.zeros(known.shape, np.uint8)
    _, nearest = layer.nearest_to(shown)
    farther = ~shown & (order < order.ravel()[nearest])
    return np.asarray(farther & np.isin(kinds.ravel()[nearest], SOFT_CLASSES), np.uint8)


def _matte_and_plate(
    photo: ByteArray,
    flows: ByteArray,
    sways: ByteArray,
    soft: ByteArray,
    owner: ByteArray,
    fill: FloatArray,
    unit: float,
) -> tuple[ByteArray, ByteArray]:
    """The matte inside both regions, and the plate: the flowing layer continued, the photo under the matte."""
    ramp = MATTE_RAMP * unit
    # The outermost 2 px of a region hold colours mixed with the background: they are no source.
    core = cv2.erode(flows, np.ones((3, 3), np.uint8), iterations=max(1, round(2 * unit)))
    flowing = inner_ramp(core, ramp)
    if soft.any():
        far = cv2.resize(soft, photo.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        flowing = np.minimum(flowing, inner_ramp(np.where(core > 0, core, 255 * (1 - far)), SOFT_RAMP * unit))
    matte = np.maximum(flowing, inner_ramp(sways, ramp))
    everywhere = cv2.resize(owner, photo.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    region = np.where((core if core.any() else flows) > 0, everywhere, 0).astype(np.uint8)
    plate = layer.continue_plate(photo, region, owner, fill, reach=64 * unit)
    kept = matte > 0
    plate[kept] = photo[kept]
    if sways.any():
        # What sways reads a few pixels around itself: the photo, not the flowing layer.
        near = cv2.dilate(sways, np.ones((3, 3), np.uint8), iterations=max(1, round(8 * unit))) & (
            255 - flows
        )
        plate[near > 0] = photo[near > 0]
    return matte, plate
