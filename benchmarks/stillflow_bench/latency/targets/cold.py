# SPDX-License-Identifier: Apache-2.0
"""Target "cold": from the wish for a new process to its first frame in memory, split into what it waits for."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from stillflow.errors import StillflowError
from stillflow_bench.latency.target import Answer, Facts, TargetSpec
from stillflow_bench.latency.targets.opened import animator_of, facts_of, photos_of
from stillflow_bench.latency.temporary import temporary_place
from stillflow_bench.photos import write_photo

PROBE = "stillflow_bench.latency.targets.cold_probe"

CACHES = ("kept", "empty")

SPLIT = {
    "process start": "from the wish for it until its first line runs",
    "import": "stillflow, NumPy, OpenCV and the engine's library",
    "load": "the manifest, the choice of engine, both networks",
    "build-or-cache": "engines of TensorRT found in the cache, or built; 0 where none are needed",
    "first call": "the networks, each called for the first time",
    "first frame": "the photo read, motion, scene and frame, without the networks",
}
"""Span -> what it is. Together they are the query, but for the way of one line through a pipe."""


def open_target(spec: TargetSpec) -> ColdTarget:
    """Open it; the option "cache" is "kept" (the user's own) or "empty" (a new folder for each process).

    Raises:
        StillflowError: what the subject names is not here, or there is no such cache.
    """
    return ColdTarget(spec)


class ColdTarget:
    """A query starts a process and returns when that has its first frame. One lane: queries do not overlap.

    Files that the system keeps in memory stay there: it is the process that is cold, not the disk.
    """

    def __init__(self, spec: TargetSpec) -> None:
        self._cache = str(spec.options.get("cache", "kept"))
        if self._cache not in CACHES:
            what = f"cannot measure with the cache '{self._cache}'"
            raise StillflowError(what, "there is no such way", f"use {' or '.join(CACHES)}")
        self._subject = subject = spec.subject
        files, photos = photos_of(spec)
        self._running: subprocess.Popen[bytes] | None = None
        self._shares: list[float | None] = [None] * len(photos)
        self._ran: dict[str, str] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="stillflow-bench-", dir=temporary_place())
        self._complaints = Path(self._folder.name) / "complaints.txt"
        try:
            self._photos = [
                write_photo(photo, Path(self._folder.name) / f"{number:03d}.jpg")
                for number, photo in enumerate(photos)
            ]
            with closing(animator_of(subject)) as animator:
                for graph in animator.choice.precisions:
                    animator.session(graph)
                hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in self._photos]
                self._facts = facts_of(animator, hashes, files, {"cache": self._cache, "spans": SPLIT})
                self._engine = animator.choice.engine
        except BaseException:
            self._folder.cleanup()
            raise

    @property
    def facts(self) -> Facts:
        """See `Target`. What the last process said of itself is "ran" in the notes."""
        notes = {**self._facts.notes, "moving_share": list(self._shares), "ran": self._ran}
        return msgspec.structs.replace(self._facts, notes=notes)

    @property
    def inputs(self) -> int:
        """See `Target`."""
        return len(self._photos)

    def query(self, index: int, lane: int = 0) -> Answer:
        """See `Target`. A process whose digest nobody took is waited for by the next query, in its time."""
        self._finish()
        subject = self._subject
        environment = dict(os.environ)
        if self._cache == "empty":
            environment["STILLFLOW_CACHE"] = tempfile.mkdtemp(prefix="cache-", dir=self._folder.name)
        order = {
            "photo": str(self._photos[index]),
            "bundle": subject.bundle,
            "engine": self._engine,
            "precision": subject.precision,
            "device": subject.device,
            "threads": subject.threads,
            "width": subject.width,
            "height": subject.height,
            "moving": subject.moving,
            "seconds": subject.seconds,
            "fps": subject.fps,
        }
        command = [sys.executable, "-m", PROBE, json.dumps(order)]
        with self._complaints.open("wb") as complaints:
            began = time.monotonic_ns()
            self._running = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
                env=environment,
            )
        said = self._line()
        self._ran = dict(said["ran"])
        spans = {"process start": said["started"] - began, **said["spans"]}
        return Answer(spans, lambda: self._digest(index))

    def _digest(self, index: int) -> str:
        said = self._line()
        self._finish()
        self._shares[index] = said["moving_share"]
        return str(said["digest"])

    def _line(self) -> dict[str, Any]:
        """The next line of the process.

        Raises:
            StillflowError: it ended instead.
        """
        process = self._running
        line = process.stdout.readline() if process is not None and process.stdout is not None else b""
        if process is not None and line:
            said: dict[str, Any] = json.loads(line)
            return said
        code = self._finish()
        lines = self._complaints.read_text(encoding="utf-8", errors="replace").splitlines()
        told = [line for line in lines if line and not line.startswith(" ")]
        why = told[-1][:300] if told else f"it ended with {code}"
        raise StillflowError("cannot measure a cold start", why, "see that `stillflow animate` works here")

    def _finish(self) -> int | None:
        """Wait for the process that runs."""
        process, self._running = self._running, None
        if process is None:
            return None
        if process.stdout is not None:
            process.stdout.read()
            process.stdout.close()
        return process.wait()

    def close(self) -> None:
        """See `Target`."""
        self._finish()
        self._folder.cleanup()
