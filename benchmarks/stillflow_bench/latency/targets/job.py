# SPDX-License-Identifier: Apache-2.0
"""Target "job": the name of a photo file is given, and the finished video is closed and on the disk."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from pathlib import Path

import msgspec

from stillflow_bench.latency.target import Answer, Facts, TargetSpec
from stillflow_bench.latency.targets.frame import stages
from stillflow_bench.latency.targets.moving import guidance_of
from stillflow_bench.latency.targets.opened import animator_of, facts_of, photos_of
from stillflow_bench.latency.temporary import temporary_place
from stillflow_bench.photos import write_photo


def open_target(spec: TargetSpec) -> JobTarget:
    """Open it; the option "folder" says where files are written: in the system's folder for temporary ones otherwise.

    Raises:
        StillflowError: what the subject names is not here.
    """
    return JobTarget(spec)


class JobTarget:
    """A query does what ``stillflow animate PHOTO -o OUT.mp4`` does, in a process that is warm, and syncs the file.

    Photos lie there as JPEG at the subject's size. Spans: the stages, the last of which is "stage sync", and what the
    networks took.
    """

    def __init__(self, spec: TargetSpec) -> None:
        self._subject = subject = spec.subject
        self._animator = animator_of(subject)
        self._guidance = guidance_of(subject.width, subject.height, subject.moving)
        place = str(spec.options.get("folder", "")) or None
        self._folder = tempfile.TemporaryDirectory(prefix="stillflow-bench-", dir=place or temporary_place())
        files, photos = photos_of(spec)
        self._photos = [
            write_photo(photo, self._path(f"{number:03d}.jpg")) for number, photo in enumerate(photos)
        ]
        for graph in self._animator.choice.precisions:
            self._animator.session(graph)
        hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in self._photos]
        self._shares: list[float | None] = [None] * len(hashes)
        self._facts = facts_of(
            self._animator, hashes, files, {"file": "mp4", "disk": _file_system(Path(self._folder.name))}
        )

    def _path(self, name: str) -> Path:
        return Path(self._folder.name) / name

    @property
    def facts(self) -> Facts:
        """See `Target`. The share of an input that moves is known once a digest was taken of its file."""
        notes = {**self._facts.notes, "moving_share": list(self._shares)}
        return msgspec.structs.replace(self._facts, notes=notes)

    @property
    def inputs(self) -> int:
        """See `Target`."""
        return len(self._photos)

    def query(self, index: int, lane: int = 0) -> Answer:
        """See `Target`. The digest is to be taken before the lane's next query, which replaces the file."""
        subject = self._subject
        out = self._path(f"lane-{lane}.mp4")
        spans = self._animator.watch.start()
        loop = self._animator.animate(
            self._photos[index], self._guidance, seconds=subject.seconds, fps=subject.fps
        )
        loop.save(out)
        began = time.monotonic_ns()
        sync(out)
        sync(out.parent)
        spans["stage sync"] = time.monotonic_ns() - began
        spans.update(stages(loop))
        self._animator.watch.stop()

        def digest() -> str:
            self._shares[index] = loop.moving_share
            return hashlib.sha256(out.read_bytes()).hexdigest()[:16]

        return Answer(spans, digest)

    def close(self) -> None:
        """See `Target`."""
        self._animator.close()
        self._folder.cleanup()


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _file_system(folder: Path) -> str:
    """The kind of file system that a folder lies on, such as "ext4"; "" where the system does not tell.

    On tmpfs there is no disk to wait for.
    """
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    mounts = [line.split()[1:3] for line in lines]
    around = [(len(place), kind) for place, kind in mounts if folder.is_relative_to(place)]
    return max(around)[1] if around else ""
