# SPDX-License-Identifier: Apache-2.0
"""Memory of a lane that grows to what is asked of it, and arrays brought to a device and back through pinned memory."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from stillflow.errors import StillflowError
from stillflow.gpu.arrays import DeviceArray, device_array, ready_on
from stillflow.gpu.layer import CudaDevice, Memory, Pinned, Stream
from stillflow.gpu.trouble import OutOfMemoryError
from stillflow.sessions.session import Array

ALIGNMENT = 256
"""Bytes. What TensorRT asks of the memory it works in, and what cuMemAlloc gives."""

_NO_MEMORY = re.compile(r"out ?of ?memory|failed to allocate|alloc_failed", re.IGNORECASE)
"""How TensorRT, ONNX Runtime, cuDNN and cuBLAS say it."""

Shapes = Mapping[str, tuple[tuple[int, ...], "np.dtype[Any]"]]
"""Name -> shape and type."""


class DeviceRoom:
    """One piece of device memory that is as large as the largest thing that was put there.

    Args:
        cuda: the device.
    """

    def __init__(self, cuda: CudaDevice) -> None:
        self._cuda = cuda
        self._memory: Memory | None = None

    def fit(self, size: int, stream: Stream) -> int:
        """Make it large enough.

        Args:
            size: bytes wanted.
            stream: that all its work is in; waited for before the memory is replaced.

        Returns:
            Its address, a multiple of `ALIGNMENT`.

        Raises:
            OutOfMemoryError: then it holds nothing.
        """
        if self._memory is None or self._memory.size < size:
            if self._memory is not None:
                stream.synchronize()
                self.close()
            self._memory = self._cuda.allocate(size)
        return self._memory.address

    def place(self, shapes: Shapes, stream: Stream) -> dict[str, DeviceArray]:
        """Lay arrays one behind the other, each at a multiple of `ALIGNMENT`; the stream is to fill them."""
        offsets, end = {}, 0
        for name, (shape, dtype) in shapes.items():
            offsets[name] = end
            end += -(-(math.prod(shape) * dtype.itemsize) // ALIGNMENT) * ALIGNMENT
        start = self.fit(end, stream)
        return {
            name: DeviceArray(
                start + offsets[name], shape, dtype, self._cuda.index, stream.handle, self._memory
            )
            for name, (shape, dtype) in shapes.items()
        }

    def aligned(self, inputs: Mapping[str, DeviceArray], stream: Stream) -> dict[str, DeviceArray]:
        """The same arrays; those at an address that libraries do not take are copied here, in order of the stream."""
        ready = dict(inputs)
        astray = {n: (a.shape, a.dtype) for n, a in inputs.items() if a.address % ALIGNMENT}
        for name, array in (self.place(astray, stream) if astray else {}).items():
            self._cuda.copy(ready[name].address, array.address, array.nbytes, stream)
            ready[name] = array
        return ready

    def close(self) -> None:
        """Give it back; harmless twice."""
        memory, self._memory = self._memory, None
        if memory is not None:
            memory.close()


class _PinnedRoom:
    """The same in pinned memory of the host."""

    def __init__(self, cuda: CudaDevice) -> None:
        self._cuda = cuda
        self._pinned: Pinned | None = None

    def fit(self, size: int) -> Array:
        """(size,) uint8; nothing copies from or to it at that time."""
        if self._pinned is None or self._pinned.array.size < size:
            self.close()
            self._pinned = self._cuda.pin(size)
        return self._pinned.array[:size]

    def close(self) -> None:
        pinned, self._pinned = self._pinned, None
        if pinned is not None:
            pinned.close()


class Staging:
    """Brings arrays to a device and results back, over one stream. Used by one call at a time, which ends with `down`.

    Pageable memory would do too, but then the driver copies twice and the call waits for every single copy.

    Args:
        cuda: the device.
    """

    def __init__(self, cuda: CudaDevice) -> None:
        self._cuda = cuda
        self.stream = cuda.stream()
        self._up, self._down = _PinnedRoom(cuda), _PinnedRoom(cuda)
        self._room = DeviceRoom(cuda)

    def through(
        self,
        arrays: Mapping[str, Array],
        compute: Callable[[dict[str, DeviceArray]], Mapping[str, DeviceArray]],
    ) -> dict[str, Array]:
        """Bring arrays up, compute in order of the stream, and bring the results down."""
        try:
            return self.down(compute(self.up(arrays)))
        except BaseException:
            with suppress(StillflowError):
                self.stream.synchronize()  # what was enqueued still reads and writes the lane's memory
            raise

    def up(self, arrays: Mapping[str, Array]) -> dict[str, DeviceArray]:
        """Enqueue copies to the device.

        Args:
            arrays: C-contiguous; may be changed as soon as this returns.

        Returns:
            The same on the device, ready in order of the stream.
        """
        placed = self._room.place({n: (a.shape, a.dtype) for n, a in arrays.items()}, self.stream)
        pinned = self._up.fit(sum(array.nbytes for array in arrays.values()))
        start = 0
        for name, array in arrays.items():
            part = pinned[start : start + array.nbytes]
            part[:] = array.reshape(-1).view(np.uint8)
            self._cuda.upload(part, placed[name].address, self.stream)
            start += array.nbytes
        return placed

    def down(self, arrays: Mapping[str, DeviceArray]) -> dict[str, Array]:
        """Copy results from the device, and wait for them: new arrays."""
        pinned = self._down.fit(sum(array.nbytes for array in arrays.values()))
        parts, start = {}, 0
        for name, array in arrays.items():
            parts[name] = pinned[start : start + array.nbytes]
            self._cuda.download(array.address, parts[name], self.stream)
            start += array.nbytes
        self.stream.synchronize()
        return {n: parts[n].copy().view(arrays[n].dtype).reshape(arrays[n].shape) for n in arrays}

    def close(self) -> None:
        """Give everything back; the stream's work is done."""
        for part in (self._room, self._up, self._down, self.stream):
            part.close()


def refusal(what: str, why: str, fix: str) -> StillflowError:
    """An error with a library's own words; OutOfMemoryError where they say so."""
    kind = OutOfMemoryError if _NO_MEMORY.search(why) else StillflowError
    return kind(what, why, fix)


def arrays_on(
    cuda: CudaDevice, inputs: Mapping[str, Any], stream: Stream, graph: str
) -> dict[str, DeviceArray]:
    """Read anyone's arrays on a device, and let a stream wait for those that another one is writing.

    Args:
        cuda: the device.
        inputs: arrays by name, each a DeviceArray or what `stillflow.gpu.arrays.device_array` reads.
        stream: that will use them.
        graph: name for messages.

    Raises:
        StillflowError: one does not lie in one piece, or lies on another device.
    """
    ready = {}
    for name, given in inputs.items():
        array = device_array(given, stream)
        if array.device != cuda.index:
            why = f"the input '{name}' lies on cuda:{array.device}, the session runs on cuda:{cuda.index}"
            raise StillflowError(f"cannot run the graph {graph}", why, "copy it there first")
        ready_on(array, cuda, stream)
        ready[name] = array
    return ready
