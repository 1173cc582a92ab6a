# SPDX-License-Identifier: Apache-2.0
"""Where bytes go: beside the final name first, and under it only when complete."""

from __future__ import annotations

import atexit
import errno
import os
import secrets
import shutil
import stat
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stillflow.errors import StillflowError

REASONS: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", "free some space, or write to another disk"),
    errno.EDQUOT: ("your disk quota is used up", "free some space, or write to another disk"),
    errno.EFBIG: ("the file would be larger than this system allows", "make it shorter or smaller (--size)"),
    errno.EROFS: ("the folder is on a read-only disk", "write to a folder you own"),
    errno.EACCES: ("you may not write there", "write to a folder you own, or change its permissions"),
    errno.EPERM: ("you may not write there", "write to a folder you own, or change its permissions"),
    errno.ENOENT: ("the folder does not exist, or was removed meanwhile", "create the folder first"),
    errno.EPIPE: ("the program that reads it has ended", "keep it running until the whole loop is written"),
    errno.ENAMETOOLONG: ("the name is too long", "give a shorter name"),
}
"""errno -> (why, fix)."""


class Destination(ABC):
    """A place for one output.

    Attributes:
        name: what the user called it, for messages.
        path: file or folder to write to until ``commit``.
    """

    name: str
    path: Path

    @abstractmethod
    def commit(self) -> int:
        """Make the output visible under its name; return its size in bytes."""

    @abstractmethod
    def abort(self) -> None:
        """Remove whatever was written. Never raises."""

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn the system's refusals (full, read-only, gone) into a StillflowError."""
        try:
            yield
        except OSError as error:  # PyAV's errors with an errno are OSErrors too
            why, fix = REASONS.get(
                error.errno or 0,
                (f"the system said {error.strerror or error}", "check the disk, or write elsewhere"),
            )
            raise StillflowError(f"cannot write {self.name}", why, fix) from error


class FileDestination(Destination):
    """A regular file: written as ``.NAME.xxxxxxxx.part`` in the same folder, then renamed.

    Args:
        target: the final name. An existing file is replaced at the end; of a symbolic link, the file
            that it points to.

    Raises:
        StillflowError: the folder is missing or not writable, or the name is a folder's.
    """

    def __init__(self, target: Path) -> None:
        self.name = str(target)
        self._target = Path(os.path.realpath(target))
        refuse_folder(self._target, self.name)
        self.path = _hidden(self._target)
        with self.errors():
            # O_EXCL: nobody else's file; 0o666 less the umask, like any file the user creates.
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))

    def commit(self) -> int:
        size = self.path.stat().st_size
        with open(self.path, "rb") as file:
            os.fsync(file.fileno())  # a late "disk full" shows here, before the name is given
        if self._target.exists():
            os.chmod(self.path, stat.S_IMODE(self._target.stat().st_mode))
        os.replace(self.path, self._target)
        _unfinished.pop(self.path, None)
        return size

    def abort(self) -> None:
        self.path.unlink(missing_ok=True)
        _unfinished.pop(self.path, None)


class FolderDestination(Destination):
    """A new folder: filled as a hidden folder beside it, then renamed.

    Args:
        target: the folder to create. It may exist if it is empty.
        name: what the user called it.

    Raises:
        StillflowError: it exists with something in it, or its parent is missing or not writable.
    """

    def __init__(self, target: Path, name: str) -> None:
        self.name = name
        self._target = Path(os.path.realpath(target))
        with self.errors():
            if self._target.exists() and (not self._target.is_dir() or any(self._target.iterdir())):
                raise StillflowError(
                    f"cannot write frames into {target}",
                    "it exists already and is not an empty folder",
                    "name a new folder, or empty this one first",
                )
            self.path = _hidden(self._target)
            self.path.mkdir()

    def commit(self) -> int:
        size = sum(entry.stat().st_size for entry in self.path.iterdir())
        os.replace(self.path, self._target)  # POSIX lets a folder replace an empty one
        _unfinished.pop(self.path, None)
        return size

    def abort(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        _unfinished.pop(self.path, None)


class PatternDestination(Destination):
    """Numbered files in a folder that exists: filled in a hidden folder there, then moved out one by one.

    Args:
        folder: the folder for the files.
        name: what the user called it.

    Raises:
        StillflowError: the folder is not writable.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self._folder = folder
        self.path = _hidden(folder / "frames")
        with self.errors():
            self.path.mkdir()

    def commit(self) -> int:
        entries = sorted(self.path.iterdir())
        size = sum(entry.stat().st_size for entry in entries)
        for entry in entries:
            os.replace(entry, self._folder / entry.name)
        self.path.rmdir()
        _unfinished.pop(self.path, None)
        return size

    def abort(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        _unfinished.pop(self.path, None)


class StreamDestination(Destination):
    """Standard output, a pipe or a device: cannot be renamed or written backwards.

    Formats that need a file are made in the system's temporary folder and copied here at the end.

    Args:
        name: what the user called it.
        descriptor: an open file descriptor to write to; None opens ``name``.

    Raises:
        StillflowError: ``name`` cannot be opened.
    """

    def __init__(self, name: str, descriptor: int | None) -> None:
        self.name = "standard output" if name == "-" else name
        self._own = descriptor is None
        with self.errors():
            self._descriptor = os.open(name, os.O_WRONLY) if descriptor is None else descriptor
        self._written = 0
        self._spool: Path | None = None

    @property
    def path(self) -> Path:  # type: ignore[override]
        """A temporary file whose content ``commit`` sends; made at the first call."""
        if self._spool is None:
            handle, name = tempfile.mkstemp(prefix="stillflow-")
            os.close(handle)
            self._spool = Path(name)
        return self._spool

    def send(self, data: memoryview | bytes) -> None:
        """Write all of the data now."""
        rest = memoryview(data).cast("B")
        while rest:
            sent = os.write(self._descriptor, rest)
            self._written += sent
            rest = rest[sent:]

    def commit(self) -> int:
        if self._spool is not None:
            with open(self._spool, "rb") as file:
                while block := file.read(1 << 20):
                    self.send(block)
        self.abort()
        return self._written

    def abort(self) -> None:
        if self._spool is not None:
            self._spool.unlink(missing_ok=True)
            self._spool = None
        if self._own:
            os.close(self._descriptor)
            self._own = False


def open_destination(path: str) -> Destination:
    """Choose the destination of a single output: a file, or a stream for "-", pipes and devices."""
    if path == "-":
        # Its own buffer could otherwise write after us; we use the descriptor below it.
        sys.stdout.flush()
        return StreamDestination("-", 1)
    try:
        mode = os.stat(path).st_mode
    except OSError:
        mode = stat.S_IFREG  # not there yet; a missing folder is reported when the file is created
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return FileDestination(Path(path))
    return StreamDestination(path, None)


def refuse_folder(target: Path, name: str) -> None:
    """Raise a StillflowError if a file is to be written where a folder is."""
    if target.is_dir():
        raise StillflowError(
            f"cannot write {name}",
            "it is a folder",
            f"name a file in it, such as {Path(name) / 'loop.mp4'}",
        )


def _hidden(target: Path) -> Path:
    """Return an unused hidden name beside a target, short enough wherever the target's own name is."""
    path = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.part")
    _unfinished[path] = os.getpid()
    return path


_unfinished: dict[Path, int] = {}
"""Hidden names in use, with the process that uses them: a signal may come before anybody else knows a name."""


@atexit.register
def _sweep() -> None:
    """Remove what an interruption between the creation of a hidden file and its use left behind."""
    for path, process in _unfinished.items():
        if process != os.getpid():  # a forked child does not remove its parent's work
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
