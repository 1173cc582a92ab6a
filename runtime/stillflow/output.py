# SPDX-License-Identifier: Apache-2.0
"""Outputs looked at before any work is done for them: minutes later is too late for a wrong folder."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from stillflow.errors import StillflowError

Reads: TypeAlias = "Mapping[str, str | os.PathLike[str] | None]"
"""Files by what they are, such as "mask"; None where there is none."""

NOTHING: Reads = MappingProxyType({})

PLACE = re.compile(r"%0?\d*d")
"""Where a number goes in a pattern."""


def check_loop_targets(
    output: str,
    count: int = 1,
    *,
    format: str | None = None,
    source: str | os.PathLike[str] | None = None,
    reads: Reads = NOTHING,
    overwrite: bool = False,
) -> list[str]:
    """Name the outputs of so many loops, and refuse them all if one cannot be written.

    Args:
        output: of one loop, or what the outputs of several are named after (``future_names``).
        count: how many loops.
        format: a name that overrules the output's ending.
        source: the photo, which is never overwritten.
        reads: other files that are read, by what they are; likewise.
        overwrite: whether existing files may be replaced.

    Returns:
        One name for each loop.

    Raises:
        StillflowError: one of the reasons of ``check_loop_target`` and ``future_names``.
    """
    names = future_names(output, count, format=format)
    for name in names:
        check_loop_target(name, format=format, source=source, reads=reads, overwrite=overwrite)
    return names


def check_loop_target(
    output: str,
    *,
    format: str | None = None,
    source: str | os.PathLike[str] | None = None,
    reads: Reads = NOTHING,
    overwrite: bool = False,
) -> None:
    """Refuse the output of a loop before the photo is read.

    Args:
        output: a file, a folder, a pattern like frames/%04d.png, or "-" for standard output.
        format: a name that overrules the output's ending.
        source: the photo, which is never overwritten.
        reads: other files that are read, by what they are; likewise.
        overwrite: whether existing files may be replaced.

    Raises:
        StillflowError: the format is unknown or contradicts the name's ending, standard output is a
            terminal, or one of check_file's reasons.
    """
    from stillflow.video import format_of

    kind = format_of(output, format)
    _check_name_and_format(output, kind, format)
    if is_stream(output):
        if kind == "png":
            raise StillflowError(
                f"cannot write {output}",
                "a sequence is many files",
                "name a folder, or leave --format out for raw frames",
            )
        if output == "-" and os.isatty(1):
            raise StillflowError(
                "cannot write frames to standard output",
                "it is a terminal, which would show them as garbage",
                "name a file, or pipe it into a program: stillflow animate ... -o - | ffplay ...",
            )
        return
    path = Path(output)
    if kind != "png":
        check_file(path, source=source, reads=reads, overwrite=overwrite)
    elif "%" not in output:
        check_folder(path.parent, f"cannot write {output}")
    elif path.parent.exists():
        # The pattern itself is judged by the sink; here only the first of the numbered names matters.
        first = PLACE.sub(lambda place: place[0] % 0, path.name)
        check_file(path.with_name(first), source=source, reads=reads, overwrite=overwrite)
    else:
        check_folder(path.parent.parent, f"cannot write {output}")


def future_names(output: str, count: int, *, format: str | None = None) -> list[str]:
    """Name the outputs of several futures after the one that the user gave.

    loop.mp4 becomes loop-1.mp4, loop-2.mp4...; loop_%02d.mp4 becomes loop_01.mp4...; frames/ and frames/%04d.png
    become the folders frames-1/...

    Args:
        output: as for ``check_loop_target``.
        count: how many; with 1 the name stays as it is.
        format: a name that overrules the output's ending.

    Returns:
        One name for each.

    Raises:
        StillflowError: a stream, which carries one loop only, or a pattern without a folder of its own.
    """
    from stillflow.video import format_of

    kind = format_of(output, format)
    if count == 1:
        return [output]
    if is_stream(output):
        raise StillflowError(
            f"cannot write {count} futures to {'standard output' if output == '-' else output}",
            "a stream carries one loop only",
            "name a file such as loop.mp4, or take one of them with --seed",
        )
    numbers = [f"{number:0{len(str(count))}d}" for number in range(1, count + 1)]
    head, tail = os.path.split(output.rstrip(os.sep) if kind == "png" else output)
    if kind == "png" and "%" in tail:
        if not head:
            raise StillflowError(
                f"cannot write {count} futures like {output}",
                "their pictures would all lie in one folder",
                f"give them folders: {os.path.join('frames', tail)}",
            )
        return [os.path.join(f"{head}-{number}", tail) for number in numbers]
    if kind == "png":
        return [os.path.join(head, f"{tail}-{number}", "") for number in numbers]
    places = PLACE.findall(tail)
    if len(places) == 1:
        return [os.path.join(head, tail.replace(places[0], places[0] % int(number))) for number in numbers]
    stem, ending = os.path.splitext(tail)
    return [os.path.join(head, f"{stem}-{number}{ending}") for number in numbers]


def _check_name_and_format(output: str, kind: str, format: str | None) -> None:
    """Refuse loop.mp4 with --format gif: what is in a file should be what its name says."""
    from stillflow.video import format_of

    if format is None or output == "-" or not os.path.splitext(output)[1]:
        return
    try:
        named = format_of(output)
    except StillflowError:  # an ending that says nothing contradicts nothing
        return
    if named != kind:
        raise StillflowError(
            f"cannot write {output} as {kind}",
            f"its name says {named}",
            "leave --format out, or give the file another ending",
        )


def check_file(
    path: Path,
    *,
    source: str | os.PathLike[str] | None = None,
    reads: Reads = NOTHING,
    overwrite: bool = False,
) -> None:
    """Refuse a file that cannot be written, or must not be replaced.

    Args:
        path: the file to be written.
        source: the photo, which is never overwritten.
        reads: other files that are read, by what they are; likewise.
        overwrite: whether an existing file may be replaced.

    Raises:
        StillflowError: the folder is missing, is a file or may not be written to; the name is a folder;
            the file exists and overwrite is False; or it is one of the files that are read.
    """
    what = f"cannot write {path}"
    check_folder(path.parent, what)
    try:
        if path.is_dir():
            raise StillflowError(
                what, "it is a folder", f"name a file in it, for example {path / 'loop.mp4'}"
            )
        if not path.exists():
            return
        for name, file in {"photo": source, **reads}.items():
            if file is not None and os.path.exists(file) and path.samefile(file):
                raise StillflowError(what, f"it is the {name} itself", "choose another name")
    except (OSError, ValueError) as error:
        raise StillflowError(what, _reason(error), "choose another name") from error
    if not overwrite:
        raise StillflowError(
            what, "it exists already", "add --overwrite to replace it, or choose another name"
        )


def check_folder(folder: Path, what: str) -> None:
    """Refuse a folder that is missing, is a file, or may not be written to.

    Args:
        folder: where something is to be created.
        what: the beginning of the message, such as "cannot write loop.mp4".
    """
    try:
        there, is_folder = folder.exists(), folder.is_dir()
        writable = os.access(folder, os.W_OK | os.X_OK) and not _read_only_disk(folder)
    except (OSError, ValueError) as error:
        raise StillflowError(what, _reason(error), "choose another folder") from error
    if not there:
        raise StillflowError(what, f"the folder {folder} does not exist", f"run: mkdir -p {folder}")
    if not is_folder:
        raise StillflowError(what, f"{folder} is a file, not a folder", "choose another folder")
    if not writable:
        raise StillflowError(what, f"the folder {folder} is read-only", "choose a folder you may write to")


def is_stream(path: str) -> bool:
    """Whether an output is standard output, a pipe or a device: nothing to create, nothing to replace."""
    if path == "-":
        return True
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _read_only_disk(folder: Path) -> bool:
    # os.access tells root that everything is writable, a read-only mount included on some systems.
    if not hasattr(os, "statvfs") or not folder.is_dir():
        return False
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def _reason(error: OSError | ValueError) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
