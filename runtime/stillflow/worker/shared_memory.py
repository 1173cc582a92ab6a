# SPDX-License-Identifier: Apache-2.0
"""Frames in shared memory that the client made: slots in turn, none before the client is done with it."""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.worker.requests import Memory

try:
    # multiprocessing.shared_memory would remove the client's memory when this process ends (before Python 3.13).
    import _posixshmem  # type: ignore[import-not-found]
except ImportError:  # Windows
    _posixshmem = None

ALIGNMENT = 64
"""Bytes; every slot begins at a multiple of it."""

AVAILABLE = _posixshmem is not None


class Slots:
    """A client's shared memory.

    Args:
        memory: what the client said of it.
        frame_bytes: of each frame.

    Raises:
        StillflowError: there is none of that name, it is smaller than the client says, or a frame does not fit.
    """

    def __init__(self, memory: Memory, frame_bytes: int) -> None:
        what = f"cannot use the shared memory {memory.name!r}"
        self._slot_bytes = memory.bytes // memory.slots // ALIGNMENT * ALIGNMENT
        if frame_bytes > self._slot_bytes:
            why = f"a frame has {frame_bytes} bytes and each of {memory.slots} slots {self._slot_bytes}"
            raise StillflowError(
                what, why, f"make it {memory.slots * (frame_bytes + ALIGNMENT)} bytes, or use fewer slots"
            )
        if _posixshmem is None:
            raise StillflowError(
                what, "this system has no POSIX shared memory", "leave memory out of the request"
            )
        try:
            file = _posixshmem.shm_open("/" + memory.name.lstrip("/"), os.O_RDWR, mode=0o600)
        except OSError as error:
            raise StillflowError(
                what, str(error.strerror), "create it with shm_open before the request"
            ) from error
        try:
            size = os.fstat(file).st_size
            # Beyond its end a mapping can be written to as little as not mapped memory: the process would be killed.
            if size < memory.bytes:
                raise StillflowError(
                    what, f"it has {size} bytes, not {memory.bytes}", "set its size with ftruncate"
                )
            self._map = mmap.mmap(file, memory.bytes)
        finally:
            os.close(file)
        self._slots = memory.slots
        self._view: npt.NDArray[np.uint8] = np.frombuffer(self._map, np.uint8)
        self._changed = threading.Condition()
        self._held: dict[int, int] = {}  # slot -> index of the frame in it

    def put(self, index: int, data: npt.NDArray[np.uint8], check: Callable[[], None]) -> int:
        """Copy a frame to its slot, when the client is done with what lies there.

        Args:
            index: of the frame.
            data: flat uint8.
            check: called now and then while waiting; raises to give up.

        Returns:
            Where it lies, in bytes from the memory's start.
        """
        slot = index % self._slots
        with self._changed:
            while slot in self._held:
                check()
                self._changed.wait(0.05)
            self._held[slot] = index
        offset = slot * self._slot_bytes
        self._view[offset : offset + data.size] = data
        return offset

    def free(self, index: int) -> None:
        """The client is done with a frame; what it says of one that is not there any more, or not yet, is ignored."""
        with self._changed:
            if self._held.get(index % self._slots) == index:
                del self._held[index % self._slots]
                self._changed.notify_all()

    def close(self) -> None:
        """Unmap; the memory stays the client's."""
        del self._view
        self._map.close()
