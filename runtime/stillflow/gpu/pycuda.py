# SPDX-License-Identifier: Apache-2.0
"""The CUDA layer on PyCUDA, for programs that hold a PyCUDA context already.

The host's context is used as it is: it stays current in the thread that has it, in other threads it is pushed for the
length of a call, and it is never destroyed here. PyCUDA knows no graphs, and takes no streams but its own objects.
What the host has goes in (its streams, DeviceAllocation, GPUArray) and comes out: `gpu_array` looks into memory of the
layer, and `PycudaMemory.allocation` is the host's own kind.
"""

from __future__ import annotations

import ctypes
import os
import re
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pycuda
import pycuda.driver

from stillflow.errors import StillflowError
from stillflow.gpu.arrays import DeviceArray
from stillflow.gpu.compiled import cubin_of
from stillflow.gpu.description import Gpu, find_gpu
from stillflow.gpu.layer import AnyArray, Memory, Recording, Stream
from stillflow.gpu.pycuda_objects import (
    PycudaEvent,
    PycudaKernels,
    PycudaMemory,
    PycudaPinned,
    PycudaStream,
    stream_of,
)
from stillflow.gpu.trouble import refusal

if TYPE_CHECKING:
    from pycuda.gpuarray import GPUArray

_MEMORY_TYPE = 2  # CU_POINTER_ATTRIBUTE_MEMORY_TYPE

_DEFAULT_STREAMS = (0, 1)
"""Handles of the default stream: null and CU_STREAM_LEGACY."""


class _Current:
    """Makes the host's context current for a block; nothing where it is current already."""

    __slots__ = ("_context", "_pushed")

    def __init__(self, context: Any) -> None:
        self._context = context
        self._pushed = False

    def __enter__(self) -> None:
        if self._context is None:
            raise StillflowError("cannot use this device", "it was closed", "open it again")
        if pycuda.driver.Context.get_current() == self._context:
            return
        try:
            self._context.push()
        except pycuda.driver.Error as error:
            raise _refused(error) from error
        self._pushed = True

    def __exit__(self, *_: object) -> None:
        if self._pushed:
            pycuda.driver.Context.pop()


class _Calling(_Current):
    """The same, and what PyCUDA raises in the block comes out in our words."""

    __slots__ = ("_wanted",)

    def __init__(self, context: Any, wanted: str) -> None:
        super().__init__(context)
        self._wanted = wanted

    def __exit__(self, *raised: object) -> None:
        super().__exit__()
        error = raised[1]
        if isinstance(error, pycuda.driver.Error):
            raise _refused(error, self._wanted) from error


class PycudaDevice:
    """The device of a PyCUDA context; see `layer.CudaDevice`. Made by `open_device`.

    Attributes:
        driver: the module pycuda.driver.
        primary: whether the host took the primary context (pycuda.autoprimaryctx, Device.retain_primary_context).
    """

    graphs = False

    def __init__(self, context: Any, index: int, gpu: Gpu) -> None:
        self.driver = pycuda.driver
        self.provider = f"pycuda {pycuda.VERSION_TEXT}"
        self.index = index
        self.gpu = gpu
        self.primary = _is_primary(int(context.handle), index)
        self.architecture = "sm_" + gpu.compute_capability.replace(".", "")
        self._context = context
        self._kernels: dict[Path, PycudaKernels] = {}
        self._loading = threading.Lock()
        reaches_all = pycuda.driver.device_attribute.PAGEABLE_MEMORY_ACCESS
        self._reaches_all = bool(pycuda.driver.Device(index).get_attribute(reaches_all))
        self._streams: weakref.WeakValueDictionary[int, PycudaStream] = weakref.WeakValueDictionary()

    def current(self) -> AbstractContextManager[None]:
        return _Current(self._context)

    def calling(self, wanted: str = "") -> AbstractContextManager[None]:
        """Make the context current for a block of PyCUDA's calls, and say in our words what they refuse.

        Args:
            wanted: what is asked for, such as "512 MiB".
        """
        return _Calling(self._context, wanted)

    def give_back(self, action: Callable[[], object]) -> None:
        """Do what gives something back; where the host's context is gone, so is all that was in it."""
        try:
            with self.current():
                action()
        except (pycuda.driver.Error, StillflowError):
            pass

    def allocate(self, size: int) -> PycudaMemory:
        return PycudaMemory(self, size)

    def pin(self, size: int) -> PycudaPinned:
        return PycudaPinned(self, size)

    def stream(self) -> PycudaStream:
        """Make a stream that waits for the default stream, as PyCUDA's all do, and for no other.

        Arithmetic on a GPUArray runs in the default stream: what the host computed there is ready for work in this
        one with nothing said. A host that keeps to streams of its own never meets that wait.
        """
        with self.calling():
            return self._known(PycudaStream(self, pycuda.driver.Stream()))

    def adopt(self, stream: Any) -> PycudaStream:
        """See `layer.CudaDevice.adopt`. A handle is good where its stream was made or adopted here, and still is.

        Raises:
            StillflowError: it is a stream of another library.
        """
        if isinstance(stream, PycudaStream):
            return stream
        if stream is None or isinstance(stream, pycuda.driver.Stream):
            return self._known(PycudaStream(self, stream))
        told = stream.__cuda_stream__()[1] if hasattr(stream, "__cuda_stream__") else stream
        try:
            handle = int(getattr(told, "handle", told))
        except (TypeError, ValueError):
            handle = -1
        if handle in _DEFAULT_STREAMS:
            return PycudaStream(self, None)
        known = self._streams.get(handle)
        if known is None:
            raise StillflowError(
                "cannot use this stream through PyCUDA",
                f"{stream!r} is no PyCUDA stream, and PyCUDA takes no others",
                "give a pycuda.driver.Stream, or use the provider cuda-core",
            )
        return known

    def _known(self, stream: PycudaStream) -> PycudaStream:
        if stream.handle:
            self._streams[stream.handle] = stream
        return stream

    def event(self, *, timing: bool = False) -> PycudaEvent:
        return PycudaEvent(self, timing)

    def upload(self, array: AnyArray, address: int, stream: Stream) -> None:
        if array.nbytes:
            with self.calling():
                pycuda.driver.memcpy_htod_async(address, _bytes(array), stream_of(stream))
            # GH200, GB10 and Jetson Thor read memory that is not pinned by themselves, when the stream comes to it.
            if self._reaches_all and not _is_pinned(array):
                stream.synchronize()

    def download(self, address: int, array: AnyArray, stream: Stream) -> None:
        if array.nbytes:
            with self.calling():
                pycuda.driver.memcpy_dtoh_async(_bytes(array), address, stream_of(stream))

    def copy(self, source: int, target: int, size: int, stream: Stream) -> None:
        if size > 0:
            with self.calling():
                pycuda.driver.memcpy_dtod_async(target, source, size, stream_of(stream))

    def clear(self, address: int, size: int, stream: Stream) -> None:
        if size > 0:
            with self.calling():
                pycuda.driver.memset_d8_async(address, 0, size, stream_of(stream))

    def kernels(self, source: Path) -> PycudaKernels:
        with self._loading:
            if source not in self._kernels:
                self._kernels[source] = PycudaKernels(self, source, cubin_of(source, self.architecture))
            return self._kernels[source]

    def capture(self, stream: Stream) -> AbstractContextManager[Recording]:
        """Refuse: PyCUDA has no graphs."""
        raise StillflowError(
            "cannot record a CUDA graph",
            "PyCUDA has none",
            "enqueue the work anew for each frame, or use the provider cuda-core",
        )

    def memory(self) -> tuple[int, int]:
        with self.calling():
            free, whole = pycuda.driver.mem_get_info()
        return int(free), int(whole)

    def trim(self) -> None:
        """See ``CudaDevice.trim``: nothing is kept."""

    def close(self) -> None:
        """Unload the kernels and forget the host's context, which stays as it is; harmless twice."""
        while self._kernels:
            self._kernels.popitem()[1].close()
        self._context = None


def open_device(index: int | None = None) -> PycudaDevice:
    """Use the PyCUDA context that is current in this thread.

    Args:
        index: of the device that is wanted, as CUDA counts them; None takes the context's.

    Raises:
        StillflowError: no PyCUDA context is current here, or it belongs to another device.
    """
    driver = pycuda.driver
    context = driver.Context.get_current()
    if context is None:
        raise StillflowError(
            "cannot use a GPU through PyCUDA",
            "no PyCUDA context is current in this thread",
            "make one before (import pycuda.autoinit), or use the provider cuda-core",
        )
    device = driver.Context.get_device()
    own = next(i for i in range(driver.Device.count()) if driver.Device(i) == device)
    if index is not None and index != own:
        raise StillflowError(
            f"cannot use GPU {index} through PyCUDA",
            f"the context that is current in this thread belongs to GPU {own}",
            f"push a context of GPU {index}, or ask for GPU {own}",
        )
    gpu = find_gpu(own)
    if gpu is None:
        raise StillflowError(
            "cannot use a GPU through PyCUDA",
            f"the driver does not describe GPU {own}",
            "see stillflow doctor",
        )
    return PycudaDevice(context, own, gpu)


def gpu_array(
    source: DeviceArray | Memory, shape: tuple[int, ...] | None = None, dtype: Any = None
) -> GPUArray:
    """Look into memory of the layer as a pycuda.gpuarray.GPUArray; nothing is copied.

    Args:
        source: an array, or device memory. The result keeps it from being collected, not from being closed.
        shape: of the result, C-contiguous; an array's own when left out.
        dtype: of its items; an array's own when left out.

    Raises:
        StillflowError: the result would reach beyond the memory, or memory comes without shape or dtype.
    """
    from pycuda.gpuarray import GPUArray

    what = "cannot look into this device memory"
    if isinstance(source, DeviceArray):
        shape, dtype, size = source.shape if shape is None else shape, dtype or source.dtype, source.nbytes
    else:
        size = source.size
    if shape is None or dtype is None:
        raise StillflowError(what, "it does not say what lies in it", "give a shape and a dtype")
    wanted = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if wanted > size:
        raise StillflowError(what, f"{wanted} bytes do not lie in its {size}", "ask for a smaller shape")
    return GPUArray(shape, np.dtype(dtype), base=source, gpudata=source.address)


def allocation_array(
    allocation: Any, shape: tuple[int, ...], dtype: npt.DTypeLike, device: PycudaDevice
) -> DeviceArray:
    """Read a DeviceAllocation of the host's as an array; it says neither shape nor type itself.

    Args:
        allocation: a pycuda.driver.DeviceAllocation, or one of a memory pool.
        shape: of the array, C-contiguous.
        dtype: of its items.
        device: that it lies on.

    Raises:
        StillflowError: the array would reach beyond what was allocated.
    """
    wanted = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    address = int(allocation)
    with device.calling("a DeviceAllocation"):
        base, size = pycuda.driver.mem_get_address_range(address)
    if address + wanted > int(base) + int(size):
        raise StillflowError(
            "cannot use this DeviceAllocation",
            f"{wanted} bytes do not lie in its {int(base) + int(size) - address}",
            "give the shape and the type that it was made for",
        )
    return DeviceArray(address, tuple(shape), np.dtype(dtype), device.index, owner=allocation)


def _bytes(array: AnyArray) -> npt.NDArray[np.uint8]:
    """The same memory as bytes: PyCUDA reads no buffers of types that Python's struct does not know."""
    return array.reshape(-1).view(np.uint8)


def _is_pinned(array: AnyArray) -> bool:
    """Whether an array lies in pinned memory, the layer's or the host program's: no other is known to the driver."""
    kind, address = ctypes.c_int(), ctypes.c_uint64(array.ctypes.data)
    return bool(_library().cuPointerGetAttribute(ctypes.byref(kind), _MEMORY_TYPE, address) == 0)


def _refused(error: Exception, wanted: str = "") -> StillflowError:
    """Say an error of PyCUDA's, which names the call and the driver's words: "cuMemAlloc failed: out of memory"."""
    call, _, said = str(error).partition(" failed: ")
    said = re.sub(r" - .*$", "", said, flags=re.DOTALL)
    return refusal(_statuses().get(said, 999), call, said or str(error), wanted)


def _is_primary(handle: int, index: int) -> bool:
    """Whether a context is the primary one. Asked of the driver: PyCUDA would leave what it asks for current."""
    library, device = _library(), ctypes.c_int()
    flags, active, primary = ctypes.c_uint(), ctypes.c_int(), ctypes.c_void_p()
    if library.cuDeviceGet(ctypes.byref(device), index) != 0:
        return False
    # One that is not there yet would be made, and takes some hundred MB.
    if (
        library.cuDevicePrimaryCtxGetState(device, ctypes.byref(flags), ctypes.byref(active)) != 0
        or not active
    ):
        return False
    if library.cuDevicePrimaryCtxRetain(ctypes.byref(primary), device) != 0:
        return False
    library.cuDevicePrimaryCtxRelease_v2(device)
    return primary.value == handle


def _library() -> ctypes.CDLL:
    return ctypes.CDLL("libcuda.so.1" if os.name == "posix" else "nvcuda.dll")


@lru_cache(maxsize=1)
def _statuses() -> dict[str, int]:
    """The driver's words for a status -> CUresult: PyCUDA tells the words only. 999 is CUDA_ERROR_UNKNOWN."""
    library = _library()
    found: dict[str, int] = {}
    text = ctypes.c_char_p()
    for status in range(1, 1000):
        if library.cuGetErrorString(status, ctypes.byref(text)) == 0 and text.value:
            found.setdefault(text.value.decode(errors="replace"), status)
    return found
