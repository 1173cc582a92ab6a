# SPDX-License-Identifier: Apache-2.0
"""Opens a checkpoint without trusting it: zip and older files of torch, and safetensors.

Nothing of the file runs, nothing is larger in memory than in the file, and a tensor is read when it is asked for:
published checkpoints carry optimisers, discriminators and a VGG beside the network.
"""

from __future__ import annotations

import hashlib
import io
import mmap
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from stillflow.errors import StillflowError
from stillflow_export.checkpoints.pickle_machine import RefusedError, read_pickle
from stillflow_export.checkpoints.stored import CALLS, Storage, StoredTensor, storage_of

MAX_PICKLE_BYTES = 64 << 20
"""The largest published checkpoint's takes below 1 MiB."""

MAX_ENTRIES = 65_536
"""Of the zip: one a storage."""

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
"""The first of the five pickles that files from before torch 1.6 begin with."""

_LOCAL_HEADER = struct.Struct("<4s5H3L2H")  # PKWARE appnote 4.3.7

_FIX = (
    "give a checkpoint as its authors published it, or fetch it again; one with other content can be written anew "
    "where it was made, with `safetensors.torch.save_file(state_dict, ...)`"
)


class Checkpoint:
    """An open checkpoint.

    Attributes:
        content: what was saved; tensors in it are `StoredTensor`.
        kind: "zip", "legacy" or "safetensors".
        sha256: of the file.
        bytes: its length.
    """

    def __init__(self, path: Path) -> None:
        """Open and read all but the tensors.

        Raises:
            StillflowError: no such file, or one that may not be read, with the reason.
        """
        self.path = path
        self._what = f"cannot read the checkpoint {path}"
        self._map: mmap.mmap | None = None
        self._checked: set[str] = set()
        self._storages: dict[str, Storage] = {}
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise StillflowError(self._what, error.strerror or str(error), "check the path") from error
        try:
            self.bytes = path.stat().st_size
            if not path.is_file() or not self.bytes:
                raise RefusedError("it is no file, or an empty one")
            self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
            self.content = self._opened()
        except RefusedError as error:
            self.close()
            raise StillflowError(self._what, str(error), _FIX) from error
        except (OSError, MemoryError) as error:
            self.close()
            raise StillflowError(self._what, str(error) or "there is not enough memory", _FIX) from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; tensors that were read stay."""
        if self._map is not None:
            self._map.close()
        self._file.close()

    def sha256(self) -> str:
        """The file's."""
        assert self._map is not None
        digest = hashlib.sha256()
        for start in range(0, self.bytes, 1 << 24):
            digest.update(self._map[start : start + (1 << 24)])
        return digest.hexdigest()

    def read(self, tensor: Any) -> torch.Tensor:
        """Return a tensor of ``content``, on the CPU, in its own dtype.

        Raises:
            StillflowError: its numbers are not there, or damaged.
        """
        try:
            if isinstance(tensor, _InSafetensors):
                return tensor.read(self.path)
            assert isinstance(tensor, StoredTensor)
            return tensor.read(self)
        except RefusedError as error:
            raise StillflowError(self._what, str(error), _FIX) from error

    def _opened(self) -> Any:
        assert self._map is not None
        head = self._map[:9]
        if head[:4] == b"PK\x03\x04":
            self.kind = "zip"
            return self._opened_zip()
        if head[:1] == b"\x80":
            self.kind = "legacy"
            return self._opened_legacy()
        if head[8:9] == b"{":
            self.kind = "safetensors"
            return self._opened_safetensors()
        raise RefusedError("it is neither a file of torch nor of safetensors")

    def _storage(self, name: Any) -> Storage:
        storage = storage_of(name)
        first = self._storages.setdefault(storage.key, storage)
        if (first.dtype, first.whole) != (storage.dtype, storage.whole):
            raise RefusedError(f"it describes its storage {storage.key[:100]} in two ways")
        return storage

    # Zip: one entry for the pickle, one a storage, none compressed.

    def _opened_zip(self) -> Any:
        assert self._map is not None
        try:
            with zipfile.ZipFile(self._file) as archive:
                entries = archive.infolist()
        except (
            OSError,
            ValueError,
            EOFError,
            NotImplementedError,
            zipfile.BadZipFile,
            struct.error,
        ) as error:
            raise RefusedError(
                f"it is no sound zip ({str(error)[:120]}); the file may be truncated"
            ) from error
        if len(entries) > MAX_ENTRIES:
            raise RefusedError(f"it has {len(entries)} entries, at most {MAX_ENTRIES} are read")
        self._entries: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
                raise RefusedError(
                    f"its entry {entry.filename[:100]} is compressed, and torch compresses nothing"
                )
            if entry.flag_bits & 1:
                raise RefusedError(f"its entry {entry.filename[:100]} is encrypted")
            if entry.filename in self._entries:
                raise RefusedError(f"its entry {entry.filename[:100]} is there twice")
            self._entries[entry.filename] = entry
        if sum(entry.file_size for entry in entries) > self.bytes:
            raise RefusedError("its entries are larger than the file: they overlap")
        pickles = [name for name in self._entries if name == "data.pkl" or name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise RefusedError(f"it holds {len(pickles)} files data.pkl where a checkpoint has one")
        self._folder = pickles[0].removesuffix("data.pkl")
        order = self._entries.get(f"{self._folder}byteorder")
        if order is not None and self._span(order.filename, 16) != b"little":
            raise RefusedError("its numbers are big-endian")
        data = self._span(pickles[0], MAX_PICKLE_BYTES)
        return read_pickle(io.BytesIO(data), CALLS, self._storage)

    def _place(self, name: str) -> tuple[int, int]:
        """Where an entry's bytes begin, and how many there are."""
        assert self._map is not None
        entry = self._entries.get(name)
        if entry is None:
            raise RefusedError(f"it has no entry {name[:100]}")
        start = entry.header_offset
        header = self._map[start : start + _LOCAL_HEADER.size]
        if len(header) < _LOCAL_HEADER.size or header[:4] != b"PK\x03\x04":
            raise RefusedError(f"its entry {name[:100]} does not begin where its list says")
        *_, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
        begin = start + _LOCAL_HEADER.size + name_bytes + extra_bytes
        if begin + entry.file_size > self.bytes:
            raise RefusedError(f"its entry {name[:100]} ends beyond the file, which may be truncated")
        if name not in self._checked:
            self._check_sum(name, begin, entry)
        return begin, entry.file_size

    def _check_sum(self, name: str, begin: int, entry: zipfile.ZipInfo) -> None:
        assert self._map is not None
        found = 0
        for at in range(begin, begin + entry.file_size, 1 << 24):
            found = zlib.crc32(self._map[at : min(at + (1 << 24), begin + entry.file_size)], found)
        if found != entry.CRC:
            raise RefusedError(f"its entry {name[:100]} is damaged: its check sum is another")
        self._checked.add(name)

    def _span(self, name: str, limit: int) -> bytes:
        assert self._map is not None
        if name in self._entries and self._entries[name].file_size > limit:
            raise RefusedError(f"its entry {name[:100]} is larger than {limit} bytes")
        begin, size = self._place(name)
        return self._map[begin : begin + size]

    # From before torch 1.6: five pickles, then each storage with its length before it.

    def _opened_legacy(self) -> Any:
        assert self._map is not None
        stream = io.BytesIO(self._map[:MAX_PICKLE_BYTES])
        read: Callable[[], Any] = lambda: read_pickle(stream, CALLS, self._storage)  # noqa: E731
        if read() != _LEGACY_MAGIC:
            raise RefusedError("it is a pickle and no checkpoint of torch")
        if read() != 1001 or not isinstance(info := read(), dict) or info.get("little_endian") is not True:
            raise RefusedError("it is a checkpoint of an unknown or big-endian form")
        content, keys = read(), read()
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise RefusedError("it does not list its storages")
        self._lengths: dict[str, tuple[int, int]] = {}
        self._keys = keys
        self._begin = stream.tell()
        return content

    def _legacy_place(self, key: str, dtype: torch.dtype, count: int) -> int:
        """Where a storage's numbers begin."""
        if not self._lengths:
            self._lengths = self._legacy_storages()
        if key not in self._lengths:
            raise RefusedError(f"it has no storage {key[:100]}")
        begin, found = self._lengths[key]
        if found != count or begin + count * dtype.itemsize > self.bytes:
            raise RefusedError(
                f"its storage {key[:100]} has {found} numbers where {count} were said, or is truncated"
            )
        return begin

    def _legacy_storages(self) -> dict[str, tuple[int, int]]:
        assert self._map is not None
        found: dict[str, tuple[int, int]] = {}
        at = self._begin
        for key in self._keys:
            head = self._map[at : at + 8]
            if len(head) < 8:
                raise RefusedError(f"it ends before its storage {key[:100]}: it is truncated")
            (count,) = struct.unpack("<q", head)
            if count < 0 or key not in self._storages:
                raise RefusedError(f"its storage {key[:100]} has no length, or nothing refers to it")
            found[key] = (at + 8, count)
            at += 8 + count * self._storages[key].dtype.itemsize
        return found

    def numbers(self, key: str, dtype: torch.dtype, count: int, start: int, stop: int) -> torch.Tensor:
        """See `stored.Storages`."""
        assert self._map is not None
        if self.kind == "zip":
            begin, size = self._place(f"{self._folder}data/{key}")
            if size != count * dtype.itemsize:
                raise RefusedError(
                    f"its storage {key[:100]} takes {size} bytes where {count} numbers were said"
                )
        else:
            begin = self._legacy_place(key, dtype, count)
        data = bytearray(self._map[begin + start * dtype.itemsize : begin + stop * dtype.itemsize])
        return torch.frombuffer(data, dtype=dtype)

    # safetensors: its own reader checks lengths and offsets.

    def _opened_safetensors(self) -> Any:
        try:
            with safe_open(self.path, framework="pt") as file:
                return {
                    name: _InSafetensors(name, tuple(file.get_slice(name).get_shape()))
                    for name in file.keys()  # noqa: SIM118, not a dictionary
                }
        except (SafetensorError, OSError, ValueError, RuntimeError, TypeError) as error:
            raise RefusedError(f"it is no sound safetensors file ({str(error)[:160]})") from error


class _InSafetensors:
    """A tensor of a safetensors file."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self.name = name
        self.shape = shape

    def read(self, path: Path) -> torch.Tensor:
        try:
            with safe_open(path, framework="pt") as file:
                found: torch.Tensor = file.get_tensor(self.name)
                return found.clone()
        except (SafetensorError, OSError, ValueError, RuntimeError, TypeError) as error:
            raise RefusedError(f"its tensor {self.name[:100]} cannot be read ({str(error)[:160]})") from error
