# SPDX-License-Identifier: Apache-2.0
"""Files on disk: there whole or not at all, and reports refused early where they cannot be written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from stillflow.errors import StillflowError
from stillflow.output import check_file


def check_text_file(path: Path, suffixes: Sequence[str]) -> None:
    """Refuse a report that cannot be written. One that is there is replaced: it can always be made again.

    Args:
        path: of the report.
        suffixes: that its name may end in, so that nothing else is replaced by mistake.

    Raises:
        StillflowError: another ending, no such folder, a folder of that name, or a folder one may not write to.
    """
    if path.suffix not in suffixes:
        raise StillflowError(
            f"cannot write {path}",
            f"its name ends in '{path.suffix}'",
            f"give it a name that ends in {' or '.join(suffixes)}",
        )
    check_file(path, overwrite=True)


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8, lone surrogates replaced; see `write_whole`."""
    write_whole(path, text.encode("utf-8", "replace"))


def write_whole(path: Path, data: bytes) -> None:
    """Write a file; it appears whole or not at all.

    Raises:
        StillflowError: the folder does not exist, is full or may not be written to, or what is there is a device, a
            pipe or a folder, which a file must not take the place of.
    """
    if path.exists() and not path.is_file():
        raise StillflowError(
            f"cannot write {path}", "what is there is not a plain file", "choose another name"
        )
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        why = str(error.strerror or error).lower()
        fix = "choose a folder that exists, has room and may be written to"
        raise StillflowError(f"cannot write {path}", why, fix) from error
    finally:
        partial.unlink(missing_ok=True)
