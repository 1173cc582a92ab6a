# SPDX-License-Identifier: Apache-2.0
"""The limit of a job: encoding frames that are there already, with our x264 settings, closed and on the disk.

The frames are those of the loop that our job makes of the same photo, rendered when the target is opened. Loops of
which not all frames fit into memory keep as many as do and are played to and fro, so that what moves goes on moving;
``facts.notes`` say how many. The encoder is used as PyAV's manual shows it (``encode.pyav_alone``).

Option ``photos``: so many loops at most (0: as many as fit into memory); rendering them takes time before anything is
measured.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import av
import numpy as np
from av import library_versions

from stillflow.kernels.arrays import ByteArray
from stillflow.player import Player
from stillflow.scene import Scene
from stillflow.video.encoders import X264_OPTIONS
from stillflow_bench.encode import pyav_alone
from stillflow_bench.latency.peers.moving_scenes import frame_bytes, held_photos, scenes
from stillflow_bench.latency.target import Answer, Facts, TargetSpec
from stillflow_bench.latency.temporary import temporary_place

MOST_BYTES = 1 << 30
"""Of ready-made frames: three loops of 120 frames at 720p."""


def open_target(spec: TargetSpec) -> EncodeOnly:
    """Render loops.

    Raises:
        StillflowError: there are no photos, or the bundle does not open.
    """
    return EncodeOnly(spec)


class EncodeOnly:
    """A target whose query writes one file.

    Args:
        spec: see `TargetSpec`.
        most_bytes: of ready-made frames.
    """

    def __init__(self, spec: TargetSpec, most_bytes: int = MOST_BYTES) -> None:
        subject = spec.subject
        size, frames = frame_bytes(subject), max(1, round(subject.seconds * subject.fps))
        kept = max(2, min(frames, most_bytes // size)) if frames > 1 else 1
        paths = held_photos(spec, size * kept, most_bytes)[: int(spec.options.get("photos", 0)) or None]
        self._loops = [to_and_fro(first_frames(scene, kept), frames) for scene in scenes(paths, subject)]
        self._fps = subject.fps
        self._folder = tempfile.TemporaryDirectory(prefix="stillflow-encode-", dir=temporary_place())
        self.facts = Facts(
            engine="libx264",
            version=av.__version__,
            provider=f"PyAV {av.__version__}, libavcodec {'.'.join(map(str, library_versions['libavcodec']))}",
            device="cpu",
            frames="ready-made",
            inputs=[_fingerprint(loop) for loop in self._loops],
            photos=[path.name for path in paths],
            notes={"x264": dict(X264_OPTIONS), "frames": frames, "frames_kept": kept},
        )

    @property
    def inputs(self) -> int:
        """See `Target`."""
        return len(self._loops)

    def query(self, index: int, lane: int = 0) -> Answer:
        """See `Target`. The digest is of this query's file until the lane's next one."""
        target = Path(self._folder.name) / f"loop-{lane}.mp4"
        began = time.monotonic_ns()
        pyav_alone(self._loops[index], self._fps, target)
        encoded = time.monotonic_ns()
        file = os.open(target, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
        spans = {"stage encode": encoded - began, "stage fsync": time.monotonic_ns() - encoded}
        return Answer(spans, partial(_digest, target))

    def close(self) -> None:
        """See `Target`."""
        self._loops.clear()
        self._folder.cleanup()


def first_frames(scene: Scene, count: int) -> list[ByteArray]:
    """The first frames of a loop."""
    found = []
    with closing(Player(scene).frames()) as frames:
        for _, frame in frames:
            found.append(frame)
            if len(found) == count:
                break
    return found


def to_and_fro(kept: list[ByteArray], count: int) -> list[ByteArray]:
    """As many frames as asked for, of those that are kept: forward, back, forward; each is there once in memory."""

    def order() -> Iterator[int]:
        while True:
            yield from range(len(kept))
            yield from range(len(kept) - 2, 0, -1)

    return [kept[i] for i, _ in zip(order(), range(count), strict=False)]


def _fingerprint(loop: list[ByteArray]) -> str:
    told = hashlib.sha256()
    for frame in loop:
        told.update(np.ascontiguousarray(frame).data)
    return told.hexdigest()


def _digest(target: Path) -> str:
    return hashlib.sha256(target.read_bytes()).hexdigest()[:16]
