# SPDX-License-Identifier: Apache-2.0
"""The generator network: what the moving layer looks like where the photo does not show it, and how far to trust it.

It runs once a photo, at field size (long side at most 320 samples). It returns colours for the plate beyond the
layer's edge, how much of the mirrored texture to leave there, and how far each place is to be trusted as a source.
The manifest says what is used: "plate" the colours, "blend" texture and trust. The closed forms are the mirrored
continuation (``stillflow.layer``) and confidence by distance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.kernels.arrays import FIELD_OFFSET, FIELD_SCALE, ByteArray, FloatArray
from stillflow.kernels.reference import CONFIDENCE_FLOOR
from stillflow.tone import toned

Generator = Callable[[FloatArray], tuple[FloatArray, FloatArray] | None]
"""Maps a (9, h, w) field to (plate colours (3, h, w) 0..1, trust (2, h, w): texture, trust), or to None when its
graph is of a bundle from before trust: what that one returns was meant for another field and another plate."""

LONG_SIDE = 320
"""Longest side the network is run at, in field samples."""

MULTIPLE = 32
"""Both sides are brought to a multiple of this: the network halves five times."""

DISPLACEMENT_UNIT = 32.0
"""Field pixels that count as 1 in the displacement channels."""

MEAN_BOX = 5
"""Side of the box, in the network's samples, that is applied twice for the local mean of the plate: what the
network repaints is that mean; what is finer is texture, of which it says how much stays."""

STRIP = 128
"""Rows of a picture that are repainted at a time: whole 4K pictures in float32 would take 100 MB each."""


@dataclass(frozen=True, eq=False)
class Layer:
    """The moving layer as the closed form prepared it.

    Attributes:
        photo: (H, W, 3) uint8.
        plate: (H, W, 3) uint8, the layer continued beyond its edge.
        matte: (H, W) uint8.
        known: (h, w) float32 0..1, 1 where the photo shows the moving layer.
        velocity: (h, w, 2) float32 field pixels a frame.
        cycles: (h, w) uint8, cross-fade cycles a loop.
        inside: (h, w) float32, confidence.
        frames: in one loop.
    """

    photo: ByteArray
    plate: ByteArray
    matte: ByteArray
    known: FloatArray
    velocity: FloatArray
    cycles: ByteArray
    inside: FloatArray
    frames: int


def consult(
    generator: Generator, outputs: Mapping[str, str], layer: Layer, curve: FloatArray | None = None
) -> tuple[ByteArray, FloatArray]:
    """Ask the generator and follow it as far as the outputs say.

    Args:
        generator: maps a field to plate colours and trust.
        outputs: {"plate": "network" | ..., "blend": "network" | ...}.
        layer: what the closed form made.
        curve: ``stillflow.tone.tone_curve`` of the photo: a gray photo gets gray colours.

    Returns:
        plate (H, W, 3) uint8 and confidence (h, w) float32.
    """
    h, w = layer.known.shape
    small, photo = (
        cv2.resize(picture, (w, h), interpolation=cv2.INTER_AREA).astype(np.float32)
        for picture in (layer.plate, layer.photo)
    )
    said = generator(
        generator_field(small, layer.known, layer.velocity, layer.cycles, layer.inside, layer.frames, photo)
    )
    plate, inside = layer.plate, layer.inside
    if said is None:
        return plate, inside
    made, trust = said
    blends = outputs.get("blend") == "network"
    changed = (layer.plate != layer.photo).any(axis=-1).astype(np.uint8)
    painted = cv2.morphologyEx(changed, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) & (layer.matte == 0)
    if blends:
        # Where the closed form left the photo as it is (what sways, and its surroundings), no trust is added: a
        # piece of sky above a lip would come down with the water, and the outline of a tree would walk out to sea.
        flows = cv2.resize(
            (layer.known > 0).astype(np.uint8), painted.shape[::-1], interpolation=cv2.INTER_NEAREST
        )
        left = ((flows == 0) & (painted == 0)).astype(np.uint8)
        # Along the edge a ring of the layer's own pixels is not known yet: that is no piece of anything else.
        left = cv2.morphologyEx(left, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)).astype(np.float32)
        left = cv2.dilate(cv2.resize(left, (w, h), interpolation=cv2.INTER_AREA), np.ones((3, 3), np.uint8))
        inside = trusted(inside, np.where(left > 0, np.minimum(trust[1], 0), trust[1]))
    if outputs.get("plate") == "network":
        colours = np.ascontiguousarray(np.moveaxis(made, 0, -1) * 255, np.float32)
        colours = colours if curve is None else toned(colours, curve)
        plate = repaint(plate, painted, plate_mean(small), colours, trust[0] if blends else None)
    return plate, inside


def generator_field(
    plate: FloatArray,
    known: FloatArray,
    velocity: FloatArray,
    cycles: ByteArray,
    inside: FloatArray,
    frames: int,
    photo: FloatArray | None = None,
) -> FloatArray:
    """Lay out what the generator reads.

    Args:
        plate: (h, w, 3) float32 0..255, the moving layer at field size: the photo where it shows the layer,
            its closed-form continuation elsewhere.
        known: (h, w) float32 0..1, 1 where the photo shows the moving layer.
        velocity: (h, w, 2) float32 field pixels a frame, extended beyond the region.
        cycles: (h, w) uint8, cross-fade cycles a loop.
        inside: (h, w) float32, confidence.
        frames: in one loop.
        photo: (h, w, 3) float32 0..255, what stands beyond the edge; the plate when it is not told.

    Returns:
        (9, h, w) float32: RGB 0..1 of the plate, known, inside, displacement over one cycle divided by 32 field
        pixels (x, y), luma and red minus blue of the photo.
    """
    period = np.float32(frames) / cycles.astype(np.float32)
    travel = velocity * period[..., None] / np.float32(DISPLACEMENT_UNIT)
    there = (plate if photo is None else photo) / np.float32(255)
    luma = there @ np.array([0.299, 0.587, 0.114], np.float32)
    hue = there[..., 0] - there[..., 2]
    planes = [*np.moveaxis(plate / 255, -1, 0), known, inside, *np.moveaxis(travel, -1, 0), luma, hue]
    return np.stack(planes).astype(np.float32)


def generator_from(
    run: Callable[[Mapping[str, npt.NDArray[np.float32]]], Mapping[str, npt.NDArray[np.float32]]],
) -> Generator:
    """Make a generator from a session's ``run``; brings fields of any size to the network's and back.

    Args:
        run: maps {"field": (1, 9, h', w')} to {"plate": (1, 3, h', w'), "trust": (1, 2, h', w')}.
    """

    def generate(field: FloatArray) -> tuple[FloatArray, FloatArray] | None:
        h, w = field.shape[1:]
        scale = min(1.0, LONG_SIDE / max(h, w))
        size = tuple(max(MULTIPLE, round(n * scale / MULTIPLE) * MULTIPLE) for n in (w, h))
        small = np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in field])
        out = run({"field": small[None]})
        if "trust" not in out:
            return None
        plate, trust = (
            np.stack([cv2.resize(p, (w, h), interpolation=cv2.INTER_LINEAR) for p in out[name][0]])
            for name in ("plate", "trust")
        )
        return np.clip(plate, 0, 1).astype(np.float32), trust.astype(np.float32)

    return generate


def plate_mean(plate: FloatArray) -> FloatArray:
    """Local mean of a plate at field size, (h, w, c) to the same: what the network's colours stand for."""
    side = MEAN_BOX * max(plate.shape[:2]) / LONG_SIDE if max(plate.shape[:2]) > LONG_SIDE else MEAN_BOX
    box = (2 * round(side / 2 - 0.5) + 1,) * 2
    once = cv2.blur(plate, box, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.blur(once, box, borderType=cv2.BORDER_REPLICATE), np.float32)


def repaint(
    plate: ByteArray, painted: ByteArray, mean: FloatArray, colours: FloatArray, texture: FloatArray | None
) -> ByteArray:
    """Put the network's colours in place of the closed form's, with as much of its texture as is wanted.

    Args:
        plate: (H, W, 3) uint8, continued by the closed form.
        painted: (H, W), non-zero where the closed form painted it.
        mean: (h, w, 3) float32 0..255, ``plate_mean`` of the plate at field size.
        colours: (h, w, 3) float32 0..255, the network's.
        texture: (h, w) float32, share of what is finer than the mean; None keeps all of it.

    Returns:
        (H, W, 3) uint8, a new plate; unpainted pixels keep their bytes.
    """
    result = plate.copy()
    height, width = painted.shape
    share = np.ones(mean.shape[:2], np.float32) if texture is None else texture
    planes = np.dstack([mean, colours, share])
    scale = 1 / FIELD_SCALE
    for top in range(0, height, STRIP):
        rows = painted[top : top + STRIP] > 0
        if not rows.any():
            continue
        at = np.array(
            [[scale, 0, -FIELD_OFFSET * scale], [0, scale, (top - FIELD_OFFSET) * scale]], np.float64
        )
        here = np.dstack(
            [
                cv2.warpAffine(
                    np.ascontiguousarray(plane),
                    at,
                    (width, len(rows)),
                    flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                    borderMode=cv2.BORDER_REPLICATE,
                )
                for plane in np.moveaxis(planes, -1, 0)
            ]
        )[rows]
        fine = plate[top : top + STRIP][rows] - here[:, :3]
        value = here[:, 3:6] + here[:, 6:] * fine
        result[top : top + STRIP][rows] = np.clip(np.rint(value), 0, 255).astype(np.uint8)
    return result


def trusted(inside: FloatArray, trust: FloatArray) -> FloatArray:
    """Confidence with the network's correction, (h, w) float32 between the floor and 1."""
    return np.ascontiguousarray(np.clip(inside + trust, CONFIDENCE_FLOOR, 1), np.float32)
