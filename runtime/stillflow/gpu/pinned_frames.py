# SPDX-License-Identifier: Apache-2.0
"""Frames in pinned memory of the host that look like any NumPy array and are used again when nobody holds them."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.gpu.layer import CudaDevice, Pinned

ByteArray = npt.NDArray[np.uint8]


class PinnedFrames:
    """Hands out arrays in pinned memory, and knows them when they come back.

    Pinning takes about as long as making a frame, so memory is kept until ``close``. Any thread may use it.

    Args:
        device: that copies into them.
    """

    def __init__(self, device: CudaDevice) -> None:
        self._device = device
        self._lock = threading.Lock()
        self._free: dict[int, list[Pinned]] = {}
        self._known: dict[int, Pinned] = {}
        self._back: deque[Pinned] = deque()
        self._closed = False

    def array(self, shape: Sequence[int]) -> ByteArray:
        """A uint8 array of this shape; what is in it is anything.

        Its memory is used again when it and all views of it are gone.

        Raises:
            OutOfMemoryError: no more memory can be pinned.
        """
        size = math.prod(shape)
        with self._lock:
            self._collect()
            free = self._free.get(size)
            pinned = free.pop() if free else None
            if pinned is None:
                pinned = self._device.pin(size)
                self._known[pinned.address] = pinned
        return np.asarray(_Held(self, pinned, tuple(shape)))

    def holds(self, array: ByteArray) -> Pinned | None:
        """The pinned memory that an array fills from its first byte on; None for any other array."""
        pinned = self._known.get(array.ctypes.data)
        return pinned if pinned is not None and array.flags.c_contiguous else None

    def close(self) -> None:
        """Give memory back: what is free now, the rest when its arrays are gone."""
        with self._lock:
            self._closed = True
            self._collect()
            for free in self._free.values():
                for pinned in free:
                    self._let_go(pinned)
            self._free.clear()

    def returned(self, pinned: Pinned) -> None:
        """An array is gone. Called by the collector, in any thread at any moment: nothing is done here yet."""
        self._back.append(pinned)
        if self._closed:  # nobody asks for arrays any more, so nobody else would
            with suppress(IndexError):
                self._let_go(self._back.popleft())

    def _collect(self) -> None:
        while self._back:
            pinned = self._back.popleft()
            self._free.setdefault(pinned.array.nbytes, []).append(pinned)

    def _let_go(self, pinned: Pinned) -> None:
        self._known.pop(pinned.address, None)
        with suppress(StillflowError):
            pinned.close()


class _Held:
    """Pinned memory as NumPy reads it; arrays made of it, and their views, keep this object alive."""

    def __init__(self, frames: PinnedFrames, pinned: Pinned, shape: tuple[int, ...]) -> None:
        self._frames, self._pinned = frames, pinned
        self.__array_interface__: dict[str, Any] = {
            "shape": shape,
            "typestr": "|u1",
            "data": (pinned.array.ctypes.data, False),
            "version": 3,
        }

    def __del__(self) -> None:
        self._frames.returned(self._pinned)
