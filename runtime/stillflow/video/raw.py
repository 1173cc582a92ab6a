# SPDX-License-Identifier: Apache-2.0
"""Raw RGB24: rows top down, 3 bytes a pixel, nothing between frames."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from stillflow.video.destination import Destination, StreamDestination
from stillflow.video.sink import Sink

ByteArray = npt.NDArray[np.uint8]


class RawSink(Sink):
    """Writes frames as they are, for ``ffmpeg -f rawvideo -pix_fmt rgb24 -s WxH -i -`` and the like.

    A pipe gets every frame at once. Repeats are copied from the file, or for a pipe from a nameless
    temporary file, since a pipe cannot be read back.

    Args:
        destination: a file or a stream.
        width: columns of a frame.
        height: rows of a frame.
        loops: how often the loop is written.
    """

    def __init__(self, destination: Destination, *, width: int, height: int, loops: int) -> None:
        super().__init__(destination, width, height)
        self._loops = loops
        self._stream = destination if isinstance(destination, StreamDestination) else None
        self._file: IO[Any] | None = None
        with destination.errors():
            if self._stream is None:
                self._file = open(Path(destination.path), "wb", buffering=0)  # noqa: SIM115 (open until the last frame)
            elif loops > 1:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115

    def _prepare(self, index: int, frame: ByteArray) -> bytes:
        return frame.tobytes()

    def _put(self, prepared: bytes) -> None:
        if self._stream is not None:
            self._stream.send(prepared)
        if self._file is not None:
            rest = memoryview(prepared)
            while rest:
                rest = rest[self._file.write(rest) :]

    def _finish(self) -> None:
        if self._file is None:
            return
        length = self._file.tell()
        for _ in range(1, self._loops):
            if self._stream is not None:
                self._file.seek(0)
                while block := self._file.read(1 << 20):
                    self._stream.send(block)
            else:
                with open(Path(self.destination.path), "rb") as source:
                    # The file grows while it is read, so the first loop is copied by its length.
                    _copy(source, self._file, length)
        self._file.close()

    def _discard(self) -> None:
        if self._file is not None:
            self._file.close()


def _copy(source: IO[Any], target: IO[Any], length: int) -> None:
    while length > 0:
        rest = memoryview(source.read(min(length, 1 << 20)))
        length -= len(rest)
        while rest:
            rest = rest[target.write(rest) :]
