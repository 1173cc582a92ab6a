# SPDX-License-Identifier: Apache-2.0
"""The CUDA layer on cuda-core and the bindings of the driver that it brings.

Calls go to the bindings: cuda-core's own objects belong to one thread and leave their context current, and a guest in
somebody's program puts back what was there. The device's primary context is used, which is the one that TensorRT,
ONNX Runtime and PyTorch use too.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from stillflow.errors import StillflowError
from stillflow.gpu import layer
from stillflow.gpu.cuda_core_objects import (
    PINNED,
    CudaCoreEvent,
    CudaCoreGraph,
    CudaCoreKernels,
    CudaCoreMemory,
    CudaCorePinned,
    CudaCoreRecording,
    CudaCoreStream,
)
from stillflow.gpu.description import Gpu, find_gpu
from stillflow.gpu.spare import Spare
from stillflow.gpu.trouble import LostDeviceError, refusal

_SPARE_SHARE = 16
"""Of the device's memory one part in so many is kept at most for later."""

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


class CudaCoreDevice:
    """One GPU through cuda-core; see `layer.CudaDevice`. Made by `open_device`."""

    graphs = True
    primary = True

    def __init__(self, driver: Any, version: str, index: int, gpu: Gpu, keep: int) -> None:
        self.driver = driver
        self.provider = f"cuda-core {version}"
        self.index = index
        self.gpu = gpu
        self.architecture = "sm_" + gpu.compute_capability.replace(".", "")
        self._kernels: dict[Path, CudaCoreKernels] = {}
        self._loading = threading.Lock()
        # Where the GPU shares the host's memory both kinds come from there.
        share = 2 * _SPARE_SHARE if gpu.integrated else _SPARE_SHARE
        keep = min(keep, (gpu.memory_mib << 20) // share)
        self.spare = Spare(keep, self._allocate, lambda address: self.give_back("cuMemFree", address))
        self.spare_pinned = Spare(keep, self._pin, lambda address: self.give_back("cuMemFreeHost", address))
        self.check("cuInit", *driver.cuInit(0))
        status, device = driver.cuDeviceGet(index)
        self.check("cuDeviceGet", status, f"device {index}")
        status, self.context = driver.cuDevicePrimaryCtxRetain(device)
        self.check("cuDevicePrimaryCtxRetain", status)
        self.context_number = int(self.context)
        self._retained: Any = device
        status, reaches = driver.cuDeviceGetAttribute(
            driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS, device
        )
        self._reaches_all = not status and bool(reaches)

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

    def _allocate(self, size: int) -> int:
        return int(self.call("cuMemAlloc", size, wanted=f"{size / 2**20:.1f} MiB"))

    def _pin(self, size: int) -> int:
        wanted = f"{size / 2**20:.1f} MiB of pinned memory"
        return int(self.call("cuMemHostAlloc", size, _PORTABLE_MAPPED, wanted=wanted))

    def current(self) -> _Current:
        return _Current(self)

    def allocate(self, size: int) -> CudaCoreMemory:
        return CudaCoreMemory(self, size)

    def pin(self, size: int) -> CudaCorePinned:
        return CudaCorePinned(self, size)

    def stream(self) -> CudaCoreStream:
        return CudaCoreStream(self)

    def adopt(self, stream: Any) -> CudaCoreStream:
        if isinstance(stream, CudaCoreStream):
            return stream
        if hasattr(stream, "__cuda_stream__"):
            return CudaCoreStream(self, int(stream.__cuda_stream__()[1]), stream)
        # PyCUDA, PyTorch and CuPy each call it something else.
        for name in ("handle", "cuda_stream", "ptr"):
            handle = getattr(stream, name, None)
            if handle is not None:
                return CudaCoreStream(self, int(handle), stream)
        return CudaCoreStream(self, int(stream), stream)

    def event(self, *, timing: bool = False) -> CudaCoreEvent:
        return CudaCoreEvent(self, timing)

    def upload(self, array: layer.AnyArray, address: int, stream: layer.Stream) -> None:
        where = _where(array)
        self.call("cuMemcpyHtoDAsync", address, where, array.nbytes, stream.handle)
        # GH200, GB10 and Jetson Thor read memory that is not pinned by themselves, when the stream comes to it.
        if self._reaches_all and not any(at <= where < at + size for at, size in tuple(PINNED.items())):
            stream.synchronize()

    def download(self, address: int, array: layer.AnyArray, stream: layer.Stream) -> None:
        self.call("cuMemcpyDtoHAsync", _where(array), address, array.nbytes, stream.handle)

    def copy(self, source: int, target: int, size: int, stream: layer.Stream) -> None:
        self.call("cuMemcpyDtoDAsync", target, source, size, stream.handle)

    def clear(self, address: int, size: int, stream: layer.Stream) -> None:
        self.call("cuMemsetD8Async", address, 0, size, stream.handle)

    def kernels(self, source: Path) -> CudaCoreKernels:
        with self._loading:
            if source not in self._kernels or self._kernels[source].closed:
                self._kernels[source] = CudaCoreKernels(self, source)
            return self._kernels[source]

    @contextmanager
    def capture(self, stream: layer.Stream) -> Iterator[CudaCoreRecording]:
        recording = CudaCoreRecording()
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
            recording.made = CudaCoreGraph(self, self.call("cuGraphInstantiate", graph, 0))
        finally:
            self.call("cuGraphDestroy", graph)

    def memory(self) -> tuple[int, int]:
        with self.current():
            status, free, everything = self.driver.cuMemGetInfo()
        self.check("cuMemGetInfo", status)
        return int(free) + self.spare.kept, int(everything)

    def trim(self) -> None:
        self.spare.clear()
        self.spare_pinned.clear()

    def close(self) -> None:
        retained, self._retained = self._retained, None
        if retained is None:
            return
        try:
            self.trim()
            while self._kernels:
                self._kernels.popitem()[1].close()
        finally:
            self.driver.cuDevicePrimaryCtxRelease(retained)


def _where(array: layer.AnyArray) -> int:
    """Address of an array that lies in one piece; a third of what array.ctypes.data takes."""
    return int(array.__array_interface__["data"][0])


def open_device(index: int = 0, *, keep: int = 0) -> CudaCoreDevice:
    """Open a GPU; `stillflow.gpu.open.open_device` says in words why one cannot be.

    Args:
        index: as CUDA counts them.
        keep: bytes of device memory, and as many of pinned memory, that are kept for later when they are given back,
            and a sixteenth of the device's memory at most.

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

    return CudaCoreDevice(driver, cuda.core.__version__, index, gpu, keep)
