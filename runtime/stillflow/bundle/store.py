# SPDX-License-Identifier: Apache-2.0
"""Where the bytes of a bundle lie: a folder, or an uncompressed zip of one. Nothing outside is ever read."""

from __future__ import annotations

import os
import stat
import struct
import threading
import zipfile
from pathlib import Path
from typing import IO, Protocol

from stillflow.errors import StillflowError

MAX_ZIP_ENTRIES = 8192
MAX_ZIP_DIRECTORY_BYTES = 4 << 20

_END_RECORD = struct.Struct("<4s4H2LH")  # PKWARE appnote 4.3.16, end of central directory
_SYMLINK_SHIFT = 16
_ZIP_ERRORS = (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile, struct.error)
_SOUND_COPY = "fetch or export the bundle again"


class Store(Protocol):
    """Read access to the files of one bundle."""

    where: str

    def read(self, path: str, limit: int) -> bytes:
        """The whole file at a relative path.

        Raises:
            StillflowError: no such file, not a plain file, outside the bundle, longer than ``limit``
                bytes, or damaged.
        """
        ...

    def close(self) -> None:
        """Let go of open files; reading afterwards is an error."""
        ...


def open_store(path: Path) -> Store:
    """Open a folder or a zip file.

    Raises:
        StillflowError: there is nothing, or neither a folder nor a zip that may be read.
    """
    what = f"cannot open the bundle {path.name or path}"
    fix = "give the folder that holds manifest.json, an uncompressed zip of it, or a shipped bundle's name"
    try:
        if path.is_dir():
            return FolderStore(path)
        if not path.exists():
            raise StillflowError(what, "there is no such folder or file", fix)
        if not path.is_file():
            raise StillflowError(what, "it is neither a folder nor a plain file", fix)
        return ZipStore(path)
    except (OSError, ValueError) as error:
        raise StillflowError(what, f"it cannot be read ({error})", fix) from error


class FolderStore:
    """A bundle in a folder. Symbolic links are followed only where they stay inside."""

    def __init__(self, root: Path) -> None:
        self.where = root.name or str(root)
        self._root = root.resolve(strict=True)

    def read(self, path: str, limit: int) -> bytes:
        """See `Store.read`."""
        what = f"cannot read {path} of the bundle {self.where}"
        try:
            real = (self._root / path).resolve(strict=True)
            if not real.is_relative_to(self._root):
                raise StillflowError(what, "it leads out of the bundle's folder", _SOUND_COPY)
            # O_NONBLOCK: opening a named pipe must not wait for a writer. O_BINARY exists on Windows only.
            flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
            with os.fdopen(os.open(real, flags), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise StillflowError(what, "it is not a plain file", _SOUND_COPY)
                return _read_at_most(file, limit, what)
        except FileNotFoundError as error:
            raise StillflowError(what, "there is no such file", _SOUND_COPY) from error
        except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: a loop of links, Python < 3.13
            raise StillflowError(what, f"the file system says: {error}", _SOUND_COPY) from error

    def close(self) -> None:
        """Nothing is held open."""


class ZipStore:
    """A bundle in a zip file whose entries are stored, not compressed.

    Stored, so that a reader in C needs no inflate and can map the file, and so that nothing in it can
    be larger than the file itself. The manifest lies at the top or in a single folder at the top.
    """

    def __init__(self, path: Path) -> None:
        self.where = path.name
        self._what = f"cannot open the bundle {path.name}"
        self._lock = threading.Lock()  # ZipFile shares one file position between its readers.
        _check_zip_end(path, self._what)
        try:
            self._zip = zipfile.ZipFile(path)
        except _ZIP_ERRORS as error:
            raise StillflowError(self._what, f"it is not a sound zip file ({error})", _SOUND_COPY) from error
        try:
            self._entries = self._checked_entries()
        except BaseException:
            self._zip.close()
            raise

    def _checked_entries(self) -> dict[str, zipfile.ZipInfo]:
        """Map relative paths to entries, after refusing every entry that plays tricks."""
        names: dict[str, zipfile.ZipInfo] = {}
        for entry in self._zip.infolist():
            name = entry.filename
            if name.startswith("/") or "\\" in name or ":" in name or ".." in name.split("/") or "\0" in name:
                raise StillflowError(self._what, f"its entry {name!r} climbs out of the bundle", _SOUND_COPY)
            if name in names:
                raise StillflowError(self._what, f"it holds {name!r} twice", _SOUND_COPY)
            mode = entry.external_attr >> _SYMLINK_SHIFT
            if stat.S_ISLNK(mode):
                raise StillflowError(self._what, f"its entry {name!r} is a symbolic link", _SOUND_COPY)
            if entry.flag_bits & 1:
                fix = "export it without a password"
                raise StillflowError(self._what, f"its entry {name!r} is encrypted", fix)
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
                raise StillflowError(
                    self._what,
                    f"its entry {name!r} is compressed",
                    "pack it with `zip -0 -r NAME.zip FOLDER`, or unpack it and give the folder",
                )
            names[name] = entry
        prefix = ""
        if "manifest.json" not in names:
            tops = {name.split("/")[0] for name in names}
            prefix = f"{tops.pop()}/" if len(tops) == 1 else ""
            prefix = prefix if f"{prefix}manifest.json" in names else ""
        return {n[len(prefix) :]: e for n, e in names.items() if n.startswith(prefix) and not n.endswith("/")}

    def read(self, path: str, limit: int) -> bytes:
        """See `Store.read`."""
        what = f"cannot read {path} of the bundle {self.where}"
        entry = self._entries.get(path)
        if entry is None:
            raise StillflowError(what, "there is no such file", _SOUND_COPY)
        try:
            with self._lock, self._zip.open(entry) as file:
                return _read_at_most(file, limit, what)
        except _ZIP_ERRORS as error:
            raise StillflowError(what, f"the zip file is damaged there ({error})", _SOUND_COPY) from error

    def close(self) -> None:
        """Close the zip file."""
        self._zip.close()


def _read_at_most(file: IO[bytes], limit: int, what: str) -> bytes:
    data = file.read(limit + 1)
    if len(data) > limit:
        raise StillflowError(what, f"it is longer than the {limit} bytes it may have", _SOUND_COPY)
    return data


def _check_zip_end(path: Path, what: str) -> None:
    """Bound what zipfile will read into memory for the list of entries, before it does."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - (1 << 16) - _END_RECORD.size))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END_RECORD.size:
        raise StillflowError(
            what,
            "it is neither a folder nor a zip file",
            "give the folder that holds manifest.json, or an uncompressed zip of it",
        )
    _, _, _, _, entries, directory, _, _ = _END_RECORD.unpack_from(tail, at)
    if tail[max(0, at - 20) :].startswith(b"PK\x06\x07") or entries == 0xFFFF:
        fix = "keep a zipped bundle below 4 GB, or give the folder"
        raise StillflowError(what, "it is a zip64 file", fix)
    if entries > MAX_ZIP_ENTRIES or directory > MAX_ZIP_DIRECTORY_BYTES:
        raise StillflowError(what, f"it lists {entries} entries in {directory} bytes, too many", _SOUND_COPY)
