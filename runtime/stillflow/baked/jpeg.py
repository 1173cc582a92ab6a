# SPDX-License-Identifier: Apache-2.0
"""The markers of a JPEG file (ITU-T T.81, annex B): what a baked scene may hold, and a file cleaned for it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

DHT, EOI, SOS, DQT, DRI, COM = 0xC4, 0xD9, 0xDA, 0xDB, 0xDD, 0xFE
BASELINE, PROGRESSIVE = 0xC0, 0xC2
APPLICATION = range(0xE0, 0xF0)
"""EXIF, places, profiles, thumbnails: no decoder needs them."""

OTHER_FRAMES = {0xC1, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
"""Extended, lossless, hierarchical and arithmetic-coded frames."""

KNOWN = {BASELINE, PROGRESSIVE, DHT, SOS, DQT, DRI, COM, *APPLICATION, *OTHER_FRAMES}
"""Segments that a file may hold; a later one, such as DNL, could hide anything."""

JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
"""Says that three components are Y'CbCr, whatever else the file says of them."""

SAMPLINGS = {(0x11,), (0x11, 0x11, 0x11), (0x21, 0x11, 0x11), (0x22, 0x11, 0x11)}
"""Gray, 4:4:4, 4:2:2 and 4:2:0: horizontal and vertical factors of each component."""


@dataclass(frozen=True)
class Frame:
    """What a JPEG's frame header says: width and height in pixels, components (1 gray, 3 colour)."""

    width: int
    height: int
    components: int


def frame_of(data: bytes) -> Frame:
    """Look through a JPEG of a baked scene and read its frame header.

    Args:
        data: a JPEG file that begins with a JFIF mark and ends with its EOI.

    Raises:
        ValueError: it is no JPEG, damaged, or not of a kind that a baked scene may hold.
    """
    found, end = None, 0
    for marker, start, end in _segments(data):
        if marker in OTHER_FRAMES or (marker in (BASELINE, PROGRESSIVE) and found is not None):
            raise ValueError("its JPEG is neither baseline nor progressive")
        if marker in (BASELINE, PROGRESSIVE):
            found = _frame(data[start + 4 : end])
    if found is None:
        raise ValueError("its JPEG has no frame")
    if end != len(data):
        raise ValueError("its JPEG goes on after its end")
    if data[2:4] != JFIF[:2] or data[6:11] != JFIF[4:9] or int.from_bytes(data[4:6], "big") < 16:
        raise ValueError("its JPEG does not begin with a JFIF mark")
    return found


def cleaned(data: bytes) -> bytes:
    """Leave out what is not the picture: EXIF, places, profiles, comments, whatever follows the end.

    The order and the bytes of everything else stay, so that it decodes to the same samples; a JFIF mark is put first.

    Raises:
        ValueError: it is damaged, or not of a kind that a baked scene may hold.
    """
    kept = [b"\xff\xd8", JFIF]
    kept += [data[a:b] for marker, a, b in _segments(data) if marker not in APPLICATION and marker != COM]
    clean = b"".join(kept)
    frame_of(clean)
    return clean


def _frame(header: bytes) -> Frame:
    if len(header) < 6:
        raise ValueError("its JPEG's frame is cut short")
    bits, height, width, count = struct.unpack_from(">BHHB", header)
    if len(header) != 6 + 3 * count or tuple(header[7::3]) not in SAMPLINGS:
        raise ValueError("its JPEG is neither gray nor Y'CbCr of 4:4:4, 4:2:2 or 4:2:0")
    if bits != 8 or not width or not height:
        raise ValueError(f"its JPEG has {bits} bits a sample and {width}x{height} pixels")
    return Frame(width, height, count)


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, start, end) of every segment after SOI; a scan's coded data belong to its SOS; EOI is the last."""
    if data[:2] != b"\xff\xd8":
        raise ValueError("it is no JPEG")
    at = 2
    while True:
        while data[at : at + 2] == b"\xff\xff":  # fill bytes before a marker
            at += 1
        if len(data) < at + 2 or data[at] != 0xFF:
            raise ValueError("its JPEG is damaged or cut short")
        marker = data[at + 1]
        if marker == EOI:
            yield marker, at, at + 2
            return
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        end = at + 2 + length
        if marker not in KNOWN or length < 2 or end > len(data):
            raise ValueError("its JPEG is damaged or cut short")
        if marker == SOS:
            end = _scan_end(data, end)
        yield marker, at, end
        at = end


def _scan_end(data: bytes, at: int) -> int:
    """Where a scan's coded data end: at a marker other than a stuffed zero and restarts."""
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        if data[at + 1] not in (0x00, 0xFF) and not 0xD0 <= data[at + 1] <= 0xD7:
            return at
        at += 1 if data[at + 1] == 0xFF else 2
    raise ValueError("its JPEG is damaged or cut short")
