# SPDX-License-Identifier: Apache-2.0
"""Memory, streams, events and kernels of the layer as PyCUDA's objects.

PyCUDA gives nothing back in a thread where its context is not current, it only warns: whatever is closed here is
closed with the context pushed. Each object hands out PyCUDA's own, for the host program's calls.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.gpu.layer import THREADS, Argument, Event, Stream

if TYPE_CHECKING:
    from stillflow.gpu.pycuda import PycudaDevice


class PycudaMemory:
    """See `layer.Memory`."""

    def __init__(self, device: PycudaDevice, size: int) -> None:
        self._device = device
        self.size = max(1, size)
        with device.calling(f"{self.size / 2**20:.1f} MiB"):
            self._allocation: Any = device.driver.mem_alloc(self.size)
        self.address = int(self._allocation)

    @property
    def allocation(self) -> Any:
        """The pycuda.driver.DeviceAllocation.

        Raises:
            StillflowError: it was given back.
        """
        return _there(self._allocation, "device memory")

    def close(self) -> None:
        allocation, self._allocation = self._allocation, None
        if allocation is not None:
            self.address = self.size = 0
            self._device.give_back(allocation.free)


class PycudaPinned:
    """See `layer.Pinned`."""

    def __init__(self, device: PycudaDevice, size: int) -> None:
        self._device = device
        size = max(1, size)
        flags = device.driver.host_alloc_flags
        with device.calling(f"{size / 2**20:.1f} MiB of pinned memory"):
            self.array: npt.NDArray[np.uint8] = device.driver.pagelocked_empty(
                size, np.uint8, mem_flags=flags.PORTABLE | flags.DEVICEMAP
            )
        self._allocation: Any = self.array.base
        self.address = int(self.array.ctypes.data)
        self.device_address: int | None = None
        # Refused by a context without the flag MAP_HOST, on a device without one address space.
        with device.current(), suppress(device.driver.Error):
            self.device_address = int(self._allocation.get_device_pointer())

    def close(self) -> None:
        allocation, self._allocation = self._allocation, None
        if allocation is not None:
            self.array = np.empty(0, np.uint8)
            self.device_address = None
            # Freed, not dropped: a view of it that somebody still holds would keep it.
            self._device.give_back(allocation.free)


class PycudaEvent:
    """See `layer.Event`."""

    def __init__(self, device: PycudaDevice, timing: bool) -> None:
        self._device = device
        flags = device.driver.event_flags
        with device.calling():
            self._event: Any = device.driver.Event(flags.DEFAULT if timing else flags.DISABLE_TIMING)

    @property
    def event(self) -> Any:
        """The pycuda.driver.Event."""
        return _there(self._event, "event")

    def record(self, stream: Stream) -> None:
        with self._device.calling():
            self.event.record(stream_of(stream))

    def synchronize(self) -> None:
        with self._device.calling():
            self.event.synchronize()

    @property
    def done(self) -> bool:
        with self._device.calling():
            return bool(self.event.query())

    def since(self, start: Event) -> float:
        with self._device.calling():
            return float(self.event.time_since(_own(start, PycudaEvent).event))

    def close(self) -> None:
        held, self._event = [self._event], None
        if held[0] is not None:
            self._device.give_back(held.clear)


class PycudaStream:
    """See `layer.Stream`: one of PyCUDA's, the host's or one made here; or the default stream, which has no object."""

    def __init__(self, device: PycudaDevice, stream: Any) -> None:
        self._device = device
        self._stream = stream
        self.handle = 0 if stream is None else int(stream.handle)

    @property
    def stream(self) -> Any:
        """The pycuda.driver.Stream; None for the default stream, as PyCUDA's own calls have it."""
        return None if self.handle == 0 else _there(self._stream, "stream")

    def __cuda_stream__(self) -> tuple[int, int]:
        """For libraries that take any stream: version of the protocol, and the handle."""
        return 0, self.handle

    def wait(self, event: Event) -> None:
        """See `layer.Stream.wait`. The default stream lets the caller wait: PyCUDA has no call for it."""
        awaited = _own(event, PycudaEvent).event
        with self._device.calling():
            if self.handle == 0:
                awaited.synchronize()
            else:
                self.stream.wait_for_event(awaited)

    def synchronize(self) -> None:
        with self._device.calling():
            if self.handle == 0:
                self._device.driver.Event().record(None).synchronize()
            else:
                self.stream.synchronize()

    def close(self) -> None:
        # PyCUDA destroys a stream with its last reference; the host has one of its own.
        held, self._stream = [self._stream], None
        if held[0] is not None:
            self._device.give_back(held.clear)


class PycudaKernels:
    """See `layer.Kernels`."""

    def __init__(self, device: PycudaDevice, source: Path, code: bytes) -> None:
        self._device = device
        self._name = source.name
        self._found: dict[str, Any] = {}
        with device.calling(self._name):
            self._module: Any = device.driver.module_from_buffer(code)

    def launch(self, kernel: str, items: int, stream: Stream, *arguments: Argument) -> None:
        if items <= 0:
            return
        packed = pack(arguments)
        with self._device.calling(f"{kernel} of {self._name}"):
            found = self._found.get(kernel) or self._find(kernel, len(packed))
            blocks = (-(-items // THREADS), 1)
            found.prepared_async_call(blocks, (THREADS, 1, 1), stream_of(stream), packed)

    def _find(self, kernel: str, size: int) -> Any:
        found = _there(self._module, f"module of {self._name}").get_function(kernel)
        # One field of bytes: they are laid out here, since PyCUDA aligns no structures.
        self._found[kernel] = found.prepare([f"{size}s"])
        return found

    def close(self) -> None:
        held, self._module = [self._module, *self._found.values()], None
        self._found.clear()
        if held[0] is not None:
            self._device.give_back(held.clear)


def pack(arguments: tuple[Argument, ...]) -> bytes:
    """Lay a kernel's arguments out in one piece as CUDA has them: each at a multiple of its alignment.

    Args:
        arguments: in the kernel's order and of its types.
    """
    packed = bytearray()
    for argument in arguments:
        packed.extend(bytes(-len(packed) % ctypes.alignment(argument)))
        packed.extend(bytes(argument))
    return bytes(packed)


def stream_of(stream: Stream) -> Any:
    """Return the pycuda.driver.Stream of a stream of the layer; None for the default stream."""
    return _own(stream, PycudaStream).stream


def _own(thing: Any, kind: type[Any]) -> Any:
    if not isinstance(thing, kind):
        raise TypeError(f"{type(thing).__name__} was made by another provider than PyCUDA")
    return thing


def _there(thing: Any, name: str) -> Any:
    if thing is None:
        raise StillflowError(f"cannot use this {name}", "it was given back", "make another one")
    return thing
