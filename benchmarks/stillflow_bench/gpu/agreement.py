# SPDX-License-Identifier: Apache-2.0
"""Frames made with a GPU against the same made on the CPU: kernels alone, and the whole way from the photo."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stillflow.animator import Animator
from stillflow.errors import StillflowError
from stillflow.gpu.layer import CudaDevice
from stillflow.gpu_scene import GpuScene
from stillflow.kernels.arrays import ByteArray
from stillflow.loop import Loop
from stillflow.scene import Scene
from stillflow_bench.gpu.engines import ON_GPUS, engines_here
from stillflow_bench.gpu.networks import PRECISIONS
from stillflow_bench.gpu.plan import Plan
from stillflow_bench.gpu.samples import SUITE, missing
from stillflow_bench.photos import of_size, sample_photos
from stillflow_bench.report import Row

PART = "agreement"

LIMITS = {"fp32": 50.0, "fp16": 45.0}
"""dB of PSNR, of the worst frame."""

SAME = 120.0
"""dB that stand for frames that are equal to the last bit."""

FRAMES = 8
"""Spread over the loop."""


def psnr(one: ByteArray, other: ByteArray) -> float:
    """Peak signal to noise ratio of two frames in dB; ``SAME`` where nothing differs."""
    error = float(np.mean((one.astype(np.float64) - other) ** 2))
    return SAME if error == 0 else min(SAME, 10 * float(np.log10(255**2 / error)))


def measure(device: CudaDevice, plan: Plan) -> list[Row]:
    """Compare frames of the sample photos at 720p.

    Returns:
        Rows of the part "agreement".
    """
    photos = [of_size(path, *plan.size("720p")) for path in sample_photos()[: 1 if plan.tiny else None]]
    photos = photos or [of_size(None, *plan.size("720p"))]
    cpu = Animator(plan.bundle, device="cpu", precision="fp32")
    loops = [cpu.animate(photo) for photo in photos]
    expected = [frames_of(loop.frame, loop.scene.frames) for loop in loops]
    about = {
        **plan.about(device),
        "size": plan.shown("720p"),
        "photos_compared": len(photos),
        "frames": FRAMES,
    }
    rows = _kernel_rows(device, loops, expected, about)
    _, absent = engines_here(plan.device)
    for engine in ON_GPUS:
        for precision in PRECISIONS:
            name = f"from the photo on, {engine} {precision} against the CPU in fp32"
            limit = LIMITS[precision]
            if engine in absent:
                rows.append(missing(PART, name, absent[engine], "dB", limit=limit, side="at least"))
                continue
            try:
                animator = Animator(plan.bundle, engine, precision, f"cuda:{plan.device}")
                made = [_animated(animator.animate(photo)) for photo in photos]
            except StillflowError as error:
                why = f"{error.what}: {error.why}"
                rows.append(missing(PART, name, why, "dB", limit=limit, side="at least"))
                continue
            values = [
                psnr(a, b) for x, y in zip(made, expected, strict=True) for a, b in zip(x, y, strict=True)
            ]
            rows.append(_row(name, "dB", values, about, limit))
    return rows


def frames_of(frame: Callable[[int], ByteArray], count: int) -> list[ByteArray]:
    """Frames spread over a loop."""
    return [frame(round(count * index / FRAMES)) for index in range(FRAMES)]


def _animated(loop: Loop) -> list[ByteArray]:
    try:
        return frames_of(loop.frame, loop.scene.frames)
    finally:
        close = getattr(loop.scene, "close", None)
        if close is not None:
            close()


def _kernel_rows(
    device: CudaDevice, loops: list[Loop], expected: list[list[ByteArray]], about: dict[str, object]
) -> list[Row]:
    """The same scenes on both."""
    values, levels = [], []
    for loop, frames in zip(loops, expected, strict=True):
        assert isinstance(loop.scene, Scene)
        with GpuScene(loop.scene, device) as played:
            for got, frame in zip(frames_of(played.frame, played.frames), frames, strict=True):
                values.append(psnr(got, frame))
                levels.append(float(np.abs(got.astype(np.int16) - frame).max()))
    largest = Row(
        SUITE, "the same scene on both: largest difference", "levels", tuple(levels), about, 1.0,
        part=PART, summary="largest",
    )  # fmt: skip
    return [_row("the same scene on both, PSNR", "dB", values, about, LIMITS["fp32"]), largest]


def _row(name: str, unit: str, values: list[float], about: dict[str, object], limit: float) -> Row:
    return Row(SUITE, name, unit, tuple(values), about, limit, "at least", PART, "smallest")
