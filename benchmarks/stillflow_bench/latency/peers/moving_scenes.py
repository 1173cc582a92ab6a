# SPDX-License-Identifier: Apache-2.0
"""Scenes that baselines and limits are measured on: the photos of a run, moving as ours do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stillflow.animator import Animator
from stillflow.errors import StillflowError
from stillflow.scene import Scene
from stillflow_bench.latency.inputs import photo_files, photo_of
from stillflow_bench.latency.subject import Subject
from stillflow_bench.latency.target import TargetSpec
from stillflow_bench.photos import falling_column

MOST_BYTES = 2 << 30
"""Of what a target holds for its photos: larger pictures are measured on fewer of them."""


def held_photos(spec: TargetSpec, bytes_each: int, most_bytes: int = MOST_BYTES) -> tuple[Path, ...]:
    """As many photos of a run, evenly chosen, as fit into memory; one at least.

    Args:
        spec: of the target.
        bytes_each: what it holds for a photo.
        most_bytes: of all.
    """
    files = photo_files(spec.photos)
    count = max(1, min(len(files), most_bytes // bytes_each))
    return tuple(files[i * len(files) // count] for i in range(count))


def scenes(paths: tuple[Path, ...], subject: Subject) -> Iterator[Scene]:
    """Make a scene of each photo.

    A column of the subject's share falls; where the subject names no share, the networks say what moves.

    Args:
        paths: of photos.
        subject: size, share, length and frame rate.

    Raises:
        StillflowError: the bundle makes scenes of another kind.
    """
    if subject.moving is not None:
        for path in paths:
            photo = photo_of(path, subject)
            yield falling_column(photo, subject.moving, seconds=subject.seconds, fps=subject.fps)
        return
    with Animator(subject.bundle, device="cpu") as animator:
        for path in paths:
            scene = animator.animate(photo_of(path, subject), seconds=subject.seconds, fps=subject.fps).scene
            if not isinstance(scene, Scene):
                raise StillflowError(
                    f"cannot measure a baseline of the bundle {subject.bundle}",
                    "its frames are decoded and not warped",
                    "use the bundle edge, or name the share that moves",
                )
            yield scene


def frame_bytes(subject: Subject) -> int:
    """Of one frame, (H, W, 3) uint8."""
    return 3 * subject.width * subject.height
