# SPDX-License-Identifier: Apache-2.0
"""From a photo in host memory to its first frame in host memory, warm: all that an animator does, and its stages."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from stillflow.animator import Animator
from stillflow.errors import StillflowError
from stillflow.gpu.layer import CudaDevice
from stillflow_bench.gpu.engines import ON_GPUS, engines_here
from stillflow_bench.gpu.networks import PRECISIONS
from stillflow_bench.gpu.plan import Plan
from stillflow_bench.gpu.samples import Samples, missing
from stillflow_bench.photos import of_size, sample_photos
from stillflow_bench.report import Row

PART = "latency"

LIMIT = 8.0
"""Milliseconds, warm, at 720p."""


def measure(device: CudaDevice, plan: Plan) -> list[Row]:
    """Animate one photo again and again, with each engine and as chosen by itself.

    Returns:
        Rows of the part "latency".
    """
    _, absent = engines_here(plan.device)
    where = f"cuda:{plan.device}"
    ways: list[tuple[str, Callable[[], Animator]]] = [
        ("as chosen", lambda: Animator(plan.bundle, device=where, allow_fallback=True))
    ]
    rows = []
    for engine in ON_GPUS:
        for precision in PRECISIONS:
            name = f"{engine} {precision}"
            if engine in absent:
                rows.append(missing(PART, f"photo to first frame, {name}", absent[engine], "ms", limit=LIMIT))
                continue
            ways.append((name, lambda e=engine, p=precision: Animator(plan.bundle, e, p, where)))  # type: ignore[misc]
    for name, make in ways:
        try:
            rows += _rows(device, plan, name, make())
        except StillflowError as error:
            why = f"{error.what}: {error.why}"
            rows.append(missing(PART, f"photo to first frame, {name}", why, "ms", limit=LIMIT))
    return rows


def _rows(device: CudaDevice, plan: Plan, name: str, animator: Animator) -> list[Row]:
    photo = of_size(next(iter(sample_photos()), None), *plan.size("720p"))
    whole: list[float] = []
    stages: dict[str, list[float]] = {}
    runs: dict[str, Any] = {}
    for _ in range(plan.warm_up + plan.repeats):
        started = time.perf_counter()
        loop = animator.animate(photo)
        made = time.perf_counter()
        loop.frame(0)
        ended = time.perf_counter()
        whole.append(1000 * (ended - started))
        for stage, seconds in {**loop.seconds, "first frame": ended - made}.items():
            stages.setdefault(stage, []).append(1000 * seconds)
        runs = dict(loop.runs)
        close = getattr(loop.scene, "close", None)
        if close is not None:
            close()
    about = {**plan.about(device), "size": plan.shown("720p"), "runs": runs}

    def kept(values: list[float]) -> Samples:
        return Samples(tuple(values[plan.warm_up :]), tuple(values[: plan.warm_up]), "ms")

    said = f"photo to first frame, {name}"
    rows = [kept(whole).row(PART, said, about, limit=LIMIT)]
    return rows + [kept(values).row(PART, f"{said}: {stage}", about) for stage, values in stages.items()]
