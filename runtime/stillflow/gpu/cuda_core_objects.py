# SPDX-License-Identifier: Apache-2.0
"""What a GPU through cuda-core makes: memory, events, streams, graphs and kernels; see gpu/layer.py."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.gpu import layer
from stillflow.gpu.compiled import cubin_of

if TYPE_CHECKING:
    from stillflow.gpu.cuda_core import CudaCoreDevice

_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING
_NO_TIMING = 2  # CU_EVENT_DISABLE_TIMING

PINNED: dict[int, int] = {}
"""Pinned memory of this process, whichever device took it: where it begins, and its bytes."""


class CudaCoreMemory:
    """See `layer.Memory`."""

    def __init__(self, device: CudaCoreDevice, size: int) -> None:
        self._device = device
        self.size = max(1, size)
        self.address, self._room = device.spare.take(self.size)

    def close(self) -> None:
        address, self.address, self.size = self.address, 0, 0
        if address:
            self._device.spare.put(address, self._room)


class CudaCorePinned:
    """See `layer.Pinned`."""

    def __init__(self, device: CudaCoreDevice, size: int) -> None:
        self._device = device
        size = max(1, size)
        self.address, self._room = device.spare_pinned.take(size)
        PINNED[self.address] = size
        place = (ctypes.c_uint8 * size).from_address(self.address)
        self.array: npt.NDArray[np.uint8] = np.ctypeslib.as_array(place)
        self.device_address: int | None = None
        with device.current():
            status, address = device.driver.cuMemHostGetDevicePointer(self.address, 0)
            if not status:
                self.device_address = int(address)

    def close(self) -> None:
        address, self.address = self.address, 0
        if address:
            self.array = np.empty(0, np.uint8)
            self.device_address = None
            del PINNED[address]
            self._device.spare_pinned.put(address, self._room)


class CudaCoreEvent:
    """See `layer.Event`."""

    def __init__(self, device: CudaCoreDevice, timing: bool) -> None:
        self._device = device
        self._event: Any = device.call("cuEventCreate", 0 if timing else _NO_TIMING)

    def record(self, stream: layer.Stream) -> None:
        self._device.call("cuEventRecord", self._event, stream.handle)

    def synchronize(self) -> None:
        self._device.call("cuEventSynchronize", self._event)

    @property
    def done(self) -> bool:
        with self._device.current():
            (status,) = self._device.driver.cuEventQuery(self._event)
        if status == 600:  # CUDA_ERROR_NOT_READY
            return False
        self._device.check("cuEventQuery", status)
        return True

    def since(self, start: layer.Event) -> float:
        assert isinstance(start, CudaCoreEvent)
        return float(self._device.call("cuEventElapsedTime", start._event, self._event))

    def wait_in(self, stream: Any) -> None:
        """Let a stream wait for it."""
        self._device.call("cuStreamWaitEvent", stream, self._event, 0)

    def close(self) -> None:
        event, self._event = self._event, None
        if event is not None:
            self._device.give_back("cuEventDestroy", event)


class CudaCoreStream:
    """See `layer.Stream`."""

    def __init__(self, device: CudaCoreDevice, adopted: int | None = None, owner: object = None) -> None:
        self._device = device
        self._owner = owner
        self._own = adopted is None
        self.handle = int(device.call("cuStreamCreate", _NON_BLOCKING)) if adopted is None else adopted
        self._open = True

    def __cuda_stream__(self) -> tuple[int, int]:
        """For libraries that take any stream: version of the protocol, and the handle."""
        return 0, self.handle

    def wait(self, event: layer.Event) -> None:
        assert isinstance(event, CudaCoreEvent)
        event.wait_in(self.handle)

    def synchronize(self) -> None:
        self._device.call("cuStreamSynchronize", self.handle)

    def close(self) -> None:
        if self._open and self._own:
            self._open = False
            self._device.give_back("cuStreamDestroy", self.handle)
        self._open, self._owner = False, None


class CudaCoreGraph:
    """See `layer.Graph`."""

    def __init__(self, device: CudaCoreDevice, executable: Any) -> None:
        self._device = device
        self._executable = executable

    def launch(self, stream: layer.Stream) -> None:
        self._device.call("cuGraphLaunch", self._executable, stream.handle)

    def close(self) -> None:
        executable, self._executable = self._executable, None
        if executable is not None:
            self._device.give_back("cuGraphExecDestroy", executable)


class CudaCoreRecording:
    """See `layer.Recording`."""

    def __init__(self) -> None:
        self.made: CudaCoreGraph | None = None

    @property
    def graph(self) -> CudaCoreGraph:
        if self.made is None:
            raise StillflowError(
                "there is no graph yet", "the recording is not at its end", "take it after the block"
            )
        return self.made


class CudaCoreKernels:
    """See `layer.Kernels`."""

    def __init__(self, device: CudaCoreDevice, source: Path) -> None:
        self._device = device
        self._name = source.name
        self._code = cubin_of(source, device.architecture)
        self._module: Any = device.call("cuModuleLoadData", self._code)
        self._found: dict[str, Any] = {}

    @property
    def closed(self) -> bool:
        """Whether they were unloaded."""
        return self._module is None

    def launch(self, kernel: str, items: int, stream: layer.Stream, *arguments: layer.Argument) -> None:
        if items <= 0:
            return
        device = self._device
        found = self._found.get(kernel) or self._find(kernel, arguments)
        pointers = (ctypes.c_void_p * len(arguments))(*map(ctypes.addressof, arguments))
        with device.current():
            (status,) = device.driver.cuLaunchKernel(
                found, -(-items // layer.THREADS), 1, 1, layer.THREADS, 1, 1, 0, stream.handle,
                ctypes.addressof(pointers), 0,
            )  # fmt: skip
        if status:
            device.check("cuLaunchKernel", status, f"{kernel} of {self._name}")

    def _find(self, kernel: str, arguments: tuple[layer.Argument, ...]) -> Any:
        device = self._device
        found = device.call(
            "cuModuleGetFunction", self._module, kernel.encode(), wanted=f"{kernel} of {self._name}"
        )
        # Drivers before 12.4 have neither of these calls.
        with suppress(Exception), device.current():
            # Loaded now and not at its first launch, which may be one that is only recorded.
            device.driver.cuFuncLoad(found)
        sizes = self._sizes(found)
        if sizes and sizes != [ctypes.sizeof(argument) for argument in arguments]:
            raise TypeError(f"{kernel} takes arguments of {sizes} bytes, not {arguments}")
        self._found[kernel] = found
        return found

    def _sizes(self, kernel: Any) -> list[int]:
        """Bytes of a kernel's arguments; none where the driver does not tell."""
        sizes: list[int] = []
        with suppress(Exception), self._device.current():
            while True:
                status, _, size = self._device.driver.cuFuncGetParamInfo(kernel, len(sizes))
                if status:
                    break
                sizes.append(int(size))
        return sizes

    def close(self) -> None:
        module, self._module = self._module, None
        self._found.clear()
        if module is not None:
            self._device.give_back("cuModuleUnload", module)
