# SPDX-License-Identifier: Apache-2.0
"""Target "next": one more frame of a loop that is prepared, into a buffer that is used again, as the player does it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stillflow.animator import Animator
from stillflow.bundle import Bundle
from stillflow.gpu_scene import GpuPlay, GpuScene
from stillflow.loop import AnyScene
from stillflow.photo import Photo
from stillflow.player import BufferedScene
from stillflow_bench.latency.inputs import fingerprint, short_digest
from stillflow_bench.latency.subject import Subject
from stillflow_bench.latency.target import Answer, Facts, TargetSpec
from stillflow_bench.latency.targets.moving import guidance_of, moving_share
from stillflow_bench.latency.targets.opened import animator_of, facts_of, photos_of, pixels_of
from stillflow_bench.latency.targets.timed_animator import TimedAnimator
from stillflow_bench.latency.targets.timed_session import Watch
from stillflow_bench.photos import falling_column

MOST_PHOTOS = 8
"""Scenes in memory: one of 4K takes about 200 MB."""

MOST_TIMES = 17
"""Frames of each loop that are asked for, spread evenly over it. A prime number: what moves comes round several times
in a loop, and sixteen frames would meet it at four places only where it comes round four times."""

ByteArray = npt.NDArray[np.uint8]


def open_target(spec: TargetSpec) -> NextFrameTarget:
    """Open it.

    Raises:
        StillflowError: what the subject names is not here.
    """
    return NextFrameTarget(spec)


class NextFrameTarget:
    """A query renders one frame. An input is a photo at a time: there are photos x times of them, photos in turn.

    Where the subject says what share moves, that share of every photo is a column that falls. Otherwise loops are what
    the networks make of the photos. Lanes render whole frames, each into a buffer of its own, as the player's do.
    """

    def __init__(self, spec: TargetSpec) -> None:
        subject = spec.subject
        decodes = Bundle.open(subject.bundle).manifest.loop.rule == "symmetric_splat"
        self._column = subject.moving is not None and not decodes
        if self._column:
            # No network is asked: the frames may be a GPU's where no engine for networks is.
            self._animator: Animator = Animator(subject.bundle, device=subject.device, allow_fallback=True)
            self._watch = Watch()
        else:
            self._animator = timed = animator_of(subject)
            self._watch = timed.watch
        files, photos = photos_of(spec, MOST_PHOTOS)
        self._scenes = [self._scene(photo, spec.subject) for photo in photos]
        frames = self._scenes[0].frames
        count = min(MOST_TIMES, frames)
        self._times = [int((k + 0.5) * frames / count) for k in range(count)]
        self._buffers: dict[int, ByteArray] = {}
        self._lock = threading.Lock()
        for index in range(len(self._scenes)):
            self.query(index)  # a scene's first frame prepares what all others use
        self._facts = self._told(files, photos)

    def _scene(self, photo: Photo, subject: Subject) -> AnyScene:
        seconds, fps = subject.seconds, subject.fps
        if self._column and subject.moving is not None:
            scene = falling_column(photo, subject.moving, seconds=seconds, fps=fps)
            device = self._animator.networks.device
            return scene if device is None else GpuScene(scene, device)
        guidance = guidance_of(subject.width, subject.height, subject.moving)
        return self._animator.animate(photo, guidance, seconds=seconds, fps=fps).scene

    def _told(self, files: list[Path], photos: list[Photo]) -> Facts:
        photo_hashes = [fingerprint(pixels_of(photo)) for photo in photos]
        scenes = [self._input(index) for index in range(self.inputs)]
        hashes = [
            fingerprint({"photo": np.frombuffer(photo_hashes[k].encode(), np.uint8), "t": np.array(t)})
            for k, t in scenes
        ]
        notes: dict[str, Any] = {
            "inputs": f"{len(photos)} photos x {len(self._times)} times",
            "times": self._times,
            "frames": self._scenes[0].frames,
            "moving_share": [moving_share(scene.matte) for scene in self._scenes],
            "motion": "a falling column" if self._column else "as the networks see it",
        }
        if not isinstance(self._animator, TimedAnimator):
            # The frame is geometry, and so was its motion.
            return Facts(
                engine="libstillflow",
                frames=self._animator.choice.painter,
                device=self._animator.choice.frames,
                inputs=hashes,
                photos=[file.name for file in files],
                notes=notes,
            )
        return facts_of(self._animator, hashes, files, notes)

    def _input(self, index: int) -> tuple[int, int]:
        """Scene and time of an input."""
        return index % len(self._scenes), self._times[index // len(self._scenes)]

    def _buffer(self, lane: int) -> ByteArray:
        """The lane's own, made when it asks first."""
        with self._lock:
            if lane not in self._buffers:
                scene = self._scenes[0]
                plain = (scene.height, scene.width, 3)
                if isinstance(scene, BufferedScene):
                    self._buffers[lane] = scene.frame_buffer()
                else:
                    self._buffers[lane] = np.empty(plain, np.uint8)
            return self._buffers[lane]

    @property
    def facts(self) -> Facts:
        """See `Target`."""
        return self._facts

    @property
    def inputs(self) -> int:
        """See `Target`."""
        return len(self._scenes) * len(self._times)

    def query(self, index: int, lane: int = 0) -> Answer:
        """See `Target`. The digest is to be taken before the lane's next query, which uses the buffer again."""
        which, t = self._input(index)
        out = self._buffers.get(lane)
        if out is None:
            out = self._buffer(lane)
        spans = self._watch.start()
        scene = self._scenes[which]
        scene.frame_rows(float(t), 0, scene.height, out)
        return Answer(spans, lambda: short_digest({"frame": out}))

    def close(self) -> None:
        """See `Target`."""
        self._buffers.clear()
        for scene in self._scenes:
            if isinstance(scene, GpuPlay):
                scene.close()
        self._scenes = []
        self._animator.close()
