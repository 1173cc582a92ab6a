# SPDX-License-Identifier: Apache-2.0
"""DLPack: the capsule that hands an array on a device from one library to another.

The structures are those of dlpack.h (DLManagedTensor, without a version, which every consumer takes).
"""

from __future__ import annotations

import ctypes
import weakref
from typing import Any, TypeVar

import numpy as np

from stillflow.errors import StillflowError

CUDA = 2
"""kDLCUDA."""

REACHABLE = {CUDA, 13}
"""Kinds of device whose bytes a CUDA kernel reaches: kDLCUDA and kDLCUDAManaged."""

_CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}
"""DLDataTypeCode of a NumPy kind."""
_KINDS = {code: kind for kind, code in _CODES.items()}


class _Tensor(ctypes.Structure):
    """DLTensor, with what it consists of in line."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_kind", ctypes.c_int32),
        ("device_index", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Managed(ctypes.Structure):
    """DLManagedTensor."""


_Deleter = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Managed))
_Managed._fields_ = [("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", _Deleter)]

_Destructor = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_python = ctypes.pythonapi
_new = _python.PyCapsule_New
_new.restype, _new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, _Destructor)
# The destructor is handed a capsule that is being taken apart: by its address, so that nothing counts it.
_is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_IsValid", _python))
_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", _python)
)
_rename = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_SetName", _python))

_FRESH, _USED = b"dltensor", b"used_dltensor"

_handed_out: dict[int, tuple[object, ...]] = {}
"""Address of a structure -> what must live until the consumer deletes it."""


def _delete(managed: Any) -> None:
    _handed_out.pop(ctypes.addressof(managed.contents), None)


def _destroy(capsule: int) -> None:
    # Nobody took it: then it is ours to delete.
    if _is_valid(capsule, _FRESH):
        _handed_out.pop(_pointer(capsule, _FRESH), None)


# For C, for as long as the process lives.
_delete_in_c, _destroy_in_c = _Deleter(_delete), _Destructor(_destroy)


def capsule(address: int, shape: tuple[int, ...], dtype: np.dtype[Any], device: int, owner: object) -> object:
    """Return a capsule of an array in C order.

    Args:
        address: where it begins.
        shape: of the array.
        dtype: of its items.
        device: index of the GPU.
        owner: what is kept until the consumer lets the array go.

    Raises:
        BufferError: DLPack has no such items.
    """
    if dtype.kind not in _CODES:
        raise BufferError(f"DLPack has no {dtype}")
    lengths = (ctypes.c_int64 * max(1, len(shape)))(*shape)
    steps = (ctypes.c_int64 * max(1, len(shape)))()
    step = 1
    for axis in reversed(range(len(shape))):
        steps[axis] = step
        step *= shape[axis]
    kind = _CODES[dtype.kind], 8 * dtype.itemsize, 1
    tensor = _Tensor(address, CUDA, device, len(shape), *kind, lengths, steps, 0)
    managed = _Managed(tensor, None, _delete_in_c)
    at = ctypes.addressof(managed)
    _handed_out[at] = managed, lengths, steps, owner
    return _new(at, _FRESH, _destroy_in_c)


_Array = TypeVar("_Array")


class _Borrowed:
    """Another library's array, which is told when we are done with it."""

    def __init__(self, address: int) -> None:
        self._end = weakref.finalize(self, _give_back, address)


def _give_back(address: int) -> None:
    managed = _Managed.from_address(address)
    if managed.deleter:
        managed.deleter(ctypes.pointer(managed))


def read(array: Any, stream: int | None, make: type[_Array]) -> _Array:
    """Take an array from another library.

    Args:
        array: with ``__dlpack__``.
        stream: that will use it, which its library lets wait; None: the legacy default stream.
        make: called with address, shape, dtype, index of the device, None and an owner.

    Raises:
        StillflowError: it is no such array, is elsewhere, lies in pieces, or has items that NumPy has not.
    """
    what = "cannot use this array on the GPU"
    if not hasattr(array, "__dlpack__"):
        raise StillflowError(
            what,
            f"{type(array).__name__} has neither __cuda_array_interface__ nor __dlpack__",
            "pass an array of a library that has one: CuPy, PyTorch, PyCUDA, Numba",
        )
    if int(array.__dlpack_device__()[0]) not in REACHABLE:
        raise StillflowError(what, "it lies in the host's memory", "pass it as a NumPy array")
    try:
        # The legacy default stream is 1 there; CUDA's other name for it, 0, is not allowed.
        handed = array.__dlpack__(stream=stream or 1)
    except BufferError as error:
        raise StillflowError(what, f"its library does not hand it over: {error}", "pass a copy") from error
    address = _pointer(id(handed), _FRESH)
    tensor = _Managed.from_address(address).tensor
    shape = tuple(tensor.shape[k] for k in range(tensor.ndim))
    kind, bits = _KINDS.get(tensor.code), int(tensor.bits)
    if kind is None or tensor.lanes != 1 or bits % 8:
        raise StillflowError(what, f"its items are of DLPack's type {tensor.code}, {bits} bits", "convert it")
    if tensor.strides and not in_one_piece(shape, tuple(tensor.strides[k] for k in range(tensor.ndim)), 1):
        raise StillflowError(what, "it does not lie in one piece", "pass a contiguous copy")
    _rename(id(handed), _USED)
    dtype = np.dtype(f"{kind}{bits // 8}" if kind != "b" else "?")
    place = int(tensor.data or 0) + int(tensor.byte_offset)
    return make(place, shape, dtype, int(tensor.device_index), None, _Borrowed(address))  # type: ignore[call-arg]


def in_one_piece(shape: tuple[int, ...], strides: tuple[int, ...], step: int) -> bool:
    """Whether strides, in the unit of ``step``, are those of C order; axes of one item may have any."""
    if 0 in shape:
        return True
    for length, stride in zip(reversed(shape), reversed(strides), strict=True):
        if length != 1 and stride != step:
            return False
        step *= length
    return True
