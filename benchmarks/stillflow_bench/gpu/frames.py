# SPDX-License-Identifier: Apache-2.0
"""Frames made in device memory: how many a second, and how near a frame's halves come to the speed of a copy.

Each piece is a CUDA graph of several frames at times spread over the loop, where the provider has graphs, so that the
device never waits for the host. A frame is timed as a lane makes it (what never moves lies there already) and whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from stillflow.gpu.layer import CudaDevice, Memory, Stream
from stillflow.kernels.cuda_scene import CudaScene, bytes_moved
from stillflow_bench.gpu.bandwidth import copy_bandwidth
from stillflow_bench.gpu.plan import Plan
from stillflow_bench.gpu.samples import Samples, device_times
from stillflow_bench.kernels import moving
from stillflow_bench.photos import of_size, sample_photos
from stillflow_bench.report import Row

PART = "frames"

SHARES = (0.3, 1.0)
"""Part of the picture that moves."""

TIMES = 16
"""Frames between two events."""

BYTES_A_PIXEL = 34
"""That the issue counts for a pixel: what compose reads and writes of it, taps of its bicubic gathers included."""

FRAMES_A_SECOND = 3000.0
"""At 1080p, from device memory."""

BOUND_SHARE = 0.4
"""Of the speed of a copy that compose is to reach at 4K with 30 % moving."""


class Stand:
    """A scene on the device with all that timing it needs.

    Args:
        device: that plays.
        plan: sizes and repeats.
        size: a name from ``photos.SIZES``.
        share: of the picture that moves.
    """

    def __init__(self, device: CudaDevice, plan: Plan, size: str, share: float) -> None:
        source = next(iter(sample_photos()), None)
        self.arrays = moving(of_size(source, *plan.size(size)), share)
        self.scene = CudaScene(self.arrays, device)
        self.scratch = self.scene.scratch(nv12=True)
        self.stream: Stream = device.stream()
        self.rgb: Memory = device.allocate(self.scene.rgb_bytes)
        self.nv12: Memory = device.allocate(self.scene.nv12_bytes)
        self._device = device
        times = self.arrays.frames * (np.arange(TIMES) + 0.5) / TIMES
        self._times = device.allocate(times.nbytes)
        device.upload(times, self._times.address, self.stream)
        for still in (True, False):
            self.whole(0, still=still)
            self.converted(0, still=still)
        self.stream.synchronize()

    def time(self, index: int) -> int:
        """Where the time of a frame lies."""
        return self._times.address + 8 * (index % TIMES)

    def whole(self, index: int, *, still: bool) -> None:
        """Enqueue a frame in RGB."""
        self.scene.enqueue(self.time(index), self.scratch, self.stream, rgb=self.rgb.address, still=still)

    def converted(self, index: int, *, still: bool) -> None:
        """Enqueue a frame in NV12."""
        self.scene.enqueue(self.time(index), self.scratch, self.stream, nv12=self.nv12.address, still=still)

    def fields(self, index: int) -> None:
        """Enqueue the first half."""
        self.scene.enqueue_fields(self.time(index), self.scratch, self.stream)

    def compose(self, _: int) -> None:
        """Enqueue the second half."""
        self.scene.enqueue_compose(self.scratch, self.rgb.address, self.stream)

    def timed(self, work: Callable[[int], None], plan: Plan) -> Samples:
        """Milliseconds of one frame's work, by events around ``TIMES`` of them."""
        with pieces(self._device, self.stream, work) as play:
            taken = device_times(self._device, self.stream, play, plan.repeats, plan.warm_up)
        return taken.scaled(lambda ms: ms / TIMES, "ms")

    def close(self) -> None:
        """Give everything back."""
        self.stream.synchronize()
        for held in (self.rgb, self.nv12, self._times, self.scratch, self.scene, self.stream):
            held.close()


@contextmanager
def pieces(
    device: CudaDevice, stream: Stream, work: Callable[[int], None]
) -> Iterator[Callable[[int], None]]:
    """Give what plays ``TIMES`` pieces of work in one call: a graph, or plain launches where there are none."""

    def plain(_: int) -> None:
        for index in range(TIMES):
            work(index)

    if not device.graphs:
        yield plain
        return
    with device.capture(stream) as recording:
        plain(0)
    graph = recording.graph
    try:
        yield lambda _: graph.launch(stream)
    finally:
        stream.synchronize()
        graph.close()


def measure(device: CudaDevice, plan: Plan) -> list[Row]:
    """Measure frames at 1080p and 4K.

    Returns:
        Rows of the part "frames".
    """
    copies = copy_bandwidth(device, plan)
    rows = []
    for size in ("1080p", "4K"):
        for share in SHARES:
            stand = Stand(device, plan, size, share)
            try:
                rows += _scene_rows(
                    device, plan, stand, size, share, sorted(copies.values)[len(copies.values) // 2]
                )
            finally:
                stand.close()
    return rows


def _scene_rows(
    device: CudaDevice, plan: Plan, stand: Stand, size: str, share: float, bandwidth: float
) -> list[Row]:
    name = f"{size}, {share:.0%} moving"
    pixels = stand.arrays.height * stand.arrays.width
    about = {
        **plan.about(device),
        "size": plan.shown(size),
        "moving_share": round(float((stand.arrays.matte > 0).mean()), 4),
        "graphs": device.graphs,
        "copy_gb_s": round(bandwidth, 1),
    }
    playing = stand.timed(lambda i: stand.whole(i, still=False), plan)
    whole = stand.timed(lambda i: stand.whole(i, still=True), plan)
    fields, compose = stand.timed(stand.fields, plan), stand.timed(stand.compose, plan)
    nv12 = stand.timed(lambda i: stand.converted(i, still=False), plan)
    touched = stand.scene.moving.pixels
    # Milliseconds that a copy of so many bytes takes at the measured speed.
    bound = BYTES_A_PIXEL * touched / bandwidth / 1e6
    moved = bytes_moved(stand.scene, still=False)["sf_compose"] / bandwidth / 1e6
    limit = BOUND_SHARE if (size, share) == ("4K", 0.3) else None
    least = FRAMES_A_SECOND if size == "1080p" else None
    told = {
        "34 bytes of every pixel, moving or not": BYTES_A_PIXEL * pixels / bandwidth / 1e6 / _median(compose),
        "bytes that it must move": moved / _median(compose),
    }
    return [
        playing.scaled(lambda ms: 1000 / ms, "frames/s").row(
            PART,
            f"frames a second in device memory, {name}",
            about,
            limit=least,
            side="at least",
            baselines={"whole, the still part written again": 1000 / _median(whole)},
        ),
        compose.scaled(lambda ms: bound / ms, "").row(
            PART,
            f"compose, share of a copy of 34 bytes a moving pixel, {name}",
            about,
            limit=limit,
            side="at least",
            baselines=told,
        ),
        compose.row(PART, f"compose, {name}", about),
        fields.row(PART, f"fields, {name}", about),
        playing.row(PART, f"frame as a lane makes it, {name}", about),
        whole.row(PART, f"frame with what is still, {name}", about),
        nv12.row(PART, f"frame as NV12, {name}", about),
    ]


def _median(samples: Samples) -> float:
    ordered = sorted(samples.values)
    return ordered[(len(ordered) - 1) // 2]
