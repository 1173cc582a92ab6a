# SPDX-License-Identifier: Apache-2.0
"""The splat of one frame of a feature scene against a plain copy of its features, on one thread and on two.

The worst case: every pixel moves, by a flow that turns and gathers, forward and backward, at half of the loop; 64
channels and their weight, as the published generators have. A scene throws its moving window only. A ratio, so that
it can be compared between machines; splat and copy are taken in turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from stillflow.kernels.arrays import FloatArray
from stillflow.kernels.native import best_isa
from stillflow.kernels.native_splat import NativeSplat, euler, euler_step
from stillflow.kernels.splat_reference import grid
from stillflow.kernels.splat_source import SplatSource
from stillflow_bench.photos import SIZES
from stillflow_bench.report import Row

LIMIT = 1000.0
"""Milliseconds of a splat at 720p on one thread: the decoder that follows takes many times as long."""

CHANNELS = 65
"""Of a source: 64 features and their weight."""

FRAMES = 60
"""N, of a loop; the frame that is timed lies at its middle."""

THREADS = (1, 2)
"""Threads that share a frame."""


def measure(*, repeats: int = 5, size: str = "720p", channels: int = CHANNELS) -> list[Row]:
    """Time Euler steps and splats.

    Args:
        repeats: samples of each figure, >= 1.
        size: a name from ``photos.SIZES``.
        channels: of the source, weight included, >= 2.

    Returns:
        Rows of the suite "kernels".
    """
    width, height = SIZES[size]
    velocity = turning(height, width)
    values = np.random.default_rng(0).standard_normal((height, width, channels), np.float32)
    np.abs(values[..., -1], out=values[..., -1])
    source = SplatSource(values, (channels - 1,), (height, width))
    throws = [(euler(velocity, FRAMES // 2), 0.5), (euler(-velocity, FRAMES - FRAMES // 2), 0.5)]
    warped, landed = (
        np.empty((channels - 1, height, width), np.float32),
        np.empty((height, width), np.float32),
    )
    copied = values.copy()
    note: dict[str, object] = {"size": size, "channels": channels, "isa": best_isa().name}
    name = f"{size}, {channels} channels, all moving"
    rows = [_euler(velocity, repeats, size, note)]
    for threads in THREADS:
        splat = NativeSplat(source, threads)

        def whole(splat: NativeSplat = splat) -> None:
            splat.aim(throws)
            splat.land(None, warped, landed)

        whole()  # touches every page once
        copies, splats = [], []
        for _ in range(repeats):
            copies.append(_timed(partial(np.copyto, copied, values)))
            splats.append(_timed(whole))
        ratios = tuple(a / b for a, b in zip(splats, copies, strict=True))
        about, limit = {**note, "threads": threads}, LIMIT if threads == 1 and size == "720p" else None
        said = f"{name}, {threads} thread{'s' if threads > 1 else ''}"
        rows.append(Row("kernels", f"splat, {said}", "ms", tuple(1000 * s for s in splats), about, limit))
        rows.append(Row("kernels", f"splat / copy of features, {said}", "x", ratios, about))
    return rows


def turning(height: int, width: int) -> FloatArray:
    """Draw a velocity, (H, W, 2) float32 pixels a frame, that falls, turns and gathers: up to about 1.3 either way."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.stack([0.3 + 0.4 * np.sin(y / 40), 0.8 + 0.3 * np.cos(x / 30)], -1).astype(np.float32)


def _euler(velocity: FloatArray, repeats: int, size: str, note: dict[str, object]) -> Row:
    height, width = velocity.shape[:2]
    position, invalid = grid(height, width), np.zeros((height, width), bool)
    displacement = np.zeros_like(position)
    step = partial(euler_step, velocity, position, invalid, None, displacement)
    samples = tuple(1000 * _timed(step) for _ in range(repeats))
    return Row("kernels", f"Euler step, {size}, all moving, 1 thread", "ms", samples, note)


def _timed(work: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
