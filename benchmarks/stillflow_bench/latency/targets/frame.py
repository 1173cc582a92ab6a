# SPDX-License-Identifier: Apache-2.0
"""Target "frame": a photo in memory becomes the first frame of its loop, by the public Animator."""

from __future__ import annotations

import time

import msgspec

from stillflow.loop import Loop
from stillflow_bench.latency.inputs import fingerprint, short_digest
from stillflow_bench.latency.target import Answer, Facts, TargetSpec
from stillflow_bench.latency.targets.moving import guidance_of
from stillflow_bench.latency.targets.opened import animator_of, facts_of, photos_of, pixels_of

DIGEST = "frame 0 is the photo where nothing has moved yet, so a digest is of frame 0 and of the middle frame"


def open_target(spec: TargetSpec) -> FrameTarget:
    """Open it.

    Raises:
        StillflowError: what the subject names is not here.
    """
    return FrameTarget(spec)


class FrameTarget:
    """A query makes a loop and renders its first frame. Spans: its stages, and what the networks took."""

    def __init__(self, spec: TargetSpec) -> None:
        self._subject = subject = spec.subject
        self._animator = animator_of(subject)
        files, self._photos = photos_of(spec)
        self._guidance = guidance_of(subject.width, subject.height, subject.moving)
        for graph in self._animator.choice.precisions:
            self._animator.session(graph)
        self._shares: list[float | None] = [None] * len(self._photos)
        hashes = [fingerprint(pixels_of(photo)) for photo in self._photos]
        self._facts = facts_of(self._animator, hashes, files, {"digest": DIGEST})

    @property
    def facts(self) -> Facts:
        """See `Target`. The share of an input that moves is known once a digest was taken of its loop."""
        return msgspec.structs.replace(
            self._facts, notes={**self._facts.notes, "moving_share": list(self._shares)}
        )

    @property
    def inputs(self) -> int:
        """See `Target`."""
        return len(self._photos)

    def query(self, index: int, lane: int = 0) -> Answer:
        """See `Target`."""
        subject = self._subject
        spans = self._animator.watch.start()
        loop = self._animator.animate(
            self._photos[index], self._guidance, seconds=subject.seconds, fps=subject.fps
        )
        began = time.monotonic_ns()
        frame = loop.frame(0)
        spans["stage frame"] = time.monotonic_ns() - began
        spans.update(stages(loop))
        self._animator.watch.stop()

        def digest() -> str:
            self._shares[index] = loop.moving_share
            return short_digest({"first": frame, "middle": loop.frame(len(loop) // 2)})

        return Answer(spans, digest)

    def close(self) -> None:
        """See `Target`."""
        self._animator.close()
        self._photos = []


def stages(loop: Loop) -> dict[str, int]:
    """Nanoseconds of what a loop went through so far, by "stage NAME"."""
    return {f"stage {name}": round(1e9 * seconds) for name, seconds in loop.seconds.items()}
