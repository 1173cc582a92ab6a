# SPDX-License-Identifier: Apache-2.0
"""A checkpoint from before torch 1.6: five pickles, then each storage with its length before it."""

from __future__ import annotations

import io
import mmap
import struct
from typing import Any

import torch

from stillflow_export.checkpoints.pickle_machine import RefusedError, read_pickle
from stillflow_export.checkpoints.stored import CALLS, StorageTable

MAX_PICKLE_BYTES = 64 << 20
"""All five; a tensor takes about 140 bytes of them."""

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
"""The first two pickles."""


class TorchLegacy:
    """Such a file, open.

    Args:
        data: its bytes.

    Attributes:
        content: what was saved; tensors in it are `stored.StoredTensor`.

    Raises:
        RefusedError: it is no such file.
    """

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._table = StorageTable()
        stream = io.BytesIO(data[:MAX_PICKLE_BYTES])
        if self._next(stream) != MAGIC:
            raise RefusedError("it is a pickle and no checkpoint of torch")
        protocol, system = self._next(stream), self._next(stream)
        if protocol != PROTOCOL or not isinstance(system, dict) or system.get("little_endian") is not True:
            raise RefusedError("it is a checkpoint of an unknown or big-endian form")
        self.content = self._next(stream)
        keys = self._next(stream)
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise RefusedError("it does not list its storages")
        self._places = self._found(keys, stream.tell())

    def _next(self, stream: io.BytesIO) -> Any:
        return read_pickle(stream, CALLS, self._table.add)

    def _found(self, keys: list[str], at: int) -> dict[str, tuple[int, int]]:
        """Where the numbers of each storage begin, and how many there are."""
        places: dict[str, tuple[int, int]] = {}
        for key in keys:
            head = self._data[at : at + 8]
            if len(head) < 8:
                raise RefusedError(f"it ends before its storage {key[:100]}: it is truncated")
            (count,) = struct.unpack("<q", head)
            storage = self._table.storages.get(key)
            if storage is None or count != storage.whole:
                raise RefusedError(
                    f"its storage {key[:100]} has {count} numbers, and its pickle says otherwise"
                )
            places[key] = (at + 8, count)
            at += 8 + count * storage.dtype.itemsize
            if at > len(self._data):
                raise RefusedError(f"it ends within its storage {key[:100]}: it is truncated")
        return places

    def numbers(self, key: str, dtype: torch.dtype, count: int, start: int, stop: int) -> torch.Tensor:
        """See `stored.Storages`."""
        if key not in self._places:
            raise RefusedError(f"it has no storage {key[:100]}")
        begin, _ = self._places[key]
        found = bytearray(self._data[begin + start * dtype.itemsize : begin + stop * dtype.itemsize])
        return torch.frombuffer(found, dtype=dtype)
