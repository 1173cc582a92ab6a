# SPDX-License-Identifier: Apache-2.0
"""Arrays on a device: what is ours for other libraries, and what is theirs for us.

Both ways are open, ``__cuda_array_interface__`` version 3 and DLPack (gpu/dlpack.py). Arrays lie in one piece in C
order. Who made an array says by ``stream`` where its bytes are being written; who reads it lets its own stream wait.
Version 2 of the interface, which PyTorch has, cannot say that: where a stream is named that will use such an array, it
comes by DLPack, and its own library lets that stream wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.gpu import dlpack
from stillflow.gpu.description import device_of
from stillflow.gpu.layer import AnyArray, CudaDevice, Memory, Stream

_SAYS_STREAM = 3
"""Version of ``__cuda_array_interface__`` from which on it says where an array's bytes are being written."""


@dataclass(frozen=True, eq=False)
class DeviceArray:
    """A typed, shaped view of device memory, in one piece, in C order.

    Attributes:
        address: where it begins.
        shape: of the array; an array without items may have any address.
        dtype: of an item, in the machine's byte order.
        device: index of the GPU, as CUDA counts them.
        stream: handle of the stream that its bytes are ready on; None: they are there.
        owner: what keeps the memory; kept as long as this is.
    """

    address: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    device: int = 0
    stream: int | None = None
    owner: object = None

    @property
    def size(self) -> int:
        """Items."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Bytes."""
        return self.size * self.dtype.itemsize

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """For CuPy, PyTorch, Numba, PyCUDA and others."""
        about: dict[str, Any] = {
            "shape": self.shape,
            "typestr": self.dtype.str,
            # An array without items has no address.
            "data": (self.address if self.size else 0, False),
            "strides": None,
            "version": 3,
        }
        if self.stream is not None:
            # 0 is not allowed there, as it may mean either default stream; 1 is the legacy one.
            about["stream"] = self.stream or 1
        return about

    def __dlpack_device__(self) -> tuple[int, int]:
        """Kind and index of the device."""
        return dlpack.CUDA, self.device

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> object:
        """Hand it to another library.

        Args:
            stream: of the consumer; -1: it does not want any ordering.
            max_version: of DLPack that the consumer knows; any is good.
            dl_device: None, or where the array is.
            copy: whether the consumer wants one; never made here.

        Raises:
            BufferError: another device or a copy is wanted, or the bytes are being written on another stream, which
                only who made it can wait for.
        """
        if dl_device is not None and tuple(dl_device) != self.__dlpack_device__():
            raise BufferError(f"the array is on CUDA device {self.device}")
        if copy:
            raise BufferError("the array is not copied when it is handed over")
        # The legacy default stream has three names: None, 1, and 0 in CUDA.
        if self.stream is not None and stream != -1 and (stream or 1) != (self.stream or 1):
            raise BufferError(
                "the array is being written on another stream: synchronise it, or pass that stream"
            )
        return dlpack.capsule(self.address, self.shape, self.dtype, self.device, self)

    def close(self) -> None:
        """Give the memory back, where this array owns it."""
        if isinstance(self.owner, _Owned):
            self.owner.memory.close()


@dataclass(frozen=True)
class _Owned:
    memory: Memory


def allocate_array(device: CudaDevice, shape: tuple[int, ...], dtype: npt.DTypeLike) -> DeviceArray:
    """Return an array in new device memory, which its ``close`` gives back; what is in it is anything."""
    kind = np.dtype(dtype)
    memory = device.allocate(int(np.prod(shape, dtype=np.int64)) * kind.itemsize)
    return DeviceArray(memory.address, tuple(shape), kind, device.index, owner=_Owned(memory))


def upload_array(device: CudaDevice, array: AnyArray, stream: Stream) -> DeviceArray:
    """Return a copy of an array on the device, which is there in order of the stream."""
    made = allocate_array(device, array.shape, array.dtype)
    try:
        device.upload(np.ascontiguousarray(array), made.address, stream)
    except BaseException:
        made.close()
        raise
    return made


def download_array(device: CudaDevice, array: DeviceArray, stream: Stream) -> AnyArray:
    """Return a copy of a device array in the host's memory, after what the stream was given; waits for it."""
    made: AnyArray = np.empty(array.shape, array.dtype)
    device.download(array.address, made, stream)
    stream.synchronize()
    return made


def is_device_array(array: object) -> bool:
    """Whether `device_array` reads it: whether it says by either way that it lies on a CUDA device."""
    if hasattr(array, "__cuda_array_interface__"):
        return True
    where = getattr(array, "__dlpack_device__", None)
    return where is not None and int(where()[0]) in dlpack.REACHABLE


def device_array(array: Any, stream: Stream | None = None) -> DeviceArray:
    """Read another library's array on a device; nothing is copied.

    Args:
        array: what has ``__cuda_array_interface__``, or ``__dlpack__`` with its bytes on a CUDA device.
        stream: that will use it. Of an array by ``__cuda_array_interface__`` pass the result's stream to `ready_on`;
            DLPack lets its own library do that.

    Raises:
        StillflowError: it is neither, it does not lie in one piece in C order, or its items have no NumPy type.
    """
    if isinstance(array, DeviceArray):
        return array
    what = "cannot use this array on the GPU"
    about = getattr(array, "__cuda_array_interface__", None)
    silent = about is not None and int(about.get("version", 0)) < _SAYS_STREAM
    if about is None or (silent and stream is not None and hasattr(array, "__dlpack__")):
        return dlpack.read(array, None if stream is None else stream.handle, DeviceArray)
    try:
        shape = tuple(int(n) for n in about["shape"])
        dtype = np.dtype(about["typestr"])
        address, _ = about["data"]
        strides, mask = about.get("strides"), about.get("mask")
    except (KeyError, TypeError, ValueError) as error:
        raise StillflowError(
            what, f"its __cuda_array_interface__ is not valid: {error}", "pass another array"
        ) from error
    if mask is not None:
        raise StillflowError(what, "it has a mask", "fill what is masked and pass a plain array")
    if strides is not None and not dlpack.in_one_piece(shape, tuple(strides), dtype.itemsize):
        raise StillflowError(
            what, f"it lies with strides {tuple(strides)}", "pass a contiguous copy (ascontiguousarray)"
        )
    if dtype.byteorder == (">" if np.little_endian else "<") or dtype.hasobject:
        raise StillflowError(what, f"its items are {dtype}", "pass numbers in the machine's byte order")
    where = getattr(array, "device", None)
    place = getattr(where, "id", getattr(where, "index", None))
    if place is None and address:  # PyCUDA and Numba do not say
        place = device_of(int(address))
    return DeviceArray(int(address or 0), shape, dtype, int(place or 0), about.get("stream"), array)


def ready_on(array: DeviceArray, device: CudaDevice, stream: Stream) -> None:
    """Let a stream wait until an array's bytes are there, if another stream is writing them."""
    if array.stream is None or array.stream == stream.handle:
        return
    event = device.event()
    try:
        event.record(device.adopt(array.stream))
        stream.wait(event)
    finally:
        event.close()
