# SPDX-License-Identifier: Apache-2.0
"""The limit of a frame: a copy of it, which every frame costs at least.

Source and destination lie in memory that nothing touched for a while, as after a frame, when caches hold what made it:
frames are copied within a ring of buffers that no cache holds. The suite "kernels" has the hot copy, too.
"""

from __future__ import annotations

import threading
from functools import partial

import numpy as np

from stillflow_bench.latency.inputs import fingerprint, photo_of, short_digest
from stillflow_bench.latency.peers.moving_scenes import frame_bytes, held_photos
from stillflow_bench.latency.target import Answer, Facts, TargetSpec

RING = 128 << 20
"""Bytes of a ring of sources, and of one of destinations: four times the 32 MiB that a server's processor keeps for
eight cores. All photos share one; the first has one to itself, since an audit asks for it again and again."""


def open_target(spec: TargetSpec) -> CopyFrame:
    """Hold the photos of a run.

    Raises:
        StillflowError: there are none.
    """
    return CopyFrame(spec)


class CopyFrame:
    """A target whose query copies one frame."""

    def __init__(self, spec: TargetSpec) -> None:
        size = frame_bytes(spec.subject)
        paths = held_photos(spec, size)
        self._photos = [photo_of(path, spec.subject).pixels for path in paths]
        shared = max(1, RING // (size * len(paths)))
        first = max(1, RING // size)
        turns = [first, *[shared] * (len(paths) - 1)]
        # What is copied is the same each time a photo is asked for; where it lies is not.
        self._sources = [
            [pixels, *(pixels.copy() for _ in range(count - 1))]
            for pixels, count in zip(self._photos, turns, strict=True)
        ]
        self._outs = [
            [np.zeros_like(pixels) for _ in range(count)]
            for pixels, count in zip(self._photos, turns, strict=True)
        ]
        self._turns = [0] * len(paths)
        self._lock = threading.Lock()
        self.facts = Facts(
            engine="numpy",
            version=np.__version__,
            provider="memcpy",
            device="cpu",
            frames="a copy of the photo",
            inputs=[fingerprint({"photo": pixels}) for pixels in self._photos],
            photos=[path.name for path in paths],
            notes={"bytes": size, "ring_bytes": 2 * size * sum(turns)},
        )

    @property
    def inputs(self) -> int:
        """See `Target`."""
        return len(self._photos)

    def query(self, index: int, lane: int = 0) -> Answer:
        """See `Target`."""
        with self._lock:
            turn = self._turns[index]
            self._turns[index] = (turn + 1) % len(self._sources[index])
        out = self._outs[index][turn]
        np.copyto(out, self._sources[index][turn])
        return Answer(digest=partial(short_digest, {"frame": out}))

    def close(self) -> None:
        """See `Target`."""
        for held in (self._sources, self._outs):
            held.clear()
