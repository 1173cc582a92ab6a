# SPDX-License-Identifier: Apache-2.0
"""Steady play in two lanes: how long the GPU stands idle, and frames a second into device memory and the host's.

Idle is what of the time is not the kernels': those of one frame, timed by events alone on the device, times the frames
that were played. Frames that leave the device are bound by the bus or by the encoder, so their idle share has no limit.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

from stillflow.gpu.layer import CudaDevice, Stream
from stillflow.gpu_scene import GpuScene
from stillflow.player import Player
from stillflow_bench.gpu.frames import SHARES, Stand
from stillflow_bench.gpu.plan import Plan
from stillflow_bench.gpu.samples import Samples
from stillflow_bench.photos import falling_column, of_size, sample_photos
from stillflow_bench.report import Row

PART = "steady"

LIMIT = 0.05
"""Idle share of frames that stay on the device."""

LANES = 2

LOOPS = 5
"""Loops that a sample plays."""


def measure(device: CudaDevice, plan: Plan) -> list[Row]:
    """Play loops at 1080p and 4K.

    Returns:
        Rows of the part "steady".
    """
    rows = []
    for size in ("1080p", "4K"):
        for share in SHARES:
            rows += _rows(device, plan, size, share)
    return rows


def _rows(device: CudaDevice, plan: Plan, size: str, share: float) -> list[Row]:
    stand = Stand(device, plan, size, share)
    try:
        kernels = {
            "RGB": min(stand.timed(lambda i: stand.whole(i, still=False), plan).values),
            "NV12": min(stand.timed(lambda i: stand.converted(i, still=False), plan).values),
        }
    finally:
        stand.close()
    source = next(iter(sample_photos()), None)
    scene = falling_column(
        of_size(source, *plan.size(size)), share, seconds=0.2 if plan.tiny else 4.0, fps=30.0
    )
    loops = 1 if plan.tiny else LOOPS
    about = {**plan.about(device), "size": plan.shown(size), "lanes": LANES, "frames": scene.frames * loops}
    rows = []
    with GpuScene(scene, device, lanes=LANES) as played, closing(device.stream()) as stream:
        plays: tuple[tuple[str, str, Callable[[], None]], ...] = (
            ("RGB", "device memory", lambda: _drain(played, nv12=False)),
            ("NV12", "device memory", lambda: _drain(played, nv12=True)),
            ("RGB", "device memory, in order of a stream", lambda: _ordered(played, stream, nv12=False)),
            ("NV12", "device memory, in order of a stream", lambda: _ordered(played, stream, nv12=True)),
            ("RGB", "host memory", lambda: _play(Player(played))),
            ("NV12", "host memory", lambda: _play(Player(played.nv12()))),
        )
        for output, where, play in plays:
            taken = _timed(play, loops, plan)
            name = f"{output} in {where}, {size}, {share:.0%} moving"
            kernel, count = kernels[output], scene.frames * loops
            idle = taken.scaled(lambda ms, kernel=kernel, count=count: 1 - kernel * count / ms, "")  # type: ignore[misc]
            limit = LIMIT if where.startswith("device memory") else None
            rows.append(
                idle.row(PART, f"GPU's idle share, {name}", {**about, "kernels_ms": kernel}, limit=limit)
            )
            rate = taken.scaled(lambda ms, count=count: 1000 * count / ms, "frames/s")  # type: ignore[misc]
            rows.append(rate.row(PART, f"frames a second, {name}", about))
    return rows


def _timed(play: Callable[[], None], loops: int, plan: Plan) -> Samples:
    """Milliseconds of several loops, one after the other."""
    repeats, warm_up = max(2, plan.repeats // 6), 1
    taken = []
    for _ in range(warm_up + repeats):
        started = time.perf_counter()
        for _ in range(loops):
            play()
        taken.append(1000 * (time.perf_counter() - started))
    return Samples(tuple(taken[warm_up:]), tuple(taken[:warm_up]), "ms")


def _drain(scene: GpuScene, *, nv12: bool) -> None:
    for _ in scene.device_frames(nv12=nv12):
        pass


def _ordered(scene: GpuScene, stream: Stream, *, nv12: bool) -> None:
    """Frames as a consumer takes them that works in a stream: nobody waits on the host before the end."""
    for _ in scene.device_frames(nv12=nv12, stream=stream.handle):
        pass
    stream.synchronize()


def _play(player: Player) -> None:
    for _ in player.frames(reuse=True):
        pass
