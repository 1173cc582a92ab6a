# SPDX-License-Identifier: Apache-2.0
"""A tensor that lies in a file, and the calls in a pickle that describe one: read only when asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from stillflow_export.checkpoints.pickle_machine import Call, Global, Options, RefusedError

MAX_DIMENSIONS = 8
MAX_NUMBERS = 1 << 29
"""Numbers in one tensor: 2 GiB of float32, where an ONNX file ends."""

DTYPES: dict[str, torch.dtype] = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
"""Storage class by name. All are little-endian on disk."""


class Storages(Protocol):
    """Where the numbers lie."""

    def numbers(self, key: str, dtype: torch.dtype, count: int, start: int, stop: int) -> torch.Tensor:
        """Numbers start..stop of a storage of ``count`` numbers, one-dimensional.

        Raises:
            RefusedError: no such storage, of another length, or damaged.
        """
        ...


@dataclass(frozen=True)
class Storage:
    """A storage as the pickle names it.

    Attributes:
        key: of the storage in the file.
        dtype: of its numbers.
        count: how many of them may be used, from ``start`` on.
        start: the first.
        whole: how many the file has.
    """

    key: str
    dtype: torch.dtype
    count: int
    start: int
    whole: int


@dataclass(frozen=True)
class StoredTensor:
    """A tensor that was described and not yet read.

    Raises:
        RefusedError: it does not lie inside its storage.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def __post_init__(self) -> None:
        numbers = (*self.shape, *self.stride, self.offset)
        if not all(type(n) is int and 0 <= n < 1 << 62 for n in numbers):
            raise RefusedError("a tensor in it has a size, a stride or an offset that is no count")
        if len(self.shape) != len(self.stride) or len(self.shape) > MAX_DIMENSIONS:
            raise RefusedError(f"a tensor in it has {len(self.shape)} sizes and {len(self.stride)} strides")
        # Also refuses what repeats one number many times (stride 0): a small file would become a large tensor.
        if math.prod(self.shape) > min(self.storage.count, MAX_NUMBERS) or self._stop > self.storage.count:
            raise RefusedError(
                f"a tensor in it, {'x'.join(map(str, self.shape))}, reaches beyond its storage "
                f"of {self.storage.count} numbers"
            )

    @property
    def _stop(self) -> int:
        if 0 in self.shape:
            return self.offset
        return self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.stride, strict=True)) + 1

    def read(self, storages: Storages) -> torch.Tensor:
        """Return the tensor, on the CPU, in memory of its own."""
        if 0 in self.shape:
            return torch.empty(self.shape, dtype=self.storage.dtype)
        store = self.storage
        flat = storages.numbers(
            store.key, store.dtype, store.whole, store.start + self.offset, store.start + self._stop
        )
        return torch.as_strided(flat, self.shape, self.stride).clone(memory_format=torch.contiguous_format)


class StorageTable:
    """The storages that a pickle names.

    Attributes:
        storages: by key; the first view of each.
    """

    def __init__(self) -> None:
        self.storages: dict[str, Storage] = {}

    def add(self, name: Any) -> Storage:
        """Read a persistent id, see `storage_of`.

        Raises:
            RefusedError: it is no storage, or one that was described otherwise before.
        """
        storage = storage_of(name)
        first = self.storages.setdefault(storage.key, storage)
        if (first.dtype, first.whole) != (storage.dtype, storage.whole):
            raise RefusedError(f"it describes its storage {storage.key[:100]} in two ways")
        return storage


def storage_of(name: Any) -> Storage:
    """Read a persistent id: ("storage", class, key, place, numbers[, view]).

    ``view``, in files from before torch 1.6, is None or (key, first, numbers): a part of a shared storage.
    """
    if not isinstance(name, tuple) or len(name) not in (5, 6) or name[0] != "storage":
        raise RefusedError("its pickle refers to something outside it that is no storage")
    kind, key, count = name[1], name[2], name[4]
    if not isinstance(kind, Global) or kind.name not in DTYPES:
        raise RefusedError(f"it holds a storage of the kind {kind}")
    if not isinstance(key, str) or type(count) is not int or not 0 <= count < 1 << 62:
        raise RefusedError("it holds a storage without a name or a length")
    dtype = DTYPES[kind.name]
    view = name[5] if len(name) == 6 else None
    if view is None:
        return Storage(key, dtype, count, 0, count)
    if not isinstance(view, tuple) or len(view) != 3:
        raise RefusedError("it holds a view of a storage that says nothing")
    first, numbers = view[1:]
    if (
        type(first) is not int
        or type(numbers) is not int
        or first < 0
        or numbers < 0
        or first + numbers > count
    ):
        raise RefusedError("it holds a view beyond the end of its storage")
    return Storage(key, dtype, numbers, first, count)


def _tensor(arguments: tuple[Any, ...]) -> StoredTensor:
    storage, offset, shape, stride = arguments[:4]
    if not isinstance(storage, Storage) or not isinstance(shape, tuple) or not isinstance(stride, tuple):
        raise RefusedError("a tensor in it is not described by a storage, sizes and strides")
    return StoredTensor(storage, offset, shape, stride)


def _parameter(arguments: tuple[Any, ...]) -> StoredTensor:
    if not isinstance(arguments[0], StoredTensor):
        raise RefusedError("a parameter in it is no tensor")
    return arguments[0]


def _dict(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    if not arguments:
        return {}
    found: dict[Any, Any] = {}
    for pair in arguments[0]:
        key, value = pair
        if not isinstance(key, str | int):
            raise RefusedError("a dictionary in it has keys that are no words")
        found[key] = value
    return found


def _default_dict(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    return _dict(arguments[1:])


def _options(arguments: tuple[Any, ...]) -> Options:
    return Options()


def _set(arguments: tuple[Any, ...]) -> set[Any]:
    return {item for item in arguments[0] if isinstance(item, str | int | float)} if arguments else set()


def _size(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(arguments[0])


def _text(arguments: tuple[Any, ...]) -> str:
    return " ".join(str(part) for part in arguments if isinstance(part, str | int))


def _bytes(arguments: tuple[Any, ...]) -> bytes:
    """``_codecs.encode(text, "latin1")``: how protocol 2 writes bytes."""
    text, how = arguments
    if not isinstance(text, str) or how not in ("latin1", "latin-1"):
        raise RefusedError("its pickle encodes text in an unusual way")
    return text.encode("latin-1")


def _no_bytes(arguments: tuple[Any, ...]) -> bytes:
    """``bytes()``: how protocol 2 writes none at all."""
    if arguments:
        raise RefusedError("its pickle makes bytes in an unusual way")
    return b""


class _NumpyType(dict[str, Any]):
    """The type of a NumPy scalar; its pickle sets a state, which only repeats the byte order."""

    def __init__(self, code: str) -> None:
        super().__init__()
        self.code = code


def _numpy_type(arguments: tuple[Any, ...]) -> _NumpyType:
    code = arguments[0]
    if code not in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"):
        raise RefusedError(f"it holds a NumPy scalar of the type {str(code)[:40]}")
    return _NumpyType(code)


def _numpy_scalar(arguments: tuple[Any, ...]) -> float | int | bool:
    kind, data = arguments
    if not isinstance(kind, _NumpyType) or not isinstance(data, bytes):
        raise RefusedError("it holds a NumPy scalar without a type")
    values = np.frombuffer(data, np.dtype(kind.code).newbyteorder("<"))
    if values.size != 1:
        raise RefusedError("it holds a NumPy scalar that is not one number")
    value: float | int | bool = values[0].item()
    return value


def _calls() -> dict[Global, Call | None]:
    calls: dict[tuple[str, str], Call | None] = {
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
        ("torch._utils", "_rebuild_tensor"): _tensor,
        ("torch._utils", "_rebuild_parameter"): _parameter,
        ("torch", "Size"): _size,
        ("torch", "device"): _text,
        ("collections", "OrderedDict"): _dict,
        ("collections", "defaultdict"): _default_dict,
        ("argparse", "Namespace"): _options,
        ("builtins", "dict"): _dict,
        ("builtins", "set"): _set,
        ("builtins", "list"): None,
        ("builtins", "bytes"): _no_bytes,
        ("_codecs", "encode"): _bytes,
        ("numpy", "dtype"): _numpy_type,
        ("numpy.core.multiarray", "scalar"): _numpy_scalar,
        ("numpy._core.multiarray", "scalar"): _numpy_scalar,
    }
    storages = dict.fromkeys((module, name) for module in ("torch", "torch.cuda") for name in DTYPES)
    dtypes = dict.fromkeys(("torch", str(dtype).removeprefix("torch.")) for dtype in DTYPES.values())
    return {Global(*words): call for words, call in {**calls, **storages, **dtypes}.items()}


CALLS = _calls()
"""All that a checkpoint's pickle may name. ``None``: may be named, not called."""
