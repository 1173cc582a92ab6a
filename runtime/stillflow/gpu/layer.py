# SPDX-License-Identifier: Apache-2.0
"""The few calls that stillflow makes of CUDA, whichever library answers them.

Two providers do: ``cuda_core`` (streams, events, graphs, NVRTC) and ``pycuda``, for programs that hold a PyCUDA
context already; it offers no graphs. No other module names either library. Sizes are bytes, addresses are numbers as
CUDA has them, and everything that takes a stream returns before the work is done.
"""

from __future__ import annotations

import ctypes
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, Union

import numpy as np
import numpy.typing as npt

from stillflow.gpu.description import Gpu

THREADS = 256
"""Threads of a block; every kernel does one item a thread."""

Argument = Union[ctypes.c_void_p, ctypes.c_int, ctypes.c_float, ctypes.c_double, ctypes.Structure]
"""What a kernel takes; null is ``c_void_p()``."""

AnyArray = npt.NDArray[np.generic]


class Memory(Protocol):
    """A piece of device memory."""

    @property
    def address(self) -> int:
        """Where it begins."""

    @property
    def size(self) -> int:
        """Bytes."""

    def close(self) -> None:
        """Give it back; harmless twice. Work that uses it must be done: nothing waits here."""


class Pinned(Protocol):
    """Memory of the host that the device copies from and to by itself."""

    @property
    def array(self) -> npt.NDArray[np.uint8]:
        """(size,) uint8, all of it; valid until it is closed."""

    @property
    def address(self) -> int:
        """Where it begins for the host."""

    @property
    def device_address(self) -> int | None:
        """Where kernels find the same bytes; None where the device cannot reach them."""

    def close(self) -> None:
        """Give it back; harmless twice."""


class Event(Protocol):
    """A point in a stream."""

    def record(self, stream: Stream) -> None:
        """Set the point after all that the stream was given so far."""

    def synchronize(self) -> None:
        """Wait, without the interpreter's lock, until the point is passed; at once if it was never set."""

    @property
    def done(self) -> bool:
        """Whether it is passed."""

    def since(self, start: Event) -> float:
        """Milliseconds from another event to this one; both were made with ``timing`` and are passed."""

    def close(self) -> None:
        """Give it back; harmless twice."""


class Stream(Protocol):
    """Work in order."""

    @property
    def handle(self) -> int:
        """CUstream."""

    def wait(self, event: Event) -> None:
        """Let what comes after this call wait for an event."""

    def synchronize(self) -> None:
        """Wait, without the interpreter's lock, until everything in it is done."""

    def close(self) -> None:
        """Give it back if it was made here; a stream of the host program stays."""


class Graph(Protocol):
    """Work that was recorded once and is started in one call."""

    def launch(self, stream: Stream) -> None:
        """Do it all again, in order of the stream."""

    def close(self) -> None:
        """Give it back; harmless twice."""


class Recording(Protocol):
    """What a capture ends with."""

    @property
    def graph(self) -> Graph:
        """The graph; only after the capture's block was left."""


class Kernels(Protocol):
    """Compiled kernels of one source, on one device."""

    def launch(self, kernel: str, items: int, stream: Stream, *arguments: Argument) -> None:
        """Run a kernel, one thread an item.

        Args:
            kernel: its name in the source.
            items: threads wanted; nothing happens for 0 or fewer.
            stream: that orders it.
            arguments: in the kernel's order and of its types; read before this returns.

        Raises:
            StillflowError: there is no such kernel, or the device refuses.
        """

    def close(self) -> None:
        """Unload them; harmless twice."""


class CudaDevice(Protocol):
    """One GPU. May be used from several threads at once; the objects that it makes by one thread at a time.

    Attributes are read only. Every call raises StillflowError when the device refuses; ``stillflow.gpu.trouble`` has
    the kinds that a caller may act on (out of memory, a lost device).
    """

    @property
    def provider(self) -> str:
        """Which library and version answers, such as "cuda-core 1.2.2"."""

    @property
    def index(self) -> int:
        """As CUDA counts devices."""

    @property
    def gpu(self) -> Gpu:
        """What it is."""

    @property
    def architecture(self) -> str:
        """For the compiler, such as "sm_87"."""

    @property
    def primary(self) -> bool:
        """Whether its context is the device's primary one, the only one that libraries on CUDA's runtime use."""

    @property
    def graphs(self) -> bool:
        """Whether ``capture`` works."""

    def current(self) -> AbstractContextManager[None]:
        """Make its context current in this thread for a block: for libraries that expect that (TensorRT, encoders)."""

    def allocate(self, size: int) -> Memory:
        """Device memory, of one byte at least; what is in it is anything."""

    def pin(self, size: int) -> Pinned:
        """Pinned memory of the host, mapped where the device shares the host's memory."""

    def stream(self) -> Stream:
        """A new stream that waits for no other."""

    def adopt(self, stream: Any) -> Stream:
        """A stream of the host program: a handle, what has ``__cuda_stream__``, or a PyCUDA stream."""

    def event(self, *, timing: bool = False) -> Event:
        """A new event, not set."""

    def upload(self, array: AnyArray, address: int, stream: Stream) -> None:
        """Copy a C-contiguous array to the device.

        Memory that is pinned must stay as it is until the stream has done it; other memory may be changed at once.
        """

    def download(self, address: int, array: AnyArray, stream: Stream) -> None:
        """Copy from the device into a C-contiguous array; it is there after ``stream.synchronize()``."""

    def copy(self, source: int, target: int, size: int, stream: Stream) -> None:
        """Copy on the device."""

    def clear(self, address: int, size: int, stream: Stream) -> None:
        """Set bytes to 0."""

    def kernels(self, source: Path) -> Kernels:
        """Compile a CUDA source for this device (or take it from the cache) and load it; each source once a device."""

    def capture(self, stream: Stream) -> AbstractContextManager[Recording]:
        """Record what the stream is given in a block instead of doing it.

        Raises:
            StillflowError: this provider has no graphs.
        """

    def memory(self) -> tuple[int, int]:
        """Bytes of device memory that are free, and all."""

    def trim(self) -> None:
        """Give memory back to the driver that is kept for whoever wants as much next; ``memory`` counts it as free."""

    def close(self) -> None:
        """Unload kernels and let the context go; harmless twice. What was made by the device is closed before."""
