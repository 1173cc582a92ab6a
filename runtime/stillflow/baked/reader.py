# SPDX-License-Identifier: Apache-2.0
"""A baked scene is read as if somebody wanted to break the reader: every size is checked before memory is taken."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stillflow.baked import fields, pictures
from stillflow.baked.layout import (
    HEADER,
    MOST_FRAMES,
    Encoding,
    Head,
    Kind,
    Section,
    damaged,
    parse_head,
    table_bytes,
)
from stillflow.errors import StillflowError
from stillflow.field_steps import to_values
from stillflow.kernels.arrays import ByteArray, FloatArray, IntArray, SceneArrays, field_shape
from stillflow.scene import Scene, local_mean

MEMORY_LIMIT = 1 << 30
"""Bytes, as in libstillflow."""

LARGEST_VALUE = {Kind.INSIDE: 1e3, Kind.LIGHT: 8.0}
"""Of numbers, either way; 1e5 of all others. The kernels refuse what is larger, and would at the first frame."""


@dataclass(frozen=True, eq=False)
class Baked:
    """A baked scene that was read.

    Attributes:
        scene: plays the same frames as the scene that was baked.
        about: what the file says of itself; empty where it says nothing.
        head: its size, and the table of its sections.
    """

    scene: Scene
    about: Mapping[str, Any]
    head: Head


def read_baked(path: str | os.PathLike[str], *, memory_limit: int = MEMORY_LIMIT) -> Baked:
    """Read a baked scene.

    Args:
        path: of a .sflow file.
        memory_limit: bytes that the file and what is decoded of it may take together, at most.

    Returns:
        The scene, and what the file says of itself.

    Raises:
        StillflowError: no such file, not a baked scene, damaged, of another version, or larger than the limit.
    """
    name = os.fspath(path)
    try:
        # Before it is opened: a pipe would wait for somebody who writes to it.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise StillflowError(f"cannot play {name}", "it is no file", "give the name of a .sflow file")
        with Path(path).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(HEADER.size)
            start += file.read(table_bytes(start, name, size))
            _check_memory(parse_head(start, name), name, memory_limit)
            data = start + file.read(size - len(start))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise StillflowError(
            f"cannot play {name}", why.lower(), "give the name of a file that stillflow bake wrote"
        ) from error
    return decode_baked(data, name, memory_limit=memory_limit)


def decode_baked(data: bytes, name: str = "the scene", *, memory_limit: int = MEMORY_LIMIT) -> Baked:
    """Read a baked scene that lies in memory.

    Args:
        data: the bytes of the file.
        name: what to call it in messages.
        memory_limit: as for ``read_baked``.

    Raises:
        StillflowError: as ``read_baked``.
    """
    end = HEADER.size + table_bytes(data[: HEADER.size], name, len(data))
    head = parse_head(data[:end], name)
    _check_memory(head, name, memory_limit)
    known = {int(kind) for kind in Kind}
    there: dict[Kind, tuple[Section, bytes]] = {}
    for section in head.sections:
        piece = data[section.offset : section.offset + section.size]
        if any(data[end : section.offset]):
            raise damaged(name, "there is something between its sections")
        if section.kind in known:
            if hashlib.sha256(piece).digest() != section.sha256:
                raise damaged(name, f"the hash of its section {section.kind:#x} does not fit")
            there[Kind(section.kind)] = section, piece
        end = section.offset + section.size
    decoding = _Decoding(head, there, name)
    return Baked(Scene(decoding.arrays(), head.fps), decoding.about(), head)


def _check_memory(head: Head, name: str, limit: int) -> None:
    """Refuse a scene whose arrays, with what decoding takes beside them, do not fit into the limit."""
    h, w = field_shape(head.height, head.width)
    planes = sum(
        section.shape[0] for section in head.sections if section.kind in range(Kind.VELOCITY, 0x8000)
    )
    # The file lies there twice, whole and in pieces. Photo, plate and matte take 7 bytes a pixel, the RGBA plate and a
    # picture being decoded 8 more; a number takes 2 packed, 4 as float32, and as much again on the way; the local mean
    # takes 12 a sample, and 48 while it is made.
    needed = 2 * head.size + 16 * head.width * head.height + h * w * (12 * planes + 60)
    if needed > limit:
        raise StillflowError(
            f"cannot play {name}",
            f"its {head.width}x{head.height} scene takes {needed / 1e6:,.0f} MB of memory, and the limit is "
            f"{limit / 1e6:,.0f} MB",
            "bake it smaller: stillflow bake PHOTO --size 1920",
        )


class _Decoding:
    """The sections of one file, decoded when they are asked for.

    Args:
        head: of the file.
        there: its known sections, and their bytes, whose hashes fit.
        name: of the file, for messages.
    """

    def __init__(self, head: Head, there: Mapping[Kind, tuple[Section, bytes]], name: str) -> None:
        self._head, self._there, self._name = head, there, name

    def arrays(self) -> SceneArrays:
        """What the kernels read."""
        photo = self._picture(Kind.PHOTO)
        plate = photo
        if Kind.PLATE in self._there:
            over = self._picture(Kind.PLATE)
            plate = np.where(over[..., 3:] > 0, over[..., :3], photo)
        return SceneArrays(
            photo=photo,
            plate=plate,
            matte=self._picture(Kind.MATTE),
            velocity=self._numbers(Kind.VELOCITY, 2)[0],
            flow=self._bytes(Kind.FLOW),
            cycles=self._at_least_one(Kind.CYCLES, self._bytes(Kind.CYCLES)),
            inside=np.ascontiguousarray(self._numbers(Kind.INSIDE, 1)[0, ..., 0]),
            sway=self._numbers(Kind.SWAY, 4),
            sway_periods=self._periods(Kind.SWAY_PERIODS),
            light=self._numbers(Kind.LIGHT, 2),
            light_periods=self._periods(Kind.LIGHT_PERIODS),
            blend=self._numbers(Kind.BLEND, 2)[0] if Kind.BLEND in self._there else None,
            low=local_mean(plate),
            frames=self._head.frames,
        )

    def about(self) -> Mapping[str, Any]:
        """What the file says of itself."""
        if Kind.ABOUT not in self._there:
            return {}
        import msgspec

        try:
            # Unlike the standard library's it takes neither NaN nor half a surrogate pair, which nobody can print.
            said = msgspec.json.decode(self._there[Kind.ABOUT][1])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise damaged(self._name, "what it says of itself is not JSON") from error
        if not isinstance(said, dict):
            raise damaged(self._name, "what it says of itself is not a JSON object")
        return said

    def _picture(self, kind: Kind) -> ByteArray:
        section, data = self._there[kind]
        try:
            return pictures.decode(data, Encoding(section.encoding), section.shape)
        except ValueError as error:
            raise damaged(self._name, f"its {kind.name.lower()} cannot be decoded: {error}") from error

    def _planes(self, kind: Kind, dtype: type[np.generic]) -> npt.NDArray[Any]:
        section, data = self._there[kind]
        if section.encoding in (Encoding.RAW, Encoding.NUMBERS):
            return np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).reshape(section.shape)
        try:
            return fields.unpack(data, section.shape, dtype)
        except ValueError as error:
            raise damaged(self._name, f"its {kind.name.lower()} cannot be decoded: {error}") from error

    def _numbers(self, kind: Kind, planes: int) -> FloatArray:
        """(harmonics, h, w, planes) float32; no harmonics where the section is not there."""
        h, w = field_shape(self._head.height, self._head.width)
        if kind not in self._there:
            return np.zeros((0, h, w, planes), np.float32)
        numbers = self._planes(kind, np.int16).reshape(-1, planes, h, w)
        values = to_values(numbers, self._there[kind][0].exponent)
        if float(np.abs(values).max()) > LARGEST_VALUE.get(kind, 1e5):
            raise damaged(self._name, f"its {kind.name.lower()} holds values that make no sense")
        return np.ascontiguousarray(np.moveaxis(values, 1, -1))

    def _bytes(self, kind: Kind) -> ByteArray:
        return np.array(self._planes(kind, np.uint8)[0])

    def _periods(self, kind: Kind) -> IntArray:
        if kind not in self._there:
            return np.zeros(0, np.int32)
        whole = self._planes(kind, np.uint32).ravel().astype(np.int64)
        if whole.max() > MOST_FRAMES:
            raise damaged(self._name, f"its {kind.name.lower()} are beyond {MOST_FRAMES:,}")
        return self._at_least_one(kind, whole.astype(np.int32))

    def _at_least_one(self, kind: Kind, whole: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if int(whole.min()) < 1:
            raise damaged(self._name, f"its {kind.name.lower()} hold a 0")
        return whole
