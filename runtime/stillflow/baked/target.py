# SPDX-License-Identifier: Apache-2.0
"""The name of a baked scene, looked at before any work is done for it."""

from __future__ import annotations

import os
from pathlib import Path

from stillflow.errors import StillflowError
from stillflow.output import NOTHING, Reads, check_file

SUFFIX = ".sflow"


def check_scene_target(
    path: str | os.PathLike[str],
    source: str | os.PathLike[str] | None = None,
    *,
    reads: Reads = NOTHING,
    overwrite: bool = False,
    page: bool = False,
) -> Path:
    """Refuse an output name before the networks run for it.

    Args:
        path: photo.sflow.
        source: the photo, which is never overwritten.
        reads: other files that are read, by what they are; likewise.
        overwrite: whether an existing file may be replaced.
        page: whether its page is written beside it; that is looked at too.

    Returns:
        The path.

    Raises:
        StillflowError: another extension, or a file cannot be written there.
    """
    target = Path(path)
    if target.suffix.lower() != SUFFIX:
        raise StillflowError(
            f"cannot write {target}",
            f"its extension is {target.suffix or 'missing'}, and a baked scene ends in {SUFFIX}",
            f"name it {target.with_suffix(SUFFIX) if target.name else 'photo' + SUFFIX}",
        )
    for file in (target, page_of(target)) if page else (target,):
        check_file(file, source=source, reads=reads, overwrite=overwrite)
    return target


def page_of(path: str | os.PathLike[str]) -> Path:
    """The page that plays a scene: photo.html beside photo.sflow."""
    return Path(path).with_suffix(".html")
