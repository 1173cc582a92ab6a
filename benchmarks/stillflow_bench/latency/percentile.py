# SPDX-License-Identifier: Apache-2.0
"""Percentiles by nearest rank, how many samples a percentile needs, and how far off it may be."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from functools import cache

import msgspec

CONFIDENCE = 0.99
"""Of the number of samples that a percentile needs, and of its upper bound."""

CLAIMS = (50.0, 90.0, 95.0, 99.0, 99.9)
"""Percentiles that a summary has a place for."""


def percentile(values: Sequence[float], rank: float) -> float:
    """The nearest-rank percentile: the smallest sample that at least ``rank`` % of all do not exceed.

    Args:
        values: at least one.
        rank: 0 < rank <= 100.
    """
    ordered = sorted(values)
    return ordered[rank_index(len(ordered), rank)]


def rank_index(count: int, rank: float) -> int:
    """Index of the nearest-rank percentile among ``count`` sorted samples."""
    # Rounded, since 99.9 / 100 * 1000 is 999.0000000000001 in binary and its ceiling would be a rank too high.
    return max(0, math.ceil(round(rank / 100 * count, 9)) - 1)


def needed(rank: float) -> int:
    """Samples without which a percentile is not a percentile: 44 for the 90th, 459 for the 99th.

    The smallest n at which it is improbable (1 - ``CONFIDENCE``) that none of n samples lies beyond the true one:
    what early stopping in MLPerf's LoadGen asks for.

    Args:
        rank: of the percentile, 0 < rank < 100.
    """
    return math.ceil(math.log(1 - CONFIDENCE) / math.log(rank / 100))


def upper_bound(ordered: Sequence[float], rank: float) -> float | None:
    """What the true percentile does not exceed, at ``CONFIDENCE``, whatever the distribution; None: too few samples.

    The smallest order statistic x(k) with P(Binomial(n, rank) < k) >= CONFIDENCE.

    Args:
        ordered: samples, sorted.
        rank: of the percentile.
    """
    count = len(ordered)
    if count < needed(rank):
        return None
    # x(k) is too small where more than n - k samples lie beyond the true percentile: count how many may.
    return ordered[count - _likely(count, 1 - rank / 100, 1 - CONFIDENCE)]


def median_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Order statistics between which the true median lies at 95 %, whatever the distribution; None: too few samples."""
    ordered = sorted(values)
    count = len(ordered)
    low = min(_likely(count, 0.5, 0.025), count // 2)
    return (ordered[low - 1], ordered[count - low]) if low else None


def _likely(count: int, share: float, tail: float) -> int:
    """The smallest k with P(Binomial(count, share) <= k) > tail."""
    k, total = 0, _exactly(0, count, share)
    while total <= tail:
        k += 1
        total += _exactly(k, count, share)
    return k


def _exactly(k: int, count: int, share: float) -> float:
    """P(Binomial(count, share) = k), by logarithms, so that large numbers do not overflow."""
    ways = math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
    return math.exp(ways + k * math.log(share) + (count - k) * math.log1p(-share))


def ratio_interval(ratios: Sequence[float], *, confidence: float = 0.95) -> tuple[float, float, float]:
    """The geometric mean of paired ratios, with Student's interval of their logarithms.

    Not a bootstrap: of 5 to 10 pairs it holds the true ratio 84 % to 90 % of the times where 95 % are meant, since 5
    values cannot tell how far others may lie. Student's holds it 95 % of the times where differences are normal, 98 %
    where some are outliers, and 87 % to 90 % where they are as skewed as an exponential distribution.
    ``tests/benchmarks/latency/test_percentile.py`` shows all of these.

    Args:
        ratios: one a pair, above 0.
        confidence: of the interval.

    Returns:
        (mean, low, high); of a single pair (mean, 0, infinity).
    """
    logs = [math.log(ratio) for ratio in ratios]
    mean = statistics.fmean(logs)
    if len(logs) < 2:
        return math.exp(mean), 0.0, math.inf
    reach = t_quantile(confidence, len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean), math.exp(mean - reach), math.exp(mean + reach)


@cache
def t_quantile(confidence: float, freedom: int) -> float:
    """The t for which Student's distribution lies within -t and t with that probability.

    Args:
        confidence: 0 < confidence < 1.
        freedom: degrees of it, >= 1.
    """
    low, high = 0.0, 1.0
    while _within(high, freedom) < confidence:
        high *= 2
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < confidence else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """P(-t < T < t) of Student's T. Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3, .4."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine, odd = math.cos(angle), freedom % 2
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for step in range(1 + odd, freedom, 2):
        total += term
        term *= cosine**2 * step / (step + 1)
    return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total


class Summary(msgspec.Struct, frozen=True):
    """Milliseconds of one boundary, summed up; nothing was left out.

    Attributes:
        n: samples, warm-up not among them.
        mean: of all.
        sd: standard deviation; 0 for one sample.
        least: the smallest.
        most: the largest.
        percentiles: "p50"... by nearest rank; None where n is too small for the claim.
        bounds: the same percentiles' upper bounds at 99 % confidence; None likewise.
        median_interval: of the median, 95 %.
    """

    n: int
    mean: float
    sd: float
    least: float
    most: float
    percentiles: dict[str, float | None]
    bounds: dict[str, float | None]
    median_interval: tuple[float, float] | None = None


def summarise(values: Sequence[float]) -> Summary:
    """Sum up samples in milliseconds.

    Args:
        values: at least one.
    """
    ordered = sorted(values)
    enough = {rank: len(ordered) >= needed(rank) for rank in CLAIMS}
    return Summary(
        n=len(ordered),
        mean=statistics.fmean(ordered),
        sd=statistics.stdev(ordered) if len(ordered) > 1 else 0.0,
        least=ordered[0],
        most=ordered[-1],
        percentiles={
            percentile_name(rank): ordered[rank_index(len(ordered), rank)] if enough[rank] else None
            for rank in CLAIMS
        },
        bounds={percentile_name(rank): upper_bound(ordered, rank) for rank in CLAIMS},
        median_interval=median_interval(ordered),
    )


def percentile_name(rank: float) -> str:
    """How a percentile is called: "p50", "p99.9"."""
    return f"p{rank:g}"
