# SPDX-License-Identifier: Apache-2.0
"""PNG sequence: one numbered file a frame, lossless."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.video.destination import Destination, FolderDestination, PatternDestination
from stillflow.video.sink import Sink

ByteArray = npt.NDArray[np.uint8]

DEFAULT_NAME = "frame_%04d.png"
PATTERN = re.compile(r"%0?\d*d")
PNG_LEVEL = 1
"""zlib level: on photographs higher ones take longer and save next to nothing."""


def png_bytes(frame: ByteArray) -> bytes:
    """Compress a picture, (H, W, 3) uint8 RGB, as PNG."""
    done, data = cv2.imencode(
        ".png", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL]
    )
    if not done:
        raise RuntimeError("OpenCV could not write a PNG into memory")
    return bytes(data.tobytes())


def sequence_destination(path: str) -> tuple[Destination, str]:
    """Split what the user gave into a place for the files and a pattern for their names.

    Args:
        path: a folder ("frames/", made if missing), or a pattern ("frames/%04d.png").

    Raises:
        StillflowError: the pattern has no number, or more than one, or the place cannot be written.
    """
    head, tail = os.path.split(path)
    if "%" not in path:
        return FolderDestination(Path(path), path), DEFAULT_NAME
    if len(PATTERN.findall(tail)) != 1 or tail.count("%") != 1 or "%" in head:
        raise StillflowError(
            f"cannot number files like {path}",
            "the file name, and only it, must have exactly one place for the number",
            "write it like frames/%04d.png",
        )
    if head and not os.path.exists(head):
        return FolderDestination(Path(head), path), tail
    return PatternDestination(Path(head or "."), path), tail


class SequenceSink(Sink):
    """Writes numbered PNG files, from 0. Compression runs in the player's lanes.

    Args:
        destination: the folder to fill.
        pattern: name of a file, with one %d.
        width: columns of a frame.
        height: rows of a frame.
        loops: how often the loop is in the sequence; repeats are copies of the files,
            not links, so that editing one changes one.
    """

    def __init__(
        self, destination: Destination, pattern: str, *, width: int, height: int, loops: int
    ) -> None:
        super().__init__(destination, width, height)
        self._pattern = pattern
        self._loops = loops

    def _name(self, index: int) -> Path:
        return self.destination.path / (self._pattern % index)

    def _prepare(self, index: int, frame: ByteArray) -> bytes:
        return png_bytes(frame)

    def _put(self, prepared: bytes) -> None:
        self._name(self.count).write_bytes(prepared)

    def _finish(self) -> None:
        for index in range(self.count, self.count * self._loops):
            shutil.copyfile(self._name(index % self.count), self._name(index))

    def _discard(self) -> None:
        pass
