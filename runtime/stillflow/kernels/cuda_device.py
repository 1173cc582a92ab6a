# SPDX-License-Identifier: Apache-2.0
"""The little of the CUDA driver that the kernels need: memory, copies and launches, straight from its library.

A context that is current in the thread is used (a host program's, PyCUDA's); the device's primary one without.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.kernels.cuda_source import compile_kernels

THREADS = 256
"""Threads of a block; every kernel does one item a thread."""

Argument = ctypes.c_void_p | ctypes.c_int | ctypes.c_float | ctypes.Structure

_CAPABILITY = (75, 76)
"""CUdevice_attribute of the compute capability's two numbers."""

_POINTER = ctypes.c_void_p
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "cuInit": (ctypes.c_uint,),
    "cuDeviceGet": (ctypes.POINTER(ctypes.c_int), ctypes.c_int),
    "cuDeviceGetAttribute": (ctypes.POINTER(ctypes.c_int), ctypes.c_int, ctypes.c_int),
    "cuDevicePrimaryCtxRetain": (ctypes.POINTER(_POINTER), ctypes.c_int),
    "cuDevicePrimaryCtxRelease_v2": (ctypes.c_int,),
    "cuCtxGetCurrent": (ctypes.POINTER(_POINTER),),
    "cuCtxGetDevice": (ctypes.POINTER(ctypes.c_int),),
    "cuCtxPushCurrent_v2": (_POINTER,),
    "cuCtxPopCurrent_v2": (ctypes.POINTER(_POINTER),),
    "cuModuleLoadData": (ctypes.POINTER(_POINTER), ctypes.c_char_p),
    "cuModuleUnload": (_POINTER,),
    "cuModuleGetFunction": (ctypes.POINTER(_POINTER), _POINTER, ctypes.c_char_p),
    "cuMemAlloc_v2": (ctypes.POINTER(ctypes.c_uint64), ctypes.c_size_t),
    "cuMemFree_v2": (ctypes.c_uint64,),
    "cuMemcpyHtoDAsync_v2": (ctypes.c_uint64, _POINTER, ctypes.c_size_t, _POINTER),
    "cuMemcpyDtoHAsync_v2": (_POINTER, ctypes.c_uint64, ctypes.c_size_t, _POINTER),
    "cuStreamSynchronize": (_POINTER,),
    "cuLaunchKernel": (
        _POINTER, *(ctypes.c_uint,) * 7, _POINTER, ctypes.POINTER(_POINTER), ctypes.POINTER(_POINTER),
    ),
    "cuGetErrorString": (ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)),
}  # fmt: skip


class CudaDevice:
    """One GPU with the kernels on it.

    Args:
        index: as CUDA counts them; of no use where a context is current already.
        stream: handle of the stream that everything is ordered by; 0 is the default stream.
        driver: the driver's library, where it is not the system's.
        code: the kernels, where they were compiled before; compiled for this GPU without.

    Raises:
        StillflowError: there is no driver, no such device, or the kernels do not load.
    """

    def __init__(
        self, index: int = 0, stream: int = 0, driver: str | None = None, code: bytes | None = None
    ) -> None:
        name = driver or ("libcuda.so.1" if os.name == "posix" else "nvcuda.dll")
        try:
            self._driver = ctypes.CDLL(name)
            for function, types in _FUNCTIONS.items():
                getattr(self._driver, function).argtypes = types
        except (OSError, AttributeError) as error:
            raise StillflowError(
                "cannot use a GPU",
                str(error),
                "install NVIDIA's driver, or use the kernels in C (the default)",
            ) from error
        self.stream = stream
        self._retained: int | None = None
        self._context = self._open(index)
        self._kernels: dict[str, ctypes.c_void_p] = {}
        self._module = ctypes.c_void_p()
        try:
            with self._current():
                number = ctypes.c_int()
                self._call("cuCtxGetDevice", ctypes.byref(number))
                major, minor = (self._attribute(which, number.value) for which in _CAPABILITY)
                self.architecture = f"sm_{major}{minor}"
                code = compile_kernels(self.architecture) if code is None else code
                self._call("cuModuleLoadData", ctypes.byref(self._module), code)
        except BaseException:
            self.close()
            raise

    def _open(self, index: int) -> ctypes.c_void_p:
        self._call("cuInit", 0)
        context, device = ctypes.c_void_p(), ctypes.c_int()
        self._call("cuCtxGetCurrent", ctypes.byref(context))
        if not context:
            self._call("cuDeviceGet", ctypes.byref(device), index)
            self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
            self._retained = device.value
        return context

    def _attribute(self, which: int, device: int) -> int:
        value = ctypes.c_int()
        self._call("cuDeviceGetAttribute", ctypes.byref(value), which, device)
        return value.value

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._driver, name)(*arguments)
        if status:
            text = ctypes.c_char_p()
            self._driver.cuGetErrorString(status, ctypes.byref(text))
            why = (text.value or b"unknown").decode(errors="replace")
            raise StillflowError(
                "the GPU does not do what it was asked for",
                f"{name} says {status}: {why}",
                "free memory on the GPU, see stillflow doctor, or use the kernels in C (the default)",
            )

    @contextmanager
    def _current(self) -> Iterator[None]:
        """Make the context current in this thread, and afterwards what was current before."""
        self._call("cuCtxPushCurrent_v2", self._context)
        try:
            yield
        finally:
            self._driver.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))

    def allocate(self, size: int) -> int:
        """Return the address of that many bytes of device memory; ``free`` gives them back."""
        address = ctypes.c_uint64()
        with self._current():
            self._call("cuMemAlloc_v2", ctypes.byref(address), max(1, size))
        return address.value

    def free(self, address: int) -> None:
        """Give memory back that ``allocate`` returned."""
        with self._current():
            self._call("cuMemFree_v2", address)

    def upload(self, array: npt.NDArray[np.generic], address: int) -> None:
        """Copy a C-contiguous array to the device; it may be changed as soon as this returns."""
        with self._current():
            self._call("cuMemcpyHtoDAsync_v2", address, array.ctypes.data, array.nbytes, self.stream)
            self._call("cuStreamSynchronize", self.stream)

    def download(self, address: int, array: npt.NDArray[np.generic]) -> None:
        """Copy from the device to a C-contiguous array, after all that was launched before."""
        with self._current():
            self._call("cuMemcpyDtoHAsync_v2", array.ctypes.data, address, array.nbytes, self.stream)
            self._call("cuStreamSynchronize", self.stream)

    def launch(self, kernel: str, items: int, *arguments: Argument) -> None:
        """Run a kernel, one thread an item; returns before it is done.

        Args:
            kernel: its name in the source.
            items: threads wanted, >= 0.
            arguments: in the kernel's order and of its types.
        """
        if items <= 0:
            return
        pointers = (ctypes.c_void_p * len(arguments))(*(ctypes.addressof(a) for a in arguments))
        blocks = -(-items // THREADS)
        with self._current():
            if kernel not in self._kernels:
                found = ctypes.c_void_p()
                self._call("cuModuleGetFunction", ctypes.byref(found), self._module, kernel.encode())
                self._kernels[kernel] = found
            self._call(
                "cuLaunchKernel", self._kernels[kernel], blocks, 1, 1, THREADS, 1, 1, 0, self.stream, pointers, None
            )  # fmt: skip

    def close(self) -> None:
        """Unload the kernels; the device must not be used afterwards."""
        if self._module:
            with self._current():
                self._call("cuModuleUnload", self._module)
            self._module = ctypes.c_void_p()
        if self._retained is not None:
            self._call("cuDevicePrimaryCtxRelease_v2", self._retained)
            self._retained = None
