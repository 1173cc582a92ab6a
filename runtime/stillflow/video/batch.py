# SPDX-License-Identifier: Apache-2.0
"""Several outputs that appear together: all of them complete, or none."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

from stillflow.video.destination import Destination
from stillflow.video.sink import Sink


class Batch:
    """Holds finished outputs back under their hidden names until all are there.

    Use it as a context manager: leaving it without ``commit`` removes everything that was held.
    """

    def __init__(self) -> None:
        self._ready: list[Destination] = []

    def hold(self, sink: Sink) -> Sink:
        """Make an open sink wait for the others: closing it finishes its output, but does not name it yet.

        Args:
            sink: of a file or a folder; nothing was written to it so far.
        """
        sink.destination = _Held(sink.destination, self._ready)
        return sink

    def commit(self) -> list[int]:
        """Give all held outputs their names; return their sizes in bytes, in the order they were finished.

        Raises:
            StillflowError: the system refuses one; it and those after it are removed.
        """
        sizes = []
        while self._ready:
            with self._ready[0].errors():
                sizes.append(self._ready[0].commit())
            del self._ready[0]
        return sizes

    def __enter__(self) -> Batch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._ready:
            self._ready.pop().abort()


class _Held(Destination):
    """A destination whose commit puts it into a list instead."""

    def __init__(self, inner: Destination, ready: list[Destination]) -> None:
        self.name = inner.name
        self.path = inner.path
        self._inner = inner
        self._ready = ready

    def commit(self) -> int:
        size = _size(self.path)
        self._ready.append(self._inner)
        return size

    def abort(self) -> None:
        if self._inner not in self._ready:
            self._inner.abort()


def _size(path: Path) -> int:
    """Bytes of a file, or of the files in a folder; a file is brought to the disk, where "disk full" may show late."""
    if path.is_dir():
        return sum(entry.stat().st_size for entry in path.iterdir())
    with open(path, "rb") as file:
        os.fsync(file.fileno())
    return path.stat().st_size
