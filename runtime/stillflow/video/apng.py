# SPDX-License-Identifier: Apache-2.0
"""Animated PNG (PNG third edition, W3C 2025, section 11.3.6), lossless, endless or a number of plays.

Frames are compressed independently by the player's lanes: frame 0 whole, every other one as the
rectangle in which it differs from frame 0, drawn over frame 0 and taken away again.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.video.destination import Destination
from stillflow.video.sequence import png_bytes
from stillflow.video.sink import Sink

ByteArray = npt.NDArray[np.uint8]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
KEEP, RESTORE = 0, 2  # dispose_op: leave the frame there, or put back what was there before it
REPLACE = 0  # blend_op: overwrite, alpha included


class Patch(NamedTuple):
    """One frame's rectangle and its compressed rows (the content of its IDAT chunks)."""

    x: int
    y: int
    width: int
    height: int
    header: bytes
    rows: bytes


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a PNG chunk: length, kind, data, CRC."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the (kind, data) of each chunk of a PNG file."""
    at = len(SIGNATURE)
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += length + 12


def difference_box(frame: ByteArray, other: ByteArray) -> tuple[int, int, int, int]:
    """Return (x, y, width, height) around all pixels that differ; one pixel if none does."""
    changed = cv2.absdiff(frame, other).max(axis=2)
    x, y, width, height = cv2.boundingRect(changed)
    return x, y, max(width, 1), max(height, 1)


class ApngSink(Sink):
    """Writes an animated PNG. A viewer that knows no animation shows frame 0, the photo.

    Args:
        destination: where the file goes.
        width: columns of a frame.
        height: rows of a frame.
        rate: frames a second; a delay is stored as an exact fraction of two 16-bit numbers.
        plays: how often a viewer shows the loop, 0 = for ever.
    """

    def __init__(
        self, destination: Destination, *, width: int, height: int, rate: Fraction, plays: int
    ) -> None:
        super().__init__(destination, width, height)
        self._delay = (1 / rate).limit_denominator(65535)
        self._plays = plays
        self._first: ByteArray | None = None
        self._sequence = 0
        self._control_at = 0
        with destination.errors():
            self._file = open(destination.path, "w+b")  # noqa: SIM115 (open until the last frame)

    def _prepare(self, index: int, frame: ByteArray) -> Patch:
        if index == 0 or self._first is None:
            self._first = frame.copy()
            box = (0, 0, self.width, self.height)
        else:
            box = difference_box(frame, self._first)
        x, y, width, height = box
        parts = list(chunks(png_bytes(np.ascontiguousarray(frame[y : y + height, x : x + width]))))
        rows = b"".join(data for kind, data in parts if kind == b"IDAT")
        return Patch(x, y, width, height, parts[0][1], rows)

    def _put(self, prepared: Patch) -> None:
        if self.count == 0:
            self._file.write(SIGNATURE + chunk(b"IHDR", prepared.header) + chunk(b"sRGB", b"\0"))
            self._control_at = self._file.tell()
            self._file.write(self._control(0))
        dispose = KEEP if self.count == 0 else RESTORE
        place = (prepared.width, prepared.height, prepared.x, prepared.y)
        delay = (self._delay.numerator, self._delay.denominator)
        control = struct.pack(">5I2H2B", self._next(), *place, *delay, dispose, REPLACE)
        self._file.write(chunk(b"fcTL", control))
        if self.count == 0:
            self._file.write(chunk(b"IDAT", prepared.rows))
        else:
            self._file.write(chunk(b"fdAT", struct.pack(">I", self._next()) + prepared.rows))

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence - 1

    def _control(self, frames: int) -> bytes:
        return chunk(b"acTL", struct.pack(">2I", frames, self._plays))

    def _finish(self) -> None:
        self._file.write(chunk(b"IEND", b""))
        self._file.seek(self._control_at)
        self._file.write(self._control(self.count))  # only now is the number of frames known
        self._file.close()

    def _discard(self) -> None:
        self._file.close()
