# SPDX-License-Identifier: Apache-2.0
"""What every sink has in common: frames go in, one finished output comes out, or nothing."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from stillflow.video.colour import nv12_shape
from stillflow.video.destination import Destination

ByteArray = npt.NDArray[np.uint8]
log = logging.getLogger(__name__)


class Sink(ABC):
    """Takes the frames of one loop in order.

    ``write`` does all a frame needs. ``prepare`` and ``put`` are its two halves for callers with
    threads: ``prepare`` may run for several frames at once, ``put`` takes the results in order.

    Args:
        destination: where the bytes go.
        width: columns of a frame.
        height: rows of a frame.
    """

    takes_nv12 = False
    """Whether frames may also come as NV12, (3 H' / 2, W') uint8 (``stillflow.video.colour.nv12``)."""

    encoder = ""
    """FFmpeg's name of what encodes; "" where that is no choice."""

    encoder_why = ""
    """Why it is not the one that ``auto`` tries first; "" where it is, or was asked for."""

    def __init__(self, destination: Destination, width: int, height: int) -> None:
        self.destination = destination
        self.width = width
        self.height = height
        self.count = 0
        """Frames taken so far."""
        self._bytes: int | None = None
        self._over = False

    def write(self, frame: ByteArray) -> None:
        """Take the next frame. It may be overwritten as soon as this returns.

        Args:
            frame: (height, width, 3) uint8 RGB, or NV12 where ``takes_nv12`` says so.

        Raises:
            StillflowError: the output cannot be written (disk full, reader gone).
        """
        self.put(self.prepare(self.count, frame))

    def prepare(self, index: int, frame: ByteArray) -> Any:
        """Do what depends on this frame only; safe to call from several threads.

        Args:
            index: the frame's number from 0. Frame 0 must be prepared before any other begins: a
                palette and difference frames start from it.
            frame: (height, width, 3) uint8 RGB, or NV12 where ``takes_nv12`` says so; not kept.

        Raises:
            ValueError: the frame has another size or type.
        """
        fits = frame.shape == (self.height, self.width, 3) or (
            self.takes_nv12 and frame.shape == nv12_shape(self.height, self.width)
        )
        if not fits or frame.dtype != np.uint8:
            raise ValueError(
                f"a frame of shape {frame.shape} {frame.dtype} does not fit "
                f"({self.height}, {self.width}, 3) uint8"
            )
        return self._prepare(index, frame)

    def put(self, prepared: Any) -> None:
        """Take what ``prepare`` returned for the next frame."""
        if self._over:
            raise ValueError("this sink is closed")
        with self.destination.errors():
            self._put(prepared)
        self.count += 1

    def close(self) -> int:
        """Finish the output and give it its final name.

        Returns:
            Bytes written. A second call returns the same.

        Raises:
            StillflowError: the output cannot be written; nothing is left of it then.
            ValueError: the sink was aborted, or no frame was written.
        """
        if self._bytes is not None:
            return self._bytes
        if self._over:
            raise ValueError("this sink was aborted")
        try:
            if self.count == 0:
                raise ValueError("no frame was written")
            with self.destination.errors():
                self._finish()
                self._bytes = self.destination.commit()
        except BaseException:
            self.abort()
            raise
        self._over = True
        return self._bytes

    def abort(self) -> None:
        """Give up: remove everything written so far. Harmless after close or a second abort."""
        if self._over:
            return
        self._over = True
        try:
            self._discard()
        except Exception as error:  # the first error is the one to report; this is the clean-up after it
            log.debug("while giving up on %s: %s", self.destination.name, error)
        finally:
            self.destination.abort()

    def __enter__(self) -> Sink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.abort()
        else:
            self.close()

    @abstractmethod
    def _prepare(self, index: int, frame: ByteArray) -> Any:
        """Do the part that may run in parallel."""

    @abstractmethod
    def _put(self, prepared: Any) -> None:
        """Do the part that must run in order."""

    @abstractmethod
    def _finish(self) -> None:
        """Write what comes last; the destination is committed after this."""

    @abstractmethod
    def _discard(self) -> None:
        """Let go of files and encoders; the destination is removed after this."""
