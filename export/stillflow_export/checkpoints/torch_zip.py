# SPDX-License-Identifier: Apache-2.0
"""A checkpoint as torch writes it since 1.6: a zip with one pickle and one entry a storage, none compressed."""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
import zlib
from typing import BinaryIO

import torch

from stillflow_export.checkpoints.pickle_machine import RefusedError, read_pickle
from stillflow_export.checkpoints.stored import CALLS, StorageTable

MAX_PICKLE_BYTES = 64 << 20
"""A tensor takes about 140 bytes of it."""

MAX_ENTRIES = 65_536
"""One a storage, and a few more."""

_LOCAL_HEADER = struct.Struct("<4s5H3L2H")  # PKWARE appnote 4.3.7
_BLOCK = 1 << 24


class TorchZip:
    """Such a file, open.

    Since nothing may be compressed and entries may not overlap, nothing in it is larger than the file.

    Args:
        file: the file.
        data: its bytes.

    Attributes:
        content: what was saved; tensors in it are `stored.StoredTensor`.

    Raises:
        RefusedError: it is no such file, or one that plays tricks.
    """

    def __init__(self, file: BinaryIO, data: mmap.mmap) -> None:
        self._data = data
        self._sound: set[str] = set()
        self._entries = _entries(file, len(data))
        pickles = [name for name in self._entries if name == "data.pkl" or name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise RefusedError(f"it holds {len(pickles)} files data.pkl where a checkpoint has one")
        self._folder = pickles[0].removesuffix("data.pkl")
        order = f"{self._folder}byteorder"
        if order in self._entries and self._read(order, 16) != b"little":
            raise RefusedError("its numbers are big-endian")
        pickle = io.BytesIO(self._read(pickles[0], MAX_PICKLE_BYTES))
        self.content = read_pickle(pickle, CALLS, StorageTable().add)

    def numbers(self, key: str, dtype: torch.dtype, count: int, start: int, stop: int) -> torch.Tensor:
        """See `stored.Storages`."""
        begin, size = self._place(f"{self._folder}data/{key}")
        if size != count * dtype.itemsize:
            raise RefusedError(f"its storage {key[:100]} takes {size} bytes where {count} numbers were said")
        found = bytearray(self._data[begin + start * dtype.itemsize : begin + stop * dtype.itemsize])
        return torch.frombuffer(found, dtype=dtype)

    def _read(self, name: str, limit: int) -> bytes:
        if self._entries[name].file_size > limit:
            raise RefusedError(f"its entry {name[:100]} is larger than {limit} bytes")
        begin, size = self._place(name)
        return self._data[begin : begin + size]

    def _place(self, name: str) -> tuple[int, int]:
        """Where an entry's bytes begin and how many there are; its check sum is compared once."""
        entry = self._entries.get(name)
        if entry is None:
            raise RefusedError(f"it has no entry {name[:100]}")
        start = entry.header_offset
        header = self._data[start : start + _LOCAL_HEADER.size] if start >= 0 else b""
        if len(header) < _LOCAL_HEADER.size or header[:4] != b"PK\x03\x04":
            raise RefusedError(f"its entry {name[:100]} does not begin where its list says")
        *_, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
        begin = start + _LOCAL_HEADER.size + name_bytes + extra_bytes
        end = begin + entry.file_size
        if end > len(self._data):
            raise RefusedError(f"its entry {name[:100]} ends beyond the file, which may be truncated")
        if name not in self._sound:
            found = 0
            for at in range(begin, end, _BLOCK):
                found = zlib.crc32(self._data[at : min(at + _BLOCK, end)], found)
            if found != entry.CRC:
                raise RefusedError(f"its entry {name[:100]} is damaged: its check sum is another")
            self._sound.add(name)
        return begin, entry.file_size


def _entries(file: BinaryIO, size: int) -> dict[str, zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(file) as archive:
            listed = archive.infolist()
    # zipfile raises what its parsing runs into.
    except (
        OSError, ValueError, EOFError, IndexError, NotImplementedError, zipfile.BadZipFile, struct.error,
    ) as error:  # fmt: skip
        reason = str(error)[:120]
        raise RefusedError(f"it is no sound zip ({reason}); the file may be truncated") from error
    if len(listed) > MAX_ENTRIES:
        raise RefusedError(f"it has {len(listed)} entries, at most {MAX_ENTRIES} are read")
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in listed:
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise RefusedError(
                f"its entry {entry.filename[:100]} is compressed, and torch compresses nothing"
            )
        if entry.flag_bits & 1:
            raise RefusedError(f"its entry {entry.filename[:100]} is encrypted")
        if entry.filename in entries:
            raise RefusedError(f"its entry {entry.filename[:100]} is there twice")
        entries[entry.filename] = entry
    if sum(entry.file_size for entry in listed) > size:
        raise RefusedError("its entries are larger than the file: they overlap")
    return entries
