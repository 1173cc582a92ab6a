# SPDX-License-Identifier: Apache-2.0
"""A Motion on disk: arrays for programs, or a picture for people."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from stillflow.errors import StillflowError
from stillflow.output import check_target, whole_file

if TYPE_CHECKING:
    from stillflow.motion import Motion
    from stillflow.photo import Photo

SUFFIXES = (".npz", ".png")


def check_motion_target(
    path: str | os.PathLike[str], source: str | os.PathLike[str] | None = None, *, force: bool = False
) -> Path:
    """Refuse an output name before the network runs for it.

    Args:
        path: motion.npz or motion.png.
        source: the photo, which is never overwritten.
        force: whether an existing file may be replaced.

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
    check_target(target, source=source, force=force)
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
    with whole_file(path) as part:
        if path.suffix.lower() == ".npz":
            motion.save(part)
            return
        import cv2

        drawn = cv2.cvtColor(motion.picture(photo.pixels), cv2.COLOR_RGB2BGR)
        done, data = cv2.imencode(".png", drawn)
        if not done:
            raise RuntimeError("OpenCV did not encode a PNG")
        part.write_bytes(data.tobytes())
