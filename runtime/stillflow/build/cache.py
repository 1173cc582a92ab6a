# SPDX-License-Identifier: Apache-2.0
"""The cache of built engines: one folder an entry, named by its key, finished before it has that name.

    STILLFLOW_CACHE or the user's cache folder/
        engines/KEY/         NAME.engine, entry.json, layers.json, gate-c.json
        engines/.part-KEY-*  being built, under the lock of its key
        locks/KEY.lock       held while an engine of that key is built, replaced or removed
        timing/              timing caches, one for each library, version and GPU
        jit/KEY-*.kernels    what TensorRT-RTX compiled of an engine for a GPU here
        kernels/             compiled CUDA kernels (gpu/compiled.py)
        failed/KEY/          request and graph of a build that failed, to run again
        quarantine/          entries that were found damaged

Reading takes no lock: what is read goes through one open folder, and its bytes are compared with the sidecar.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import filelock
import msgspec
import platformdirs

from stillflow.build.entry import ENTRY_FILE, GATE_FILE, MAX_ENGINE_BYTES, MAX_ENTRY_BYTES, Entry
from stillflow.build.files import (
    UnsafeError,
    private_folder,
    read_trusted,
    refusals,
    replace_private,
    sync_folder,
    trusted_folder,
    write_private,
)

_KEY = re.compile(r"[0-9a-f]{64}\Z")
_PART = re.compile(r"\.part-([0-9a-f]{64})-[0-9a-f]{8}\Z")


class DamagedError(Exception):
    """An entry that must not be used, with the reason as a phrase."""


@dataclass(frozen=True)
class Stored:
    """An entry that was read, or why it could not be.

    Attributes:
        key: name of its folder.
        folder: its folder.
        entry: the sidecar; None when it is damaged.
        why: what is wrong, "" when nothing is.
        size: bytes of all its files.
    """

    key: str
    folder: Path
    entry: Entry | None
    why: str
    size: int

    @property
    def path(self) -> Path:
        """The engine's file."""
        assert self.entry is not None
        return self.folder / self.entry.engine


def cache_root() -> Path:
    """Folder of the cache: STILLFLOW_CACHE, else the system's place for caches of this user.

    Raises:
        StillflowError: no folder can have that name.
    """
    named = os.environ.get("STILLFLOW_CACHE")
    root = Path(named).absolute() if named else Path(platformdirs.user_cache_path("stillflow"))
    absent = (FileNotFoundError, NotADirectoryError, PermissionError)
    with refusals(f"cannot use the engine cache {root}"), suppress(*absent):
        os.stat(root)
    return root


class EngineCache:
    """The cache in a folder.

    Args:
        root: the folder; None: `cache_root`.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = cache_root() if root is None else root

    @property
    def engines(self) -> Path:
        """Folder of the entries."""
        return self.root / "engines"

    def folder(self, name: str) -> Path:
        """One of the folders of the cache, made or checked.

        Raises:
            StillflowError: it cannot be made, or others may write into it.
        """
        with refusals(f"cannot use the engine cache {self.root}"):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return private_folder(self.root / name)

    def read(self, key: str) -> Entry:
        """Check an entry and its engine, and return the sidecar.

        Raises:
            FileNotFoundError: there is none.
            DamagedError: it must not be used.
        """
        return self._read(key)[0]

    def load(self, key: str) -> tuple[Entry, bytes]:
        """Read an entry and its engine: these very bytes are those that the sidecar was written for.

        Raises:
            FileNotFoundError: there is none.
            DamagedError: it must not be used.
        """
        return self._read(key)

    def _read(self, key: str, *, with_engine: bool = True) -> tuple[Entry, bytes]:
        try:
            with trusted_folder(self.engines), trusted_folder(self.engines / key) as folder:
                try:
                    entry = msgspec.json.decode(
                        read_trusted(ENTRY_FILE, folder, MAX_ENTRY_BYTES), type=Entry, strict=True
                    )
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                    raise DamagedError(f"{ENTRY_FILE} is not valid: {str(error)[:200]}") from error
                if entry.parts.key != key:
                    raise DamagedError(f"{ENTRY_FILE} describes another engine than its folder's name")
                if not with_engine:
                    return entry, b""
                # One byte more than there should be is enough to see that there are too many.
                data = read_trusted(entry.engine, folder, min(entry.bytes, MAX_ENGINE_BYTES))
                if len(data) != entry.bytes or hashlib.sha256(data).hexdigest() != entry.sha256:
                    raise DamagedError(f"{entry.engine} does not hold the bytes that were built")
                return entry, data
        except UnsafeError as error:
            raise DamagedError(str(error)) from error

    def stored(self, *, engines: bool = True) -> list[Stored]:
        """All entries, the damaged ones too, the newest first.

        Args:
            engines: read the engines too and compare them with their sidecars; False: the sidecars alone.

        Raises:
            StillflowError: the system does not let it be read, such as a name that is too long.
        """
        what = f"cannot read the engine cache {self.root}"
        with refusals(what), suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            keys = [name for name in os.listdir(self.engines) if _KEY.match(name)]
            found = [self._stored(key, engines) for key in keys]
            return sorted(found, key=lambda s: (s.entry.created if s.entry else "", s.key), reverse=True)
        return []

    def _stored(self, key: str, engines: bool) -> Stored:
        folder = self.engines / key
        try:
            entry, _ = self._read(key, with_engine=engines)
            return Stored(key, folder, entry, "", folder_size(folder))
        except DamagedError as error:
            return Stored(key, folder, None, str(error), folder_size(folder))
        except FileNotFoundError:
            return Stored(key, folder, None, "it was removed just now", 0)

    def gate(self, key: str) -> dict[str, object] | None:
        """What gate C said of an entry: at least {"state": "passed" | "failed" | "not run"}; None: nothing."""
        try:
            with trusted_folder(self.engines / key) as folder:
                found = msgspec.json.decode(read_trusted(GATE_FILE, folder, MAX_ENTRY_BYTES))
        except (UnsafeError, FileNotFoundError, msgspec.MsgspecError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    def set_gate(self, key: str, receipt: dict[str, object]) -> None:
        """Write what gate C said beside the engine.

        Raises:
            StillflowError: the disk does not take it.
        """
        with refusals("cannot write the receipt of gate C"):
            replace_private(self.engines / key / GATE_FILE, msgspec.json.encode(receipt))

    @contextmanager
    def lock(self, key: str, waiting: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the lock of a key.

        Args:
            key: of the entry.
            waiting: called once if another process holds it.
        """
        lock = self._lock(key)
        if not self._taken(lock, 0):
            if waiting is not None:
                waiting()
            self._taken(lock, -1)
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _locked_if_free(self, key: str) -> Iterator[bool]:
        """Hold the lock of a key if nobody else does, and say whether."""
        lock = self._lock(key)
        taken = self._taken(lock, 0)
        try:
            yield taken
        finally:
            if taken:
                lock.release()

    def _lock(self, key: str) -> filelock.BaseFileLock:
        return filelock.FileLock(self.folder("locks") / f"{key}.lock", mode=0o600)

    def _taken(self, lock: filelock.BaseFileLock, timeout: float) -> bool:
        """Take a lock within so many seconds, -1 for ever; say whether."""
        with refusals(f"cannot lock the engine cache {self.root}"):
            try:
                lock.acquire(timeout=timeout, poll_interval=0.1)
            except filelock.Timeout:
                return False
        return True

    @contextmanager
    def part(self, key: str) -> Iterator[Path]:
        """A folder to build in; removed at the end unless `commit` gave it its name. Hold the lock."""
        self._sweep(key)
        engines = self.folder("engines")
        path = engines / f".part-{key}-{secrets.token_hex(4)}"
        with refusals(f"cannot use the engine cache {self.root}"):
            path.mkdir(mode=0o700)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def commit(self, part: Path, entry: Entry) -> Path:
        """Write the sidecar and give a finished folder the name of its key, replacing what has it. Hold the lock.

        Raises:
            StillflowError: the disk does not take it; then the cache is as it was.
        """
        target = self.engines / entry.parts.key
        with refusals("cannot write into the engine cache"):
            write_private(
                part / ENTRY_FILE, msgspec.json.format(msgspec.json.encode(entry), indent=2) + b"\n"
            )
            sync_folder(part)
            # --force, or a damaged one that could not be moved
            aside = self._set_aside(target) if os.path.lexists(target) else None
            try:
                os.rename(part, target)
            except OSError:
                if aside is not None:
                    os.rename(aside, target)
                raise
            sync_folder(self.engines)
        return target

    def quarantine(self, key: str) -> Path:
        """Move a damaged entry out of the way; a link is moved, not what it points to. Hold the lock."""
        with refusals("cannot move a damaged engine out of the cache"):
            return self._set_aside(self.engines / key)

    def _set_aside(self, path: Path) -> Path:
        place = self.folder("quarantine") / f"{path.name}-{secrets.token_hex(4)}"
        os.rename(path, place)
        return place

    def keep_failed(self, key: str, part: Path, log: str) -> Path | None:
        """Keep what a failed build was asked for, so that it can be run again; None: the disk does not take it."""
        place = self.root / "failed" / key
        try:
            self.folder("failed")
            _remove(place)
            os.rename(part, place)
            (place / "log.txt").write_text(log + "\n", encoding="utf-8")
        except Exception:  # the failure itself is what the user must hear of
            return None
        return place

    def _sweep(self, key: str | None = None) -> int:
        """Remove what builds that were killed left behind, of one key whose lock is held or of all that are free."""
        freed = 0
        with suppress(OSError):
            for name in os.listdir(self.engines):
                found = _PART.match(name)
                if found is None or (key is not None and found[1] != key):
                    continue
                if key is not None:
                    freed += _remove(self.engines / name)
                    continue
                with self._locked_if_free(found[1]) as free:
                    freed += _remove(self.engines / name) if free else 0
        return freed

    def prune(self, unwanted: Callable[[Stored], bool]) -> tuple[list[Stored], int]:
        """Remove leftovers, failed and damaged entries, and those that are unwanted; never one being built.

        Args:
            unwanted: asked for each sound entry.

        Returns:
            The entries that were removed, and all bytes that became free.
        """
        freed = self._sweep()
        for name in ("failed", "quarantine"):
            freed += _remove(self.root / name)
        removed = []
        for seen in self.stored(engines=False):
            with self._locked_if_free(seen.key) as free:
                if not free:
                    continue
                # Read under the lock: one that was damaged may have been built again a moment ago.
                stored = self._stored(seen.key, True)
                if stored.entry is None or unwanted(stored):
                    freed += _remove(stored.folder)
                    removed.append(stored)
        with suppress(OSError):
            for name in os.listdir(self.root / "jit"):
                if not (self.engines / name[:64]).exists():
                    freed += _remove(self.root / "jit" / name)
        return removed, freed

    def prune_timing(self) -> int:
        """Remove the timing caches and compiled kernels; return the bytes that became free."""
        return _remove(self.root / "timing") + _remove(self.root / "kernels")


def folder_size(path: Path) -> int:
    """Bytes of all files under a folder; links count for nothing."""
    total = 0
    if path.is_symlink():  # os.walk follows the link that it begins with
        return total
    for here, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(here, name)).st_size
    return total


def _remove(path: Path) -> int:
    """Remove a file, a link or a folder; return the bytes that became free."""
    if path.is_symlink() or path.is_file():
        size = path.lstat().st_size
        path.unlink(missing_ok=True)
        return size
    size = folder_size(path)
    shutil.rmtree(path, ignore_errors=True)
    return size - folder_size(path)
