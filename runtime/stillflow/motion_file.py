# SPDX-License-Identifier: Apache-2.0
"""A Motion on disk: arrays for programs, or a picture for people."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from stillflow.errors import StillflowError
from stillflow.output import NOTHING, Reads, check_file

if TYPE_CHECKING:
    from stillflow.motion import Motion
    from stillflow.photo import Photo

SUFFIXES = (".npz", ".png")


def check_motion_target(
    path: str | os.PathLike[str],
    source: str | os.PathLike[str] | None = None,
    *,
    reads: Reads = NOTHING,
    overwrite: bool = False,
) -> Path:
    """Refuse an output name before the network runs for it.

    Args:
        path: motion.npz or motion.png.
        source: the photo, which is never overwritten.
        reads: other files that are read, by what they are; likewise.
        overwrite: whether an existing file may be replaced.

    Returns:
        The path.

    Raises:
        StillflowError: another extension, or the file cannot be written there.
    """
    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        raise StillflowError(
            f"cannot write {target}",
            f"its extension is {target.suffix or 'missing'}, which says neither arrays nor picture",
            "name it .npz for arrays, or .png for a picture",
        )
    check_file(target, source=source, reads=reads, overwrite=overwrite)
    return target


def write_motion(path: Path, photo: Photo, motion: Motion) -> None:
    """Write a motion; the file appears when it is complete.

    Args:
        path: .npz writes the arrays, .png the photo with what moves tinted and arrows drawn.
        photo: of the motion's size.
        motion: what to write.

    Raises:
        StillflowError: the disk is full, the folder is read-only, or another reason of the system.
    """
    # Imported here: the video package brings PyAV, 60 ms that checking a name need not wait for.
    from stillflow.video.destination import FileDestination

    target = FileDestination(path)
    try:
        with target.errors():
            if path.suffix.lower() == ".npz":
                motion.save(target.path)
            else:
                target.path.write_bytes(_drawn(photo, motion))
            target.commit()
    finally:
        target.abort()


def _drawn(photo: Photo, motion: Motion) -> bytes:
    """The motion's picture as a PNG file."""
    from stillflow.video.sequence import png_bytes

    return png_bytes(motion.picture(photo.pixels))
