# SPDX-License-Identifier: Apache-2.0
"""Samples of a figure on a GPU: warm-up told apart, nothing thrown away, percentiles by nearest rank."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from stillflow.gpu.layer import CudaDevice, Stream
from stillflow_bench.latency.percentile import needed, percentile
from stillflow_bench.report import Row

SUITE = "gpu"

RANKS = (50, 90, 99)
"""Percentiles that a row tells where it has the samples that they need."""


@dataclass(frozen=True)
class Samples:
    """Values in the order they were taken.

    Attributes:
        values: after the warm-up.
        warm_up: before; kept in the report, in no summary.
        unit: of both.
    """

    values: tuple[float, ...]
    warm_up: tuple[float, ...]
    unit: str

    def scaled(self, change: Callable[[float], float], unit: str) -> Samples:
        """The same samples in another unit."""
        return Samples(tuple(map(change, self.values)), tuple(map(change, self.warm_up)), unit)

    def row(
        self,
        part: str,
        name: str,
        about: Mapping[str, Any],
        *,
        limit: float | None = None,
        side: Literal["at most", "at least"] = "at most",
        baselines: Mapping[str, float] | None = None,
        aim: str = "",
    ) -> Row:
        """A row of the report, with percentiles and the warm-up among its parameters."""
        ranks = {
            f"p{rank}": float(f"{percentile(self.values, rank):.7g}")
            for rank in RANKS
            if len(self.values) >= needed(rank)
        }
        note = {**about, **ranks, "warm_up": [float(f"{value:.7g}") for value in self.warm_up]}
        return Row(
            SUITE, name, self.unit, self.values, note, limit, side, part, baselines=baselines or {}, aim=aim
        )


def missing(part: str, name: str, why: str, unit: str = "", **more: Any) -> Row:
    """A row of what was not measured, with its limit and the reason."""
    return Row(
        SUITE, name, unit, (), part=part, missing=" ".join(why.split()) or "no reason was given", **more
    )


def host_times(work: Callable[[], object], repeats: int, warm_up: int) -> Samples:
    """Milliseconds of calls, by the host's clock."""
    taken = []
    for _ in range(warm_up + repeats):
        started = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - started))
    return Samples(tuple(taken[warm_up:]), tuple(taken[:warm_up]), "ms")


def device_times(
    device: CudaDevice,
    stream: Stream,
    work: Callable[[int], object],
    repeats: int,
    warm_up: int,
    batch: int = 1,
) -> Samples:
    """Milliseconds of work in a stream, by the device's own events.

    Args:
        device: that works.
        stream: that ``work`` puts it in.
        work: is given the number of the piece, from 0, and only enqueues.
        repeats: samples.
        warm_up: samples before those.
        batch: pieces between two events; a sample is their mean. More than one for work that is shorter than what
            enqueuing it takes, so that the device never waits for the host.
    """
    start, end = device.event(timing=True), device.event(timing=True)
    taken = []
    try:
        for sample in range(warm_up + repeats):
            start.record(stream)
            for piece in range(batch):
                work(sample * batch + piece)
            end.record(stream)
            end.synchronize()
            taken.append(end.since(start) / batch)
    finally:
        start.close()
        end.close()
    return Samples(tuple(taken[warm_up:]), tuple(taken[:warm_up]), "ms")
