# SPDX-License-Identifier: Apache-2.0
"""A scene becomes the bytes of a baked one: which encoding each part gets, and where it lies in the file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stillflow.baked import fields, pictures
from stillflow.baked.layout import (
    ALIGNMENT,
    ENTRY,
    HEADER,
    LONGEST_SIDE,
    MOST_ABOUT,
    MOST_FRAMES,
    MOST_HARMONICS,
    MOST_PIXELS,
    Encoding,
    Head,
    Kind,
    Section,
    element_bytes,
)
from stillflow.errors import StillflowError
from stillflow.field_steps import to_numbers
from stillflow.kernels.arrays import ByteArray, FloatArray, IntArray, SceneArrays

if TYPE_CHECKING:
    from stillflow.loop import AnyScene


@dataclass(frozen=True, eq=False)
class Part:
    """A section before it has a place.

    Attributes:
        kind: of the content.
        encoding: of the bytes.
        shape: planes, rows, columns.
        data: bytes of the section.
        exponent: of the step of numbers, else 0.
    """

    kind: Kind
    encoding: Encoding
    shape: tuple[int, int, int]
    data: bytes
    exponent: int = 0


def write_scene(
    scene: AnyScene,
    path: str | os.PathLike[str],
    *,
    raw: bool = False,
    about: Mapping[str, Any] | None = None,
) -> int:
    """Bake a scene losslessly. The file appears under its name when it is complete.

    Args:
        scene: as for ``scene_bytes``.
        path: of the file, by custom ending in .sflow; an existing one is replaced.
        raw: as for ``scene_bytes``.
        about: as for ``scene_bytes``.

    Returns:
        Bytes written.

    Raises:
        StillflowError: as ``scene_bytes``, or it cannot be written there.
    """
    return save(scene_bytes(scene, raw=raw, about=about), path)


def scene_bytes(scene: AnyScene, *, raw: bool = False, about: Mapping[str, Any] | None = None) -> bytes:
    """Bake a scene losslessly.

    Args:
        scene: what ``stillflow.scene.build_scene`` made, or one of that on a GPU. Its fields are rounded to the
            steps of docs/sflow.md, on which such a scene lies already.
        raw: nothing compressed: opens fastest, and is large.
        about: what the file says of itself, for people and players; JSON.

    Returns:
        The bytes of the file.

    Raises:
        StillflowError: it has no geometry (its frames are decoded by a network), or is beyond the limits of the layout.
    """
    arrays = arrays_of(scene)
    photo = photo_part(Encoding.RAW if raw else None, arrays.photo)
    return assemble(arrays, scene.fps, [photo, *parts(arrays, raw=raw, about=about)])


def arrays_of(scene: object) -> SceneArrays:
    """The arrays of a scene that can be baked.

    Raises:
        StillflowError: its frames are decoded, or its size is beyond the limits of the layout.
    """
    arrays = getattr(scene, "arrays", None)
    if not isinstance(arrays, SceneArrays):
        raise StillflowError(
            "cannot bake this loop",
            "a network decodes its frames, and geometry alone makes none of them",
            "use a bundle whose loop rule is cross_fade: --bundle edge",
        )
    side, pixels = max(arrays.width, arrays.height), arrays.width * arrays.height
    harmonics = max(len(arrays.sway), len(arrays.light))
    beyond = side > LONGEST_SIDE or pixels > MOST_PIXELS or arrays.frames > MOST_FRAMES
    if beyond or harmonics > MOST_HARMONICS:
        raise StillflowError(
            "cannot bake this loop",
            f"{arrays.width}x{arrays.height} pixels, {arrays.frames} frames and {harmonics} harmonics are more than a "
            "baked scene holds",
            "ask for a smaller --size or fewer --seconds",
        )
    return arrays


def photo_part(encoding: Encoding | None, photo: ByteArray, data: bytes | None = None) -> Part:
    """The section of the photo.

    Args:
        encoding: how, or None for lossless WebP (PNG where a side is too long for that).
        photo: (H, W, 3) uint8.
        data: the bytes, where they are there already.
    """
    if encoding is None:
        encoding, data = pictures.lossless(photo)
    elif data is None:
        data = pictures.encode(photo, encoding)
    return Part(Kind.PHOTO, encoding, (3, *photo.shape[:2]), data)


def parts(arrays: SceneArrays, *, raw: bool = False, about: Mapping[str, Any] | None = None) -> list[Part]:
    """Encode everything but the photo.

    Args:
        arrays: of the scene.
        raw: nothing compressed.
        about: as for ``scene_bytes``.

    Returns:
        The sections in the order of their kinds. The matte is PNG, which opens in a third of the time that WebP takes
        and is some 20 kB larger at 1080p; there is no plate where that is the photo, and no sway, light or blend where
        the scene has none.
    """
    h, w = arrays.flow.shape
    matte = Encoding.RAW if raw else Encoding.PNG
    found = [Part(Kind.MATTE, matte, (1, *arrays.matte.shape), pictures.encode(arrays.matte, matte))]
    found += _plate(arrays, raw)

    def numbers(kind: Kind, values: FloatArray) -> None:
        whole, exponent = to_numbers(kind.name.lower(), values, arrays.frames)
        planes = np.ascontiguousarray(np.moveaxis(whole, -1, -3)).reshape(-1, h, w)
        data = planes.astype("<i2").tobytes() if raw else fields.pack(planes)
        encoding = Encoding.NUMBERS if raw else Encoding.PACKED_NUMBERS
        found.append(Part(kind, encoding, (len(planes), h, w), data, exponent))

    def harmonics(kind: Kind, values: FloatArray, periods_kind: Kind, periods: IntArray) -> None:
        if len(values):
            numbers(kind, values)
            data = periods.astype("<u4").tobytes()
            found.append(Part(periods_kind, Encoding.RAW, (1, 1, len(periods)), data))

    numbers(Kind.VELOCITY, arrays.velocity)
    for kind, plane in ((Kind.FLOW, arrays.flow), (Kind.CYCLES, arrays.cycles)):
        data = plane.tobytes() if raw else fields.pack(plane[None])
        found.append(Part(kind, Encoding.RAW if raw else Encoding.PACKED_BYTES, (1, h, w), data))
    numbers(Kind.INSIDE, arrays.inside[..., None])
    harmonics(Kind.SWAY, arrays.sway, Kind.SWAY_PERIODS, arrays.sway_periods)
    harmonics(Kind.LIGHT, arrays.light, Kind.LIGHT_PERIODS, arrays.light_periods)
    if arrays.blend is not None:
        numbers(Kind.BLEND, arrays.blend)
    if about:
        try:
            text = json.dumps(about, ensure_ascii=False, sort_keys=True, allow_nan=False).encode()
        except (
            TypeError,
            ValueError,
        ) as error:  # half a surrogate pair is what a shell's other encoding becomes
            why = f"what it says of itself is no JSON in UTF-8: {error}"
            raise StillflowError("cannot bake this loop", why, "give --alt and --credit in UTF-8") from error
        if len(text) > MOST_ABOUT:
            raise StillflowError(
                "cannot bake this loop",
                f"what it says of itself takes {len(text):,} bytes, and the most is {MOST_ABOUT:,}",
                "give a shorter --alt or --credit",
            )
        found.append(Part(Kind.ABOUT, Encoding.RAW, (1, 1, len(text)), text))
    return found


def _plate(arrays: SceneArrays, raw: bool) -> list[Part]:
    """The plate where it is not the photo; all bytes 0 elsewhere, which compresses to next to nothing."""
    differs = (arrays.plate != arrays.photo).any(-1)
    if not differs.any():
        return []
    plate = np.zeros((*differs.shape, 4), np.uint8)
    plate[differs, :3] = arrays.plate[differs]
    plate[differs, 3] = 255
    encoding, data = (Encoding.RAW, plate.tobytes()) if raw else pictures.lossless(plate)
    return [Part(Kind.PLATE, encoding, (4, *differs.shape), data)]


def assemble(arrays: SceneArrays, fps: float, parts: Sequence[Part]) -> bytes:
    """Put header, table and sections together.

    Args:
        arrays: of the scene, for its size and length.
        fps: frames a second.
        parts: all sections; they are laid out in this order.

    Returns:
        The bytes of the file.
    """
    sections, body = [], bytearray()
    start = HEADER.size + len(parts) * ENTRY.size
    for part in parts:
        body += bytes(-(start + len(body)) % ALIGNMENT)
        decoded = int(np.prod(part.shape)) * element_bytes(part.kind)
        place = (start + len(body), len(part.data), decoded)
        digest = hashlib.sha256(part.data).digest()
        sections.append(Section(part.kind, part.encoding, *place, part.exponent, part.shape, digest))
        body += part.data
    size = start + len(body)
    return Head(arrays.width, arrays.height, arrays.frames, fps, tuple(sections), size).pack() + bytes(body)


def save(data: bytes, path: str | os.PathLike[str]) -> int:
    """Write a file that appears when it is complete.

    Returns:
        Bytes written.

    Raises:
        StillflowError: the folder is missing, the disk is full, or another reason of the system.
    """
    # Imported here: the video package brings PyAV, which reading a scene need not wait for.
    from stillflow.video.destination import FileDestination

    target = FileDestination(Path(path))
    try:
        with target.errors():
            target.path.write_bytes(data)
            return target.commit()
    finally:
        target.abort()
