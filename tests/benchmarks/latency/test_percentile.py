# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow_bench.latency.percentile import (
    CLAIMS,
    median_interval,
    needed,
    percentile,
    rank_index,
    ratio_interval,
    summarise,
    t_quantile,
    upper_bound,
)

VALUES = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=200)


@given(VALUES, st.floats(0.1, 100))
def test_a_percentile_is_a_sample_that_enough_do_not_exceed_and_no_smaller_one_is(
    values: list[float], rank: float
) -> None:
    found = percentile(values, rank)
    share = rank / 100 * len(values) * (1 - 1e-9)
    assert found in values
    assert sum(value <= found for value in values) >= share
    assert not any(
        value < found and sum(other <= value for other in values) >= rank / 100 * len(values)
        for value in values
    )


def test_a_whole_rank_is_that_rank_whatever_binary_fractions_say() -> None:
    assert [rank_index(1000, rank) for rank in (50, 90, 99, 99.9, 100)] == [499, 899, 989, 998, 999]
    assert rank_index(1, 50) == 0


def test_needed_samples_are_those_of_early_stopping() -> None:
    assert [needed(rank) for rank in (50, 90, 95, 99, 99.9)] == [7, 44, 90, 459, 4603]


@pytest.mark.parametrize("rank", [50, 90, 99])
def test_one_sample_fewer_is_too_few(rank: float) -> None:
    count = needed(rank)
    assert (rank / 100) ** count <= 0.01 < (rank / 100) ** (count - 1)
    assert upper_bound(range(count - 1), rank) is None
    assert upper_bound(range(count), rank) == count - 1


@pytest.mark.parametrize("rank", [50, 90, 95])
def test_an_upper_bound_holds_at_least_99_times_in_a_hundred(rank: float) -> None:
    rng = np.random.default_rng(3)
    truth = -math.log(1 - rank / 100)  # of the exponential distribution
    bounds = [upper_bound(sorted(rng.exponential(size=150)), rank) for _ in range(3000)]
    held = [bound is not None and bound >= truth for bound in bounds]
    assert statistics.fmean(held) > 0.985  # 0.99 less three standard errors
    assert statistics.fmean(held) < 1


def test_the_median_lies_in_its_interval_at_least_95_times_in_a_hundred() -> None:
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(2000):
        interval = median_interval(list(rng.exponential(size=30)))
        assert interval is not None
        held += interval[0] <= math.log(2) <= interval[1]
    assert held / 2000 > 0.94
    assert median_interval([1.0, 2.0, 3.0]) is None


@given(st.lists(st.floats(0.2, 5), min_size=2, max_size=30))
def test_a_ratio_lies_in_its_interval_and_turned_round_it_is_the_inverse(ratios: list[float]) -> None:
    mean, low, high = ratio_interval(ratios)
    assert low <= mean * (1 + 1e-9) and mean <= high * (1 + 1e-9)
    turned, less, more = ratio_interval([1 / ratio for ratio in ratios])
    assert turned == pytest.approx(1 / mean)
    assert (less, more) == (pytest.approx(1 / high), pytest.approx(1 / low))


@pytest.mark.parametrize(
    ("confidence", "freedom", "told"),
    [
        (0.95, 1, 12.7062),
        (0.95, 2, 4.30265),
        (0.95, 4, 2.77645),
        (0.95, 9, 2.26216),
        (0.95, 30, 2.04227),
        (0.99, 4, 4.60409),
        (0.99, 6, 3.70743),
        (0.99, 9, 3.24984),
    ],
)
def test_students_quantiles_are_those_of_the_tables(confidence: float, freedom: int, told: float) -> None:
    assert t_quantile(confidence, freedom) == pytest.approx(told, rel=3e-6)


@pytest.mark.parametrize("pairs", [5, 7, 10])
@pytest.mark.parametrize(
    # 0.95 less three standard errors, and what is left of it where the draws are far from normal.
    ("noise", "least"),
    [("normal", 0.938), ("outliers", 0.938), ("skewed", 0.86)],
)
def test_the_interval_of_few_pairs_holds_the_true_ratio_95_times_in_a_hundred(
    pairs: int, noise: str, least: float
) -> None:
    rng = np.random.default_rng(pairs)
    held = 0
    for _ in range(3000):
        logs = 0.02 * (rng.exponential(size=pairs) - 1) if noise == "skewed" else rng.normal(0, 0.02, pairs)
        if noise == "outliers":
            logs += (rng.random(pairs) < 0.15) * rng.choice([-0.3, 0.3], pairs)
        _, low, high = ratio_interval(list(1.3 * np.exp(logs)))
        held += low <= 1.3 <= high
    assert least < held / 3000 < 0.995


@pytest.mark.parametrize(("pairs", "least", "most"), [(5, 0.80, 0.86), (10, 0.87, 0.92)])
def test_a_bootstrap_of_few_pairs_would_hold_it_less_often(pairs: int, least: float, most: float) -> None:
    """Why `ratio_interval` is none: of the same differences, 2000 times, with 400 samples drawn again each time."""
    rng = np.random.default_rng(pairs)
    logs = rng.normal(0, 0.02, (2000, pairs))
    means = np.take_along_axis(logs[:, None], rng.integers(0, pairs, (2000, 400, pairs)), 2).mean(2)
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    assert least < ((low <= 0) & (high >= 0)).mean() < most
    students = [ratio_interval(list(np.exp(drawn))) for drawn in logs]
    assert statistics.fmean(low <= 1 <= high for _, low, high in students) > 0.935


def test_one_pair_tells_nothing_of_the_next() -> None:
    assert ratio_interval([1.2]) == (pytest.approx(1.2), 0.0, math.inf)


def test_an_hour_of_samples_is_summed_up_at_once() -> None:
    values = list(np.random.default_rng(5).exponential(size=60_000))
    found = summarise(values)
    for rank in CLAIMS:
        share = rank / 100
        # The bound lies 2.33 standard errors of the rank above it.
        beyond = sum(value > found.bounds[f"p{rank:g}"] for value in values)
        expected = 60_000 * (1 - share) - 2.326 * math.sqrt(60_000 * share * (1 - share))
        assert beyond == pytest.approx(expected, abs=3)


@given(VALUES)
def test_a_summary_claims_what_it_has_the_samples_for_and_no_more(values: list[float]) -> None:
    found = summarise(values)
    assert (found.n, found.least, found.most) == (len(values), min(values), max(values))
    for rank in CLAIMS:
        name = f"p{rank:g}"
        enough = len(values) >= needed(rank)
        assert (found.percentiles[name] is not None) == (found.bounds[name] is not None) == enough
        if enough:
            assert found.percentiles[name] == percentile(values, rank) <= found.bounds[name]
