# SPDX-License-Identifier: Apache-2.0
"""Header and table of a baked scene, byte by byte as docs/sflow.md has them: packed here, and checked here."""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from stillflow.errors import StillflowError
from stillflow.kernels.arrays import field_shape

MAGIC = b"\x89SFLOW\r\n"
MAJOR, MINOR = 1, 0
HEADER = struct.Struct("<8sHHIQIIIIdI12s32s32s")
ENTRY = struct.Struct("<IIQQQiIII32s")
HASH_AT = 64
"""Where the header holds the hash of itself and the table."""

ALIGNMENT = 64
MOST_SECTIONS = 64
MOST_HARMONICS = 64
MOST_FRAMES = 1_000_000
MOST_PIXELS = 1 << 27
LONGEST_SIDE = 65535
MOST_ABOUT = 65536
CROSS_FADE = 1
MAY_BE_SKIPPED = 0x8000
"""Kinds from here on are skipped by who does not know them."""


class Kind(IntEnum):
    """What a section holds."""

    PHOTO = 1
    MATTE = 2
    PLATE = 3
    VELOCITY = 4
    FLOW = 5
    CYCLES = 6
    INSIDE = 7
    SWAY = 8
    SWAY_PERIODS = 9
    LIGHT = 10
    LIGHT_PERIODS = 11
    BLEND = 12
    ABOUT = 0x8001


class Encoding(IntEnum):
    """How a section's bytes hold it."""

    RAW = 0
    PNG = 1
    JPEG = 2
    WEBP = 3
    NUMBERS = 4
    PACKED_NUMBERS = 5
    PACKED_BYTES = 6


PICTURES = (Kind.PHOTO, Kind.MATTE, Kind.PLATE)
NUMBERS = (Kind.VELOCITY, Kind.INSIDE, Kind.SWAY, Kind.LIGHT, Kind.BLEND)
BYTES = (Kind.FLOW, Kind.CYCLES)
PERIODS = (Kind.SWAY_PERIODS, Kind.LIGHT_PERIODS)
NEEDED = (*PICTURES[:2], Kind.VELOCITY, *BYTES, Kind.INSIDE)
TOGETHER = ((Kind.SWAY, Kind.SWAY_PERIODS, 4), (Kind.LIGHT, Kind.LIGHT_PERIODS, 2))
"""Harmonics, their periods, and planes that one harmonic has."""

ALLOWED: dict[Kind, tuple[Encoding, ...]] = {
    Kind.PHOTO: (Encoding.RAW, Encoding.PNG, Encoding.JPEG, Encoding.WEBP),
    Kind.MATTE: (Encoding.RAW, Encoding.PNG, Encoding.WEBP),
    Kind.PLATE: (Encoding.RAW, Encoding.PNG, Encoding.WEBP),
    **dict.fromkeys(NUMBERS, (Encoding.NUMBERS, Encoding.PACKED_NUMBERS)),
    **dict.fromkeys(BYTES, (Encoding.RAW, Encoding.PACKED_BYTES)),
    **dict.fromkeys((*PERIODS, Kind.ABOUT), (Encoding.RAW,)),
}


@dataclass(frozen=True)
class Section:
    """One line of the table.

    Attributes:
        kind: of the content; a number that is no ``Kind`` where the section is skipped.
        encoding: of its bytes.
        offset: where it begins in the file.
        size: bytes in the file.
        decoded: bytes when decoded; numbers have 2 bytes, periods 4, all others 1.
        exponent: of the step of numbers, else 0.
        shape: planes, rows, columns.
        sha256: of its bytes in the file.
    """

    kind: int
    encoding: int
    offset: int
    size: int
    decoded: int
    exponent: int
    shape: tuple[int, int, int]
    sha256: bytes


@dataclass(frozen=True)
class Head:
    """What a file says of itself.

    Attributes:
        width: of the picture in pixels.
        height: likewise.
        frames: N of one loop.
        fps: frames a second.
        sections: the table.
        size: bytes of the file.
        minor: minor version.
    """

    width: int
    height: int
    frames: int
    fps: float
    sections: tuple[Section, ...]
    size: int
    minor: int = MINOR

    def pack(self) -> bytes:
        """Header and table, hash included."""
        table = b"".join(
            ENTRY.pack(s.kind, s.encoding, s.offset, s.size, s.decoded, s.exponent, *s.shape, s.sha256)
            for s in self.sections
        )

        def header(digest: bytes) -> bytes:
            counts = (self.width, self.height, self.frames, len(self.sections))
            first = (MAGIC, MAJOR, self.minor, HEADER.size, self.size)
            return HEADER.pack(*first, *counts, self.fps, CROSS_FADE, bytes(12), digest, bytes(32))

        return header(hashlib.sha256(header(bytes(32)) + table).digest()) + table


def element_bytes(kind: Kind) -> int:
    """Bytes of one decoded element."""
    return 2 if kind in NUMBERS else 4 if kind in PERIODS else 1


def damaged(name: str, why: str) -> StillflowError:
    """The error about a file that is not what it should be.

    Args:
        name: of the file.
        why: what was found.
    """
    return StillflowError(
        f"cannot play {name}",
        why,
        f"copy or download it again, or bake the photo again: stillflow bake PHOTO -o {name} --overwrite",
    )


def table_bytes(start: bytes, name: str, size: int) -> int:
    """Check a file's first 128 bytes as far as they stand alone.

    Args:
        start: the first 128 bytes, or what there is of them.
        name: of the file, for messages.
        size: bytes of the whole file.

    Returns:
        Bytes of the table that follows them.

    Raises:
        StillflowError: it is no baked scene, one of another version, or one whose size is not what it says.
    """
    if start[: len(MAGIC)] != MAGIC:
        raise StillflowError(
            f"cannot play {name}",
            "it is not a baked scene, or was changed by a transfer as text",
            "make one: stillflow bake PHOTO -o photo.sflow",
        )
    if len(start) < HEADER.size:
        raise damaged(name, f"the file ends after {len(start)} bytes")
    _, major, _, header, whole, _, _, _, count, _, _, gap, _, rest = HEADER.unpack(start)
    if major != MAJOR:
        raise StillflowError(
            f"cannot play {name}",
            f"its version is {major}, and this stillflow reads version {MAJOR}",
            "use the stillflow that made it, or bake the photo again with this one",
        )
    if header != HEADER.size or any(gap) or any(rest) or not 1 <= count <= MOST_SECTIONS:
        raise damaged(name, "its header is damaged")
    if whole != size:
        raise damaged(name, f"it has {size:,} bytes, and its header says {whole:,}")
    if HEADER.size + count * ENTRY.size > size:
        raise damaged(name, "it ends within its table")
    return int(count) * ENTRY.size


def parse_head(data: bytes, name: str) -> Head:
    """Check header and table: hash, limits, and every size.

    Args:
        data: exactly both, after ``table_bytes`` let them through.
        name: of the file, for messages.

    Raises:
        StillflowError: damage, contradictions, or a section that this version cannot skip.
    """
    fields = HEADER.unpack_from(data)
    minor, size, width, height, frames, fps, rule, digest = (fields[i] for i in (2, 4, 5, 6, 7, 9, 10, 12))
    plain = data[:HASH_AT] + bytes(32) + data[HASH_AT + 32 :]
    if hashlib.sha256(plain).digest() != digest:
        raise damaged(name, "the hash of its header does not fit: it is damaged")
    if not (1 <= width <= LONGEST_SIDE and 1 <= height <= LONGEST_SIDE and width * height <= MOST_PIXELS):
        raise damaged(name, f"a picture of {width}x{height} pixels is beyond the limits")
    if not 1 <= frames <= MOST_FRAMES or not (math.isfinite(fps) and 0 < fps <= 240):
        raise damaged(name, f"a loop of {frames} frames at {fps:g} a second is beyond the limits")
    if rule != CROSS_FADE:
        raise StillflowError(
            f"cannot play {name}",
            f"its loop rule is {rule}, and this stillflow plays rule {CROSS_FADE}",
            "upgrade stillflow: pip install --upgrade stillflow",
        )
    places = range(HEADER.size, len(data), ENTRY.size)
    sections = tuple(_section(*ENTRY.unpack_from(data, at)) for at in places)
    head = Head(width, height, frames, fps, sections, size, minor)
    _check_places(head, len(data), name)
    _check_sections(head, name)
    return head


def _section(
    kind: int, encoding: int, offset: int, size: int, decoded: int, exponent: int, *rest: Any
) -> Section:
    planes, rows, columns, digest = rest
    return Section(kind, encoding, offset, size, decoded, exponent, (planes, rows, columns), digest)


def _check_places(head: Head, table_end: int, name: str) -> None:
    """Sections lie one after the other, and the file ends with the last."""
    end = table_end
    for section in head.sections:
        gap = section.offset - end
        if section.offset % ALIGNMENT or not 0 <= gap < ALIGNMENT or section.size > head.size:
            raise damaged(name, f"its section {section.kind:#x} does not lie where one may")
        end = section.offset + section.size
    if end != head.size:
        raise damaged(name, f"its sections end at byte {end:,} of {head.size:,}")


def _check_sections(head: Head, name: str) -> None:
    """Every section is known or may be skipped, is there once, and is as large as its kind says."""
    kinds = [section.kind for section in head.sections]
    if len(set(kinds)) < len(kinds):
        raise damaged(name, "a section is there twice")
    known = {int(kind) for kind in Kind}
    for kind in kinds:
        if kind not in known and kind < MAY_BE_SKIPPED:
            raise StillflowError(
                f"cannot play {name}",
                f"it holds a section {kind:#x} that this stillflow does not know",
                "upgrade stillflow: pip install --upgrade stillflow",
            )
    there = {Kind(s.kind): s for s in head.sections if s.kind in known}
    for needed in NEEDED:
        if needed not in there:
            raise damaged(name, f"it holds no {needed.name.lower()}")
    for harmonics, periods, planes in TOGETHER:
        if (harmonics in there) != (periods in there):
            raise damaged(name, f"of {harmonics.name.lower()} and its periods only one is there")
        if harmonics in there and there[harmonics].shape[0] != planes * there[periods].shape[2]:
            raise damaged(name, f"{harmonics.name.lower()} and its periods differ in number")
    for kind, section in there.items():
        _check_section(head, kind, section, name)


def _check_section(head: Head, kind: Kind, section: Section, name: str) -> None:
    said = f"its section {kind.name.lower()}"
    planes, rows, columns = section.shape
    if section.shape != _shape(head, kind, section):
        raise damaged(name, f"{said} has a size of {planes} x {rows} x {columns}")
    if section.decoded != planes * rows * columns * element_bytes(kind):
        raise damaged(name, f"{said} says {section.decoded:,} bytes, which is not what its size says")
    if section.encoding not in ALLOWED[kind]:
        raise damaged(name, f"{said} has the encoding {section.encoding}, which is not one of its kind's")
    plain = section.encoding in (Encoding.RAW, Encoding.NUMBERS)
    if section.size < 1 or (plain and section.size != section.decoded):
        raise damaged(name, f"{said} has {section.size:,} bytes")
    if not -60 <= section.exponent <= 60 or (kind not in NUMBERS and section.exponent):
        raise damaged(name, f"{said} has the exponent {section.exponent}")


def _shape(head: Head, kind: Kind, section: Section) -> tuple[int, int, int]:
    """The shape that a kind must have; where the number is the section's own, as near as can be."""
    h, w = field_shape(head.height, head.width)
    planes, _, columns = section.shape
    if kind in PICTURES:
        return {Kind.PHOTO: 3, Kind.MATTE: 1, Kind.PLATE: 4}[kind], head.height, head.width
    if kind in PERIODS:
        return 1, 1, min(max(columns, 1), MOST_HARMONICS)
    if kind is Kind.ABOUT:
        return 1, 1, min(max(columns, 1), MOST_ABOUT)
    if kind in (Kind.SWAY, Kind.LIGHT):
        # How many there are is held against the periods.
        return planes, h, w
    return {Kind.VELOCITY: 2, Kind.BLEND: 2}.get(kind, 1), h, w
