# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow_bench.latency.percentile import percentile
from stillflow_bench.latency.targets.delays import DISTRIBUTIONS, Delays, Distribution


@given(
    st.sampled_from(DISTRIBUTIONS),
    st.integers(1, 5),
    st.integers(0, 99),
    st.sampled_from([50, 90, 95, 99, 99.9]),
)
def test_a_cycle_has_the_percentiles_of_its_distribution(
    distribution: Distribution, cycles: int, seed: int, rank: float
) -> None:
    delays = Delays(distribution, 2.0, 1000, seed)
    assert percentile(delays.first(1000 * cycles), rank) == pytest.approx(delays.percentile(rank), abs=1)


@pytest.mark.parametrize(
    ("distribution", "p50", "p90", "p99"),
    [
        ("constant", 1, 1, 1),
        ("bimodal", 1, 3, 3),
        ("heavy-tail", 2 ** (1 / 3), 10 ** (1 / 3), 100 ** (1 / 3)),
        ("drift", 1.5, 1.9, 1.99),
        ("stall", 1, 1, 15),
    ],
)
def test_percentiles_are_those_of_the_formulas(
    distribution: Distribution, p50: float, p90: float, p99: float
) -> None:
    delays = Delays(distribution, 1.0, 500)
    found = [delays.percentile(rank) / 1e6 for rank in (50, 90, 99)]
    assert found == pytest.approx([p50, p90, p99])


def test_order_is_that_of_the_seed_where_chance_orders() -> None:
    one, again, other = (Delays("heavy-tail", 1.0, 50, seed) for seed in (1, 1, 2))
    assert one.first(100) == again.first(100) != other.first(100)
    assert one.first(100)[:50] != one.first(100)[50:]


def test_a_drift_rises_and_a_stall_comes_in_a_row_in_the_middle() -> None:
    drift = Delays("drift", 1.0, 100).first(100)
    assert drift == sorted(drift)
    stall = Delays("stall", 1.0, 100).first(100)
    assert [place for place, delay in enumerate(stall) if delay > 1_000_000] == [49, 50]


def test_the_mean_is_that_of_a_cycle() -> None:
    delays = Delays("bimodal", 1.0, 500)
    assert delays.mean == pytest.approx(statistics.fmean(delays.first(500)))
    assert delays.mean == pytest.approx(1.4e6, rel=0.01)
