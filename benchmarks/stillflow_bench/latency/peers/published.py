# SPDX-License-Identifier: Apache-2.0
"""The published family's pipeline, with random weights of the published shapes: a query as its scripts would serve it.

The photo is encoded once: 2 x width channels of features at full size, and a logit. A frame throws them along the
motion from both ends of the loop, weighed by the exponential of the logit, divides, and decodes the whole picture at
full size, whatever share of it moves. That is what the scripts of SLR-SFS and text2cinemagraph do, and no published
weights may be passed on: time does not depend on them (``gpu.random_generator``).

Kinder than those scripts: the motion is given instead of found, and the Euler steps are taken when the target is opened
instead of anew for every frame. Nothing else is left out. Option ``photos``: how many are encoded when it is opened
(default 1: an encoded photo of 720p takes 240 MB, and takes the same time whatever is on it). Option ``width``:
channels of the first blocks, 32 as published. Boundaries: "B3.next" is one further frame, "B3.frame" has the encoder in
it and takes every photo.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Protocol

import msgspec
import numpy as np

from stillflow.errors import StillflowError
from stillflow.features.displacements import Displacements
from stillflow.features.networks import BYTES_A_PIXEL
from stillflow.kernels.arrays import ByteArray, FloatArray
from stillflow.kernels.splat_source import share_at
from stillflow_bench.gpu.random_generator import WIDTH
from stillflow_bench.latency.inputs import fingerprint, photo_files, photo_of, short_digest
from stillflow_bench.latency.subject import Subject
from stillflow_bench.latency.target import Answer, Facts, TargetSpec

WEIGHT_FLOOR = -20.0
"""Of the logit less its largest, as in SLR-SFS: lighter features weigh no less."""

SPEED = 0.06
"""Picture widths a second that what moves falls: that of ``photos.falling_column``."""

TIMES = 32
"""Frames of the loop that are asked for, spread evenly over it. Their displacements take 470 MB at 720p."""

MULTIPLE = 4
"""The decoder halves twice."""

MOST_BYTES = 8 << 30
"""That decoding one picture may take: 1920x1080 at width 32 takes 6.4 GB."""

Throw = tuple[FloatArray, float]
"""Displacement (H, W, 2) float32 in pixels, and the share of what is thrown along it."""


class Pipeline(Protocol):
    """The networks and the splat on one library."""

    @property
    def facts(self) -> Facts:
        """What is known of the library."""

    def encode(self, photo: ByteArray) -> Any:
        """(H, W, 3) uint8 to what is kept of a photo; done when it returns."""

    def splat(self, kept: Any, throws: tuple[Throw, Throw]) -> Any:
        """Throw it both ways and divide: what the decoder takes; done when it returns."""

    def decode(self, landed: Any) -> ByteArray:
        """The frame, (H, W, 3) uint8."""


class Published:
    """A target around a pipeline.

    Args:
        spec: see `TargetSpec`; ``moving`` None is the whole picture.
        pipeline: opened for it.
        width: of its networks.
    """

    def __init__(self, spec: TargetSpec, pipeline: Pipeline, width: int) -> None:
        subject = spec.subject
        self._pipeline, self._whole = pipeline, spec.boundary == "B3.frame"
        files = photo_files(spec.photos)
        if not self._whole:
            files = files[: max(1, int(spec.options.get("photos", 1)))]
        photos = [photo_of(path, subject).pixels for path in files]
        frames = max(1, round(subject.seconds * subject.fps))
        count = min(TIMES, frames)
        times = [0] if self._whole else [int((k + 0.5) * frames / count) for k in range(count)]
        velocity = falling(subject)
        course = Displacements(velocity, frames, 0)
        self._throws = [throws_at(course, t) for t in times]
        self._photos = photos
        self._kept = [] if self._whole else [pipeline.encode(photo) for photo in photos]
        hashes = [fingerprint({"photo": photo}) for photo in photos]
        about = {
            "width": width,
            "weights": "random",
            "frames": frames,
            "times": times,
            "moving_share": [round(float((velocity != 0).any(-1).mean()), 4)] * len(photos),
            "motion": "given; Euler steps are taken beforehand",
            "decoded": "the whole picture",
        }
        self.facts = msgspec.structs.replace(
            pipeline.facts,
            frames="encoder, splat, decoder at full size",
            inputs=[_hash(photo, t) for t in times for photo in hashes],
            photos=[path.name for path in files],
            notes={**about, **pipeline.facts.notes},
        )

    @property
    def inputs(self) -> int:
        """See `Target`."""
        return len(self._photos) * len(self._throws)

    def query(self, index: int, lane: int = 0) -> Answer:
        """See `Target`. One lane: a frame takes all cores and gigabytes."""
        which = index % len(self._photos)
        marks = [time.monotonic_ns()]
        stages = ["stage splat", "stage decode"]
        if self._whole:
            kept = self._pipeline.encode(self._photos[which])
            marks.append(time.monotonic_ns())
            stages.insert(0, "stage encode")
        else:
            kept = self._kept[which]
        landed = self._pipeline.splat(kept, self._throws[index // len(self._photos)])
        marks.append(time.monotonic_ns())
        frame = self._pipeline.decode(landed)
        marks.append(time.monotonic_ns())
        spans = {name: end - begin for name, begin, end in zip(stages, marks[:-1], marks[1:], strict=True)}
        return Answer(spans, partial(short_digest, {"frame": frame}))

    def frame(self, index: int) -> ByteArray:
        """The picture of a query: to hold a pipeline to others."""
        kept = self._pipeline.encode(self._photos[index % len(self._photos)])
        return self._pipeline.decode(self._pipeline.splat(kept, self._throws[index // len(self._photos)]))

    def close(self) -> None:
        """See `Target`."""
        self._kept.clear()
        self._throws.clear()


def width_of(spec: TargetSpec, peer: str) -> int:
    """Read the option ``width``, and say what does not fit.

    Raises:
        StillflowError: a picture that the networks do not take, or that would take too much memory.
    """
    width, subject = int(spec.options.get("width", WIDTH)), spec.subject
    what = f"cannot measure {peer} at {subject.size}"
    if subject.width % MULTIPLE or subject.height % MULTIPLE:
        why = f"the decoder halves twice, and {subject.width}x{subject.height} does not divide by {MULTIPLE}"
        raise StillflowError(what, why, "choose another size, such as size=720p")
    wanted = BYTES_A_PIXEL["decoder"] * width // WIDTH * subject.width * subject.height
    if not 1 <= width <= 4 * WIDTH or wanted > MOST_BYTES:
        raise StillflowError(
            what,
            f"decoding it at width {width} takes about {wanted / 1e9:.1f} GB",
            f"choose a smaller size, or a width of 1 to {4 * WIDTH} that fits into {MOST_BYTES / 1e9:.1f} GB",
        )
    return width


def falling(subject: Subject) -> FloatArray:
    """(H, W, 2) float32 pixels a frame: a column in the middle falls, the whole picture where no share is named."""
    share = 1.0 if subject.moving is None else subject.moving
    velocity = np.zeros((subject.height, subject.width, 2), np.float32)
    left, right = (round(subject.width * (1 + side * share) / 2) for side in (-1, 1))
    velocity[:, left:right, 1] = SPEED * subject.width / subject.fps
    return velocity


def throws_at(course: Displacements, t: int) -> tuple[Throw, Throw]:
    """Displacements of a frame both ways, with their shares."""
    share = share_at(t, course.frames)
    forward, backward = course.at(t)
    return (forward, share), (backward, 1 - share)


def as_input(photo: ByteArray) -> FloatArray:
    """(H, W, 3) uint8 to (1, 3, H, W) float32 -1..1, as the encoder takes it."""
    planes = np.moveaxis(photo, -1, 0)[None].astype(np.float32)
    return np.ascontiguousarray(planes / np.float32(127.5) - 1)


def _hash(photo: str, t: int) -> str:
    return fingerprint({"photo": np.frombuffer(photo.encode(), np.uint8), "t": np.array(t)})
