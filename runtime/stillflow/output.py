# SPDX-License-Identifier: Apache-2.0
"""Files that appear whole or not at all, and are never replaced by mistake."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from stillflow.errors import StillflowError

_FIXES = {
    errno.ENOSPC: "free some space, or write to another disk",
    errno.EDQUOT: "free some of your quota, or write to another disk",
    errno.EFBIG: "write to a file system that takes larger files, or make a smaller loop",
    errno.EROFS: "write to another folder, this one is read-only",
    errno.EACCES: "choose a folder you may write to",
    errno.EPERM: "choose a folder you may write to",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def write_error(path: str | os.PathLike[str], error: OSError) -> StillflowError:
    """Turn a failed write into an error about the file.

    Args:
        path: the name the user gave.
        error: what the system said.
    """
    why = (error.strerror or str(error) or type(error).__name__).lower()
    fix = _FIXES.get(error.errno or 0, "check the folder and the disk, or write somewhere else")
    return StillflowError(f"cannot write {os.fspath(path)}", why, fix)


def check_target(path: Path, *, source: str | os.PathLike[str] | None = None, force: bool = False) -> None:
    """Refuse an output before any work is done for it.

    Args:
        path: the file to be written.
        source: the photo, which is never overwritten.
        force: whether an existing file may be replaced.

    Raises:
        StillflowError: the folder is missing, is a file or may not be written to; the name is a folder;
            the file exists and force is False; or it is the photo itself.
    """
    what = f"cannot write {path}"
    folder = path.parent
    try:
        there, is_folder = folder.exists(), folder.is_dir()
        if not there:
            raise StillflowError(what, f"the folder {folder} does not exist", f"run: mkdir -p {folder}")
        if not is_folder:
            raise StillflowError(what, f"{folder} is a file, not a folder", "choose another folder")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise StillflowError(
                what, f"the folder {folder} is read-only", "choose a folder you may write to"
            )
        if path.is_dir():
            raise StillflowError(
                what, "it is a folder", f"name a file in it, for example {path / 'loop.mp4'}"
            )
        if source is not None and path.exists() and os.path.exists(source) and path.samefile(source):
            raise StillflowError(what, "it is the photo itself", "choose another name")
        if path.exists() and not force:
            raise StillflowError(
                what, "it exists already", "add --force to replace it, or choose another name"
            )
    except OSError as error:
        raise write_error(path, error) from error


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary name beside the file; it takes the file's name when the block ends well.

    Args:
        path: the file to be written; an existing one is replaced.

    Yields:
        The name to write to, with the same suffix. Removed when the block raises.

    Raises:
        StillflowError: the system refused to write.
    """
    part = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
