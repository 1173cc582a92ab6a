# SPDX-License-Identifier: Apache-2.0
"""Files of the engine cache: written so that nobody else can, read only where nobody else could have written.

An engine is code: whoever can write it decides what this process does when it is loaded.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stillflow.errors import StillflowError

OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH

_REASONS = {
    errno.ENOSPC: (
        "the disk is full",
        "free some space with `stillflow cache prune`, or set STILLFLOW_CACHE",
    ),
    errno.EDQUOT: ("your disk quota is used up", "free some space with `stillflow cache prune`"),
    errno.EFBIG: ("the file would be larger than this system allows", "raise the limit (ulimit -f)"),
    errno.EROFS: ("it is on a read-only disk", "set STILLFLOW_CACHE to a folder of yours"),
    errno.EACCES: ("you may not write there", "set STILLFLOW_CACHE to a folder of yours"),
    errno.EPERM: ("you may not write there", "set STILLFLOW_CACHE to a folder of yours"),
    errno.EEXIST: ("something of that name is there already", "move it away"),
    errno.ENOTDIR: ("there is a file where a folder should be", "move that file away"),
}
"""errno -> (why, fix)."""


class UnsafeError(Exception):
    """A file that must not be used, with the reason as a phrase."""


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """Turn the system's refusals to write (full, read-only, not yours) into a StillflowError.

    Args:
        what: what could not be done.
    """
    try:
        yield
    except OSError as error:
        said = f"the system said {error.strerror or error}"
        why, fix = _REASONS.get(error.errno or 0, (said, "check the disk, or set STILLFLOW_CACHE"))
        raise StillflowError(what, why, fix) from error


def private_folder(path: Path) -> Path:
    """Make a folder that only its owner may enter, or check that one that is there is such.

    Raises:
        StillflowError: it belongs to somebody else, others may write into it, or it cannot be made.
    """
    what = f"cannot use the engine cache {path}"
    with refusals(what):
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        found = os.lstat(path)
    why = _distrust(found, folder=True)
    if why is not None:
        raise StillflowError(what, why, f"remove it, or make it yours alone: chmod 700 {path}")
    return path


def _distrust(found: os.stat_result, *, folder: bool) -> str | None:
    """Why what stands behind a stat cannot be trusted, as a phrase; None: it can."""
    if stat.S_ISLNK(found.st_mode):
        return "it is a symbolic link"
    if folder != stat.S_ISDIR(found.st_mode) or not (folder or stat.S_ISREG(found.st_mode)):
        return "it is not a folder" if folder else "it is not a plain file"
    if found.st_uid not in (os.geteuid(), 0):
        return "it belongs to another user"
    if found.st_mode & OTHERS_MAY_WRITE:
        return "other users may write to it"
    return None


@contextmanager
def trusted_folder(path: Path) -> Iterator[int]:
    """Open a folder that only its owner can have filled, and yield its descriptor.

    What is read through the descriptor comes from this very folder, even if another takes its name meanwhile.

    Raises:
        UnsafeError: a link, not a folder, somebody else's, or one that others may write into.
        FileNotFoundError: there is none.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnsafeError(_distrust(os.lstat(path), folder=True) or str(error.strerror)) from error
    try:
        why = _distrust(os.fstat(descriptor), folder=True)
        if why is not None:
            raise UnsafeError(why)
        yield descriptor
    finally:
        os.close(descriptor)


def read_trusted(name: str, folder: int | None, limit: int) -> bytes:
    """Read a plain file that only its owner can have written.

    Args:
        name: in the folder, or a path where there is no folder.
        folder: descriptor of `trusted_folder`.
        limit: most bytes it may have.

    Raises:
        UnsafeError: missing, a link, not a plain file, writable by others, or longer than the limit.
    """
    # O_NONBLOCK: opening a named pipe must not wait for a writer.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(name, flags, dir_fd=folder)
    except OSError as error:
        why = "it is a symbolic link" if error.errno == errno.ELOOP else f"{error.strerror}"
        raise UnsafeError(f"{name}: {why}") from error
    why_not = _distrust(os.fstat(descriptor), folder=False)
    if why_not is not None:  # before fdopen, which leaves the descriptor of a folder open
        os.close(descriptor)
        raise UnsafeError(f"{name}: {why_not}")
    with os.fdopen(descriptor, "rb") as file:
        try:
            data = file.read(limit + 1)
        except OSError as error:
            raise UnsafeError(f"{name}: {error.strerror}") from error
    if len(data) > limit:
        raise UnsafeError(f"{name}: it is longer than {limit} bytes")
    return data


def write_private(path: Path, data: bytes | memoryview) -> None:
    """Write a new file that only its owner may read, all of it on the disk when this returns.

    Raises:
        OSError: it exists, or the system refuses; a part of it may be left.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())  # a late "disk full" shows here


def replace_private(path: Path, data: bytes | memoryview) -> None:
    """Write a file beside its final name, then give it that name: readers see the old or the new, never half."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        write_private(part, data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """Put the names in a folder on the disk, where the system can."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems cannot; the names come later then
        return
    finally:
        os.close(descriptor)
