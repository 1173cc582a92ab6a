# SPDX-License-Identifier: Apache-2.0
"""Archives in slices of a limited size: what carries a pack to a machine may take no larger file."""

from __future__ import annotations

import hashlib
import io
import lzma
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

MIB = 1 << 20

LARGEST_WINDOW = 256 * MIB
"""Of the compressor. A library of GPU code repeats itself at distances of 100 MiB: a window of 64 MiB misses that."""


@dataclass(frozen=True)
class Slice:
    """One file of an archive.

    Attributes:
        file: name in the pack.
        bytes: its size.
        sha256: of its bytes.
    """

    file: str
    bytes: int
    sha256: str


class Slices(io.RawIOBase):
    """A file to be written, cut into slices ``<name>.000``, ``<name>.001`` ... of at most so many bytes."""

    def __init__(self, folder: Path, name: str, limit: int) -> None:
        super().__init__()
        self._folder, self._name, self._limit = folder, name, limit
        self._open: io.BufferedWriter | None = None
        self._left = 0
        self.paths: list[Path] = []

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:  # type: ignore[no-untyped-def]  # any buffer, as io.RawIOBase has it
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            if self._left == 0:
                self._next()
            assert self._open is not None
            piece = view[done : done + self._left]
            self._open.write(piece)
            done += len(piece)
            self._left -= len(piece)
        return done

    def _next(self) -> None:
        if self._open is not None:
            self._open.close()
        path = self._folder / f"{self._name}.{len(self.paths):03d}"
        self.paths.append(path)
        self._open = path.open("wb")
        self._left = self._limit

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
        super().close()

    def described(self) -> list[Slice]:
        """The slices, once closed."""
        return [Slice(path.name, path.stat().st_size, sha256_of(path)) for path in self.paths]


def write_archive(
    folder: Path, name: str, entries: Sequence[tuple[str, Path | bytes]], limit: int, *, effort: int = 9
) -> list[Slice]:
    """Write files as ``<name>.tar.xz`` in slices; the same files give the same bytes.

    Args:
        folder: of the slices.
        name: of the archive.
        entries: (path in the archive, the file or its bytes).
        limit: bytes of a slice at most.
        effort: of the compressor, 0..9. At 9 a library of 240 MB takes minutes and 2.7 GB of memory.
    """
    size = sum(len(what) if isinstance(what, bytes) else what.stat().st_size for _, what in entries)
    window = 1 << max(20, min(LARGEST_WINDOW, size).bit_length())
    preset = effort | lzma.PRESET_EXTREME if effort == 9 else effort
    code: list[dict[str, int]] = [
        {"id": lzma.FILTER_X86},
        {"id": lzma.FILTER_LZMA2, "preset": preset, "dict_size": min(window, LARGEST_WINDOW)},
    ]
    cut = Slices(folder, f"{name}.tar.xz", limit)
    with (
        cut,
        lzma.LZMAFile(cast("IO[bytes]", cut), "w", format=lzma.FORMAT_XZ, filters=code) as squeezed,
        tarfile.open(fileobj=squeezed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path, what in entries:
            _add(tar, path, what)
    return cut.described()


def _add(tar: tarfile.TarFile, path: str, what: Path | bytes) -> None:
    entry = tarfile.TarInfo(path)
    if isinstance(what, bytes):
        entry.size, entry.mode = len(what), 0o644
        tar.addfile(entry, io.BytesIO(what))
        return
    found = what.stat()
    entry.size, entry.mode = found.st_size, 0o755 if found.st_mode & 0o100 else 0o644
    with what.open("rb") as file:
        tar.addfile(entry, file)


def files_below(folder: Path, prefix: str) -> Iterable[tuple[str, Path]]:
    """(Path under a prefix, file) of every file in a folder, in order."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield f"{prefix}/{path.relative_to(folder).as_posix()}", path


def sha256_of(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while piece := file.read(MIB):
            digest.update(piece)
    return digest.hexdigest()
