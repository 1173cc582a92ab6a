# SPDX-License-Identifier: Apache-2.0
"""What follows from samples and telemetry: ratios, throughput, energy, and fewer points to draw with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stillflow_bench.latency.comparable import in_turn
from stillflow_bench.latency.page.material import Shown, Values
from stillflow_bench.latency.percentile import ratio_interval
from stillflow_bench.latency.record import Look

LEAST_ROUNDS = 5
"""Pairs without which a ratio gets no interval."""


class Ratio(NamedTuple):
    """How many times as long one block takes as another.

    Attributes:
        value: median over median; where there are too few queries for a median, the fastest of them over the other's.
        low: 95 % interval over rounds; None: fewer than ``LEAST_ROUNDS``, or they did not take turns.
        high: likewise.
        fastest: whether it is of the fastest query.
    """

    value: float
    low: float | None = None
    high: float | None = None
    fastest: bool = False


def ratio(one: Shown, other: Shown) -> Ratio | None:
    """How many times as long ``one`` takes as ``other``; None where the other has no median, or either no samples."""
    mine, theirs = one.summary, other.summary
    if mine is None or theirs is None or not theirs.percentiles["p50"]:
        return None
    if mine.percentiles["p50"] is None:
        return Ratio(mine.least / theirs.percentiles["p50"], fastest=True)
    value = mine.percentiles["p50"] / theirs.percentiles["p50"]
    mine_by_round, theirs_by_round = round_medians(one), round_medians(other)
    turns = in_turn(one.block, other.block)
    pairs = [
        mine_by_round[k] / theirs_by_round[k]
        for k in sorted(mine_by_round)
        if turns and theirs_by_round.get(k)
    ]
    if len(pairs) < LEAST_ROUNDS or min(pairs) <= 0:
        return Ratio(value)
    return Ratio(value, *ratio_interval(pairs)[1:])


def round_medians(shown: Shown) -> dict[int, float]:
    """Round -> median of its samples, milliseconds."""
    rounds = np.asarray([sample.round for sample in shown.good])
    return {int(k): float(np.median(shown.latencies[rounds == k])) for k in np.unique(rounds)}


def throughput(shown: Shown) -> float | None:
    """Answers a second: of all rounds, each from its first query to its last answer; None without answers."""
    spent = sum(
        max(s.done for s in turn) - min(s.issued if s.scheduled is None else s.scheduled for s in turn)
        for turn in shown.turns.values()
    )
    return len(shown.good) / spent * 1e9 if spent > 0 else None


def joules(shown: Shown, telemetry: Sequence[Look]) -> float | None:
    """Energy of the package or board a query, others' share and idling included; None: the machine does not tell.

    For what runs on a GPU it is that of the GPU. The counter is read between looks by a straight line; where there is
    none, draw is integrated.
    """
    times, counted = _counter(telemetry, on_gpu=on_gpu(shown))
    if len(times) < 2 or not shown.good:
        return None
    ends = np.asarray([(turn[0].issued, max(s.done for s in turn)) for turn in shown.turns.values()], float)
    if ends.min() < times[0] or ends.max() > times[-1]:
        return None
    # Shorter than the looks are apart, a block has no energy of its own.
    if (ends[:, 1] - ends[:, 0]).sum() < 2 * float(np.median(np.diff(times))):
        return None
    spent = np.interp(ends[:, 1], times, counted) - np.interp(ends[:, 0], times, counted)
    return float(spent.sum()) / len(shown.good)


def on_gpu(shown: Shown) -> bool:
    """Whether a block says that it ran on a GPU."""
    return shown.measured.facts.device.startswith("cuda")


def _counter(telemetry: Sequence[Look], *, on_gpu: bool) -> tuple[Values, Values]:
    """Nanoseconds and joules since whenever, rising."""
    for number, name in enumerate(("joules", "watts")):
        read = [(look.at, look.gpu.get(name) if on_gpu else getattr(look, name)) for look in telemetry]
        told = [(at, value) for at, value in read if isinstance(value, int | float)]
        if len(told) < 2:
            continue
        times, values = (np.asarray(column, float) for column in zip(*told, strict=True))
        if number == 0:
            # A counter that starts anew is no counter of this run.
            return (times, values) if (np.diff(values) >= 0).all() else (np.empty(0), np.empty(0))
        steps = np.diff(times) / 1e9 * (values[1:] + values[:-1]) / 2
        return times, np.concatenate(([0.0], np.cumsum(steps)))
    return np.empty(0), np.empty(0)


def tail(values: Values, points: int) -> tuple[Values, Values]:
    """A distribution as few points: milliseconds, and the share of samples that takes longer.

    Ranks are chosen evenly in the share below and in the logarithm of the share above, so that the slowest samples
    are all there; the first and the last point are the smallest and the largest sample.

    Args:
        values: at least one.
        points: at most about so many.
    """
    ordered = np.sort(values)
    count = len(ordered)
    if count > points:
        below = np.linspace(0, count - 1, points // 2)
        above = count - np.geomspace(1, count, points // 2)
        ranks = np.unique(np.concatenate((below, above)).round().astype(int).clip(0, count - 1))
    else:
        ranks = np.arange(count)
    return ordered[ranks], 1 - (ranks + 1) / count


def thinned(times: Values, values: Values, points: int) -> tuple[Values, Values, Values]:
    """Samples over time as at most so many stretches, each with its fastest and its slowest, so that no stall is lost.

    Args:
        times: rising.
        values: as many.
        points: stretches at most.

    Returns:
        Where each begins, its smallest value, its largest; of few samples each is a stretch of its own.
    """
    if len(times) <= points:
        return times, values, values
    parts = np.array_split(np.arange(len(times)), points)
    return (
        times[[part[0] for part in parts]],
        np.asarray([values[part].min() for part in parts]),
        np.asarray([values[part].max() for part in parts]),
    )


def windows(times: Values, values: Values, count: int, least: int = 5) -> tuple[Values, Values, Values]:
    """Medians of stretches of equally many samples.

    Args:
        times: rising.
        values: as many.
        count: of stretches at most.
        least: samples that each has.

    Returns:
        Where each begins, where it ends, and its median.
    """
    parts = np.array_split(np.arange(len(times)), max(1, min(count, len(times) // least)))
    return (
        times[[part[0] for part in parts]],
        times[[part[-1] for part in parts]],
        np.asarray([np.median(values[part]) for part in parts]),
    )
