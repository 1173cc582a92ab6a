# SPDX-License-Identifier: Apache-2.0
"""A bundle on its way: files put together beside its name, verified there, and only then given the name."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stillflow.bundle import Bundle, Manifest, encode_manifest
from stillflow.bundle.manifest import File, Receipt
from stillflow.bundle.verify import ALL
from stillflow.errors import StillflowError

ARCHIVE_SUFFIXES = (".zip", ".sfb")
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # fixed, so that equal bundles are equal files


@dataclass
class Parts:
    """Files of a bundle that is being put together, and what the manifest says of them.

    They lie on disk, not in memory: a graph may take more than a gigabyte.

    Attributes:
        folder: that they are put into.
        files: what is there so far.
        receipts: likewise.
    """

    folder: Path
    files: dict[str, File] = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)

    def add(self, path: str, data: bytes) -> str:
        """Add a file; returns its SHA-256. The same file may come twice, another of its name may not."""
        digest = hashlib.sha256(data).hexdigest()
        there = self.files.get(path)
        if there is not None and there.sha256 != digest:
            raise ValueError(f"two files want to be {path}")
        if there is None:
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            self.files[path] = File(path=path, bytes=len(data), sha256=digest)
        return digest

    def add_receipt(self, kind: str, graph: str | None, what: str, content: Any) -> None:
        """Add what was measured, as JSON; ``graph`` is None for what concerns all of them."""
        path = f"receipts/{'-'.join(part for part in (graph, kind) if part)}.json"
        digest = self.add(path, as_json(content))
        self.receipts.append(Receipt(kind=kind, graph=graph, what=what, file=path, sha256=digest))

    def listed(self) -> tuple[File, ...]:
        """All files in the order of their names, as the manifest lists them."""
        return tuple(file for _, file in sorted(self.files.items()))

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the manifest; a later one takes its place."""
        (self.folder / "manifest.json").write_bytes(encode_manifest(manifest))


@contextlib.contextmanager
def parts_for(target: Path) -> Iterator[Parts]:
    """Open a place beside the target for a bundle's files; `publish` gives them the name. It vanishes at the end.

    Raises:
        StillflowError: the target may not be written, or would take the place of something that is no bundle;
            or a file could not be written in the meantime.
    """
    _check_target(target)
    try:
        # Beside the target, since a rename is one stroke only within one file system.
        room = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise _unwritten(target, error) from error
    try:
        yield Parts(room / target.name if target.suffix not in ARCHIVE_SUFFIXES else room / "folder")
    except OSError as error:
        raise _unwritten(target, error) from error
    finally:
        shutil.rmtree(room, ignore_errors=True)


def publish(parts: Parts, target: Path) -> None:
    """Verify what was put together, with every precision it holds, and give it its name in one stroke.

    Raises:
        StillflowError: something does not verify; nothing has changed then.
        OSError: the disk is full, or the like; nothing has changed then either.
    """
    what = f"cannot write the bundle {target}"
    new = parts.folder
    if target.suffix in ARCHIVE_SUFFIXES:
        new = parts.folder.parent / target.name
        _zip(new, parts)
    with Bundle.open(new) as written:
        for check in written.checks(precision=ALL):
            if not check.ok:
                raise StillflowError(
                    what, f"{check.name}: {check.detail}", "export again; nothing was written"
                )
    if new.is_dir() and target.exists():
        old = parts.folder.parent / "old"
        os.rename(target, old)
        try:
            os.rename(new, target)
        except OSError:
            os.rename(old, target)
            raise
    else:
        os.replace(new, target)


def as_json(content: Any) -> bytes:
    """Plain values as indented JSON: equal values, equal bytes."""
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def as_npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays as an uncompressed .npz: equal arrays, equal bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(_entry(f"{name}.npy"), buffer.getvalue())
    return packed.getvalue()


def _zip(target: Path, parts: Parts) -> None:
    """Pack the files, the manifest first."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in ("manifest.json", *sorted(parts.files)):
            source, entry = parts.folder / path, _entry(path)
            entry.file_size = source.stat().st_size
            with source.open("rb") as reader, archive.open(entry, "w") as writer:
                shutil.copyfileobj(reader, writer, 1 << 20)


def _entry(path: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path, _ZIP_DATE)
    entry.external_attr = 0o644 << 16
    return entry


def _unwritten(target: Path, error: OSError) -> StillflowError:
    fix = "free the disk or choose a folder you may write to"
    return StillflowError(f"cannot write the bundle {target}", str(error), fix)


def _check_target(target: Path) -> None:
    """Refuse early what could not be written, or what would overwrite something that is no bundle."""
    what = f"cannot write the bundle {target}"
    if not target.parent.is_dir():
        raise StillflowError(
            what, f"the folder {target.parent} does not exist", "make it, or write elsewhere"
        )
    if target.suffix in ARCHIVE_SUFFIXES:
        if target.is_dir():
            raise StillflowError(what, "a folder has that name", "name a file")
    elif (
        target.exists()
        and not (target / "manifest.json").is_file()
        and (not target.is_dir() or any(target.iterdir()))
    ):
        raise StillflowError(what, "something that is no bundle has that name", "name a new folder")
