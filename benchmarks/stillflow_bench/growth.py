# SPDX-License-Identifier: Apache-2.0
"""Whether a quantity grows with the work done: a slope that outliers do not bend, with its interval, against a limit.

The slope is the median of the slopes between all pairs of samples (Theil 1950), its interval that of Sen (1968), from
the variance of Kendall's S with ties. Memory remembers: one sample says much of the next. The variance is therefore
widened by (1 + r) / (1 - r) for the correlation r of neighbouring residuals, as Hamed and Rao (1998) do it for trends.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

NORMAL_99 = 2.576
"""Quantile of the normal distribution: 99 of 100 intervals hold the true slope."""

WARM_UP = 0.25
"""Share of the samples, from the first on, that nothing is concluded from: caches fill, arenas find their size."""

FEWEST = 24
"""Judged samples below which nothing is said: the tail of a warm-up looks like growth."""

Verdict = Literal["steady", "grows", "cannot tell"]


@dataclass(frozen=True)
class Growth:
    """How fast something grows.

    Attributes:
        slope: a unit of work; from the samples after the warm-up.
        low: lower end of the slope's 99 % interval; -inf where there are too few samples.
        high: upper end.
        start: the fitted line at 0 units of work.
        limit: slope from which on it counts as growth.
    """

    slope: float
    low: float
    high: float
    start: float
    limit: float

    @property
    def verdict(self) -> Verdict:
        """Grows: all of the interval lies above the limit; steady: all of it at or below."""
        if self.low > self.limit:
            return "grows"
        return "steady" if self.high <= self.limit else "cannot tell"


def growth(done: Sequence[float], values: Sequence[float], limit: float) -> Growth:
    """Judge the growth of a quantity.

    Args:
        done: units of work behind each sample, rising.
        values: the samples, as many.
        limit: slope from which on it counts as growth, >= 0, in the values' unit for each unit of work.

    Returns:
        The slope after the warm-up, its interval, and what follows from them.

    Raises:
        ValueError: fewer than 2 samples are left after the warm-up, or the lengths differ.
    """
    skip = warm_up(len(done))
    x, y = np.asarray(done, np.float64)[skip:], np.asarray(values, np.float64)[skip:]
    if x.size != y.size or x.size < 2:
        raise ValueError(f"a slope needs two samples or more of both kinds, not {x.size} and {y.size}")
    first, second = np.triu_indices(x.size, 1)
    slopes = np.sort((y[second] - y[first]) / (x[second] - x[first]))
    slope = float(np.median(slopes))
    start = float(np.median(y - slope * x))
    low, high = -math.inf, math.inf
    if x.size >= FEWEST:
        reach = NORMAL_99 * math.sqrt(_variance(y) * _inflation(y - start - slope * x))
        # Ranks count from 1 in the paper; below the first or above the last slope nothing is known.
        below, above = math.floor((slopes.size - reach) / 2), math.ceil((slopes.size + reach) / 2) + 1
        low = float(slopes[below - 1]) if below >= 1 else -math.inf
        high = float(slopes[above - 1]) if above <= slopes.size else math.inf
    return Growth(slope, low, high, start, limit)


def warm_up(samples: int) -> int:
    """Return how many samples, from the first on, belong to the warm-up."""
    return math.ceil(samples * WARM_UP)


def _variance(y: npt.NDArray[np.float64]) -> float:
    """Of Kendall's S; values that repeat lower it, and of nothing but one value it is 0."""
    n = y.size
    _, ties = np.unique(y, return_counts=True)
    tied = np.sum(ties * (ties - 1) * (2 * ties + 5))
    return float(n * (n - 1) * (2 * n + 5) - tied) / 18


def _inflation(residuals: npt.NDArray[np.float64]) -> float:
    """How much wider the variance is because neighbours agree; at least 1."""
    centred = residuals - residuals.mean()
    power = float(centred @ centred)
    if power == 0:
        return 1.0
    r = float(centred[1:] @ centred[:-1]) / power
    # The estimate from few samples is low by about (1 + 3 r) / n (Kendall 1954).
    r = min(0.95, max(0.0, r + (1 + 3 * r) / residuals.size))
    return (1 + r) / (1 - r)
