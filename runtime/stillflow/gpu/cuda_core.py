# SPDX-License-Identifier: Apache-2.0
"""The CUDA layer on cuda-core and the bindings of the driver that it brings.

Calls go to the bindings: cuda-core's own objects belong to one thread and leave their context current, and a guest in
somebody's program puts back what was there. The device's primary context is used, which is the one that TensorRT,
ONNX Runtime and PyTorch use too.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.gpu import layer
from stillflow.gpu.compiled import cubin_of
from stillflow.gpu.description import Gpu, find_gpu
from stillflow.gpu.trouble import LostDeviceError, refusal

_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING
_NO_TIMING = 2  # CU_EVENT_DISABLE_TIMING
_PORTABLE_MAPPED = 1 | 2  # CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP


class _Current:
    """Makes a context current for a block, and then what was current before; nothing where it is current already."""

    __slots__ = ("_device", "_pushed")

    def __init__(self, device: CudaCoreDevice) -> None:
        self._device = device
        self._pushed = False

    def __enter__(self) -> None:
        device = self._device
        status, now = device.driver.cuCtxGetCurrent()
        if status:
            device.check("cuCtxGetCurrent", status)
        if int(now) != device.context_number:
            (status,) = device.driver.cuCtxPushCurrent(device.context)
            device.check("cuCtxPushCurrent", status)
            self._pushed = True

    def __exit__(self, *_: object) -> None:
        if self._pushed:
            self._device.driver.cuCtxPopCurrent()


class _Memory:
    """See `layer.Memory`."""

    def __init__(self, device: CudaCoreDevice, size: int) -> None:
        self._device = device
        self.size = max(1, size)
        self.address = int(device.call("cuMemAlloc", self.size, wanted=f"{self.size / 2**20:.1f} MiB"))

    def close(self) -> None:
        address, self.address, self.size = self.address, 0, 0
        if address:
            self._device.give_back("cuMemFree", address)


class _Pinned:
    """See `layer.Pinned`."""

    def __init__(self, device: CudaCoreDevice, size: int) -> None:
        self._device = device
        size = max(1, size)
        wanted = f"{size / 2**20:.1f} MiB of pinned memory"
        self.address = int(device.call("cuMemHostAlloc", size, _PORTABLE_MAPPED, wanted=wanted))
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
            self._device.give_back("cuMemFreeHost", address)


class _Event:
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
        assert isinstance(start, _Event)
        return float(self._device.call("cuEventElapsedTime", start._event, self._event))

    def wait_in(self, stream: Any) -> None:
        """Let a stream wait for it."""
        self._device.call("cuStreamWaitEvent", stream, self._event, 0)

    def close(self) -> None:
        event, self._event = self._event, None
        if event is not None:
            self._device.give_back("cuEventDestroy", event)


class _Stream:
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
        assert isinstance(event, _Event)
        event.wait_in(self.handle)

    def synchronize(self) -> None:
        self._device.call("cuStreamSynchronize", self.handle)

    def close(self) -> None:
        if self._open and self._own:
            self._open = False
            self._device.give_back("cuStreamDestroy", self.handle)
        self._open, self._owner = False, None


class _Graph:
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


class _Recording:
    """See `layer.Recording`."""

    def __init__(self) -> None:
        self.made: _Graph | None = None

    @property
    def graph(self) -> _Graph:
        if self.made is None:
            raise StillflowError(
                "there is no graph yet", "the recording is not at its end", "take it after the block"
            )
        return self.made


class _Kernels:
    """See `layer.Kernels`."""

    def __init__(self, device: CudaCoreDevice, source: Path) -> None:
        self._device = device
        self._name = source.name
        self._code = cubin_of(source, device.architecture)
        self._module: Any = device.call("cuModuleLoadData", self._code)
        self._found: dict[str, Any] = {}

    def launch(self, kernel: str, items: int, stream: layer.Stream, *arguments: layer.Argument) -> None:
        if items <= 0:
            return
        device = self._device
        found = self._found.get(kernel) or self._find(kernel, arguments)
        pointers = (ctypes.c_void_p * len(arguments))(*map(ctypes.addressof, arguments))
        with _Current(device):
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
        with suppress(Exception), _Current(device):
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
        with suppress(Exception), _Current(self._device):
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


class CudaCoreDevice:
    """One GPU through cuda-core; see `layer.CudaDevice`. Made by `open_device`."""

    graphs = True
    primary = True

    def __init__(self, driver: Any, version: str, index: int, gpu: Gpu) -> None:
        self.driver = driver
        self.provider = f"cuda-core {version}"
        self.index = index
        self.gpu = gpu
        self.architecture = "sm_" + gpu.compute_capability.replace(".", "")
        self._kernels: dict[Path, _Kernels] = {}
        self._loading = threading.Lock()
        self.check("cuInit", *driver.cuInit(0))
        status, device = driver.cuDeviceGet(index)
        self.check("cuDeviceGet", status, f"device {index}")
        status, self.context = driver.cuDevicePrimaryCtxRetain(device)
        self.check("cuDevicePrimaryCtxRetain", status)
        self.context_number = int(self.context)
        self._retained: Any = device

    def check(self, call: str, status: int, wanted: str = "") -> None:
        """Raise what a status of the driver means; nothing for success."""
        if status:
            answer, text = self.driver.cuGetErrorString(status)
            said = "unknown" if answer else text.decode(errors="replace")
            raise refusal(int(status), call, said, wanted)

    def call(self, call: str, *arguments: Any, wanted: str = "") -> Any:
        """Call the driver in this context, and return its result, if it has one."""
        with _Current(self):
            status, *results = getattr(self.driver, call)(*arguments)
        if status:
            self.check(call, status, wanted)
        return results[0] if results else None

    def give_back(self, call: str, handle: Any) -> None:
        """Call the driver to let something go; a lost device has nothing left to give back."""
        with suppress(LostDeviceError):
            self.call(call, handle)

    def current(self) -> _Current:
        return _Current(self)

    def allocate(self, size: int) -> _Memory:
        return _Memory(self, size)

    def pin(self, size: int) -> _Pinned:
        return _Pinned(self, size)

    def stream(self) -> _Stream:
        return _Stream(self)

    def adopt(self, stream: Any) -> _Stream:
        if isinstance(stream, _Stream):
            return stream
        if hasattr(stream, "__cuda_stream__"):
            return _Stream(self, int(stream.__cuda_stream__()[1]), stream)
        # PyCUDA, PyTorch and CuPy each call it something else.
        for name in ("handle", "cuda_stream", "ptr"):
            handle = getattr(stream, name, None)
            if handle is not None:
                return _Stream(self, int(handle), stream)
        return _Stream(self, int(stream), stream)

    def event(self, *, timing: bool = False) -> _Event:
        return _Event(self, timing)

    def upload(self, array: layer.AnyArray, address: int, stream: layer.Stream) -> None:
        self.call("cuMemcpyHtoDAsync", address, _where(array), array.nbytes, stream.handle)

    def download(self, address: int, array: layer.AnyArray, stream: layer.Stream) -> None:
        self.call("cuMemcpyDtoHAsync", _where(array), address, array.nbytes, stream.handle)

    def copy(self, source: int, target: int, size: int, stream: layer.Stream) -> None:
        self.call("cuMemcpyDtoDAsync", target, source, size, stream.handle)

    def clear(self, address: int, size: int, stream: layer.Stream) -> None:
        self.call("cuMemsetD8Async", address, 0, size, stream.handle)

    def kernels(self, source: Path) -> _Kernels:
        with self._loading:
            if source not in self._kernels:
                self._kernels[source] = _Kernels(self, source)
            return self._kernels[source]

    @contextmanager
    def capture(self, stream: layer.Stream) -> Iterator[_Recording]:
        recording = _Recording()
        # Relaxed: whatever else happens in this process meanwhile, in this thread too, does not spoil the recording.
        relaxed = self.driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED
        self.call("cuStreamBeginCapture", stream.handle, relaxed)
        try:
            yield recording
        except BaseException:
            with self.current():
                status, graph = self.driver.cuStreamEndCapture(stream.handle)
                if not status and int(graph):
                    self.driver.cuGraphDestroy(graph)
            raise
        graph = self.call("cuStreamEndCapture", stream.handle)
        try:
            recording.made = _Graph(self, self.call("cuGraphInstantiate", graph, 0))
        finally:
            self.call("cuGraphDestroy", graph)

    def memory(self) -> tuple[int, int]:
        with self.current():
            status, free, everything = self.driver.cuMemGetInfo()
        self.check("cuMemGetInfo", status)
        return int(free), int(everything)

    def close(self) -> None:
        retained, self._retained = self._retained, None
        if retained is None:
            return
        try:
            while self._kernels:
                self._kernels.popitem()[1].close()
        finally:
            self.driver.cuDevicePrimaryCtxRelease(retained)


def _where(array: layer.AnyArray) -> int:
    """Address of an array that lies in one piece; a third of what array.ctypes.data takes."""
    return int(array.__array_interface__["data"][0])


def open_device(index: int = 0) -> CudaCoreDevice:
    """Open a GPU; `stillflow.gpu.open.open_device` says in words why one cannot be.

    Args:
        index: as CUDA counts them.

    Raises:
        StillflowError: there is no such device, or it refuses.
    """
    # By the driver's own library first: cuda-core was seen to wait for minutes where there is none.
    gpu = find_gpu(index)
    if gpu is None:
        raise StillflowError(
            f"cannot use GPU {index}",
            "the driver shows no such device",
            "see stillflow doctor, or use the CPU",
        )
    import cuda.core
    from cuda.bindings import driver

    return CudaCoreDevice(driver, cuda.core.__version__, index, gpu)
