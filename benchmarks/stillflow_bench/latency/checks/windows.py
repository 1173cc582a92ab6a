# SPDX-License-Identifier: Apache-2.0
"""Whether times stayed as they were: a measurement cut into equal parts, and what chance makes of such parts."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

CUT = 5.0
"""% of the samples at either end that count no more than the sample at that rank: a single stall says nothing of its
window. Medians would be as steady, and would flip between the modes of times that have two."""

CHANCE = 0.998
"""Of what the same samples do in any order: a spread beyond it is none of theirs. A run has ten blocks or so, and times
that have two modes or a heavy tail must not make one in ten runs INVALID."""

FEWEST_OF_INPUT = 3
"""Samples of an input, for a median of it."""

MOST_SHUFFLES, FEWEST_SHUFFLES = 1000, 250
MOST_DRAWN, MOST_AT_ONCE = 4_000_000, 200_000
"""Samples that are drawn in all, so that an hour's are judged in a second; and in one go, 1.6 MB."""

Floats = npt.NDArray[np.float64]


def without_inputs(values: Sequence[float], inputs: Sequence[int]) -> Floats:
    """Take out what differs from input to input: photos take times of their own.

    Args:
        values: in order.
        inputs: of each.

    Returns:
        Values divided by their input's median, times the median of all; unchanged where an input has fewer than
        ``FEWEST_OF_INPUT`` samples.
    """
    of_input: dict[int, list[float]] = {}
    for value, index in zip(values, inputs, strict=True):
        of_input.setdefault(index, []).append(value)
    whole = np.asarray(values, float)
    if len(of_input) < 2 or min(map(len, of_input.values())) < FEWEST_OF_INPUT:
        return whole
    typical = {index: statistics.median(few) for index, few in of_input.items()}
    if min(typical.values()) <= 0:
        return whole
    return whole / [typical[index] for index in inputs] * float(np.median(whole))


def levels(values: Floats, windows: int) -> Floats:
    """Means of windows of equal count, outliers cut (see ``CUT``).

    Args:
        values: in order, at least one for each window.
        windows: how many.
    """
    return _means(without_outliers(values), windows)


def spread(found: Floats) -> float:
    """% between the smallest and the largest, of their mean; 0 where that is 0."""
    return float(_spreads(found[None])[0])


def chance_spread(values: Floats, windows: int) -> float:
    """The spread that the same samples keep within in nearly all random orders, %.

    Args:
        values: in any order.
        windows: how many.
    """
    return float(np.quantile(_spreads(_shuffled(values, windows)), CHANCE))


def excess(found: Floats) -> float:
    """% by which the first window is above the median of the others; 0 where there is one alone."""
    return float(_excesses(found[None])[0]) if len(found) > 1 else 0.0


def chance_excess(values: Floats, windows: int) -> float:
    """As ``chance_spread``, of ``excess``."""
    return float(np.quantile(_excesses(_shuffled(values, windows)), CHANCE))


def _spreads(rows: Floats) -> Floats:
    mean = rows.mean(1)
    return _percent(rows.max(1) - rows.min(1), mean)


def _excesses(rows: Floats) -> Floats:
    rest = np.median(rows[:, 1:], axis=1)
    return _percent(rows[:, 0] - rest, rest)


def _percent(part: Floats, whole: Floats) -> Floats:
    """0 where there is no whole."""
    return np.divide(100 * part, whole, out=np.zeros_like(part), where=whole > 0)


def rank_correlation(values: Floats) -> float:
    """Spearman's, of values with their order: 1 for ever more, -1 for ever less, about 0 for neither."""
    ranks = ranks_of(values)
    order = np.arange(len(values), dtype=float)
    if len(values) < 2 or not ranks.std():
        return 0.0
    return float(np.corrcoef(ranks, order)[0, 1])


def ranks_of(values: Floats) -> Floats:
    """Ranks from 0, the mean of theirs for equal ones."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts + 1) / 2)[inverse], float)


def shape(found: Floats, limit: float) -> Literal["drift", "episode", "wavering"]:
    """How windows differ that do.

    Args:
        found: levels.
        limit: % that they may differ by.

    Returns:
        "drift": a line explains most of it; "episode": all but one window are alike; "wavering": neither.
    """
    if abs(float(np.corrcoef(found, np.arange(len(found)))[0, 1])) >= 0.9:
        return "drift"
    odd = int(np.argmax(np.abs(found - np.median(found))))
    return "episode" if spread(np.delete(found, odd)) <= limit else "wavering"


def without_outliers(values: Floats) -> Floats:
    """The values at either end as that at their rank (see ``CUT``)."""
    low, high = np.percentile(values, [CUT, 100 - CUT], method="nearest")
    return np.clip(values, low, high)


def _means(rows: Floats, windows: int) -> Floats:
    """Of each window along the last axis."""
    ends = np.linspace(0, rows.shape[-1], windows + 1).round().astype(int)
    means: Floats = np.add.reduceat(rows, ends[:-1], axis=-1) / np.diff(ends)
    return means


def _shuffled(values: Floats, windows: int) -> Floats:
    """A row of levels for each random order."""
    rng = np.random.default_rng(0)
    cut = without_outliers(values)
    times = max(FEWEST_SHUFFLES, min(MOST_SHUFFLES, MOST_DRAWN // len(values)))
    at_once = max(1, MOST_AT_ONCE // len(values))
    found = []
    for begin in range(0, times, at_once):
        rows = np.tile(cut, (min(at_once, times - begin), 1))
        found.append(_means(rng.permuted(rows, axis=1, out=rows), windows))
    return np.concatenate(found)
