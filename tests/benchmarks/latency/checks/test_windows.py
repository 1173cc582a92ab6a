# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow_bench.latency.checks.windows import (
    chance_spread,
    excess,
    levels,
    rank_correlation,
    ranks_of,
    shape,
    spread,
    without_inputs,
)

VALUES = st.lists(st.floats(0.1, 1e4), min_size=10, max_size=200)


@given(VALUES, st.integers(2, 10))
def test_levels_are_means_within_the_values_and_one_each(values: list[float], windows: int) -> None:
    found = levels(np.array(values), windows)
    assert len(found) == windows
    assert min(values) * (1 - 1e-9) <= found.min() <= found.max() <= max(values) * (1 + 1e-9)
    assert spread(levels(np.array(values) * 7, windows)) == pytest.approx(spread(found))


def test_one_stall_moves_no_window() -> None:
    values = np.full(50, 10.0)
    values[17] = 1000
    assert spread(levels(values, 5)) == 0


def test_a_window_that_is_slow_itself_moves() -> None:
    values = np.full(50, 10.0)
    values[10:20] = 15
    assert list(levels(values, 5)) == [10, 15, 10, 10, 10]
    assert shape(levels(values, 5), 10) == "episode"
    assert shape(levels(np.linspace(1, 2, 50), 5), 10) == "drift"
    assert shape(np.array([1.0, 2.0, 1.0, 2.0, 1.0]), 10) == "wavering"
    assert excess(np.array([2.0, 1.0, 1.0])) == 100


def test_chance_is_what_an_order_makes() -> None:
    rng = np.random.default_rng(3)
    beyond = 0
    for _ in range(20):
        values = np.where(rng.random(100) < 0.5, 1.0, 2.0)
        beyond += spread(levels(values, 5)) > chance_spread(values, 5)
    assert beyond == 0
    drift = np.where(rng.random(100) < 0.5, 1.0, 2.0) * np.linspace(1, 2, 100)
    assert spread(levels(drift, 5)) > chance_spread(drift, 5)


def test_photos_that_take_their_own_time_are_made_alike() -> None:
    inputs = [0, 1, 2, 3] * 5
    values = [float(10 * (k + 1)) for k in inputs]
    assert set(without_inputs(values, inputs)) == {25.0}
    assert list(without_inputs(values[:8], inputs[:8])) == values[:8]  # two of each are too few
    assert list(without_inputs([0.0] * 20, inputs)) == [0.0] * 20


@given(VALUES)
def test_rank_correlation_is_between_its_ends(values: list[float]) -> None:
    array = np.array(values)
    assert -1 - 1e-9 <= rank_correlation(array) <= 1 + 1e-9
    assert rank_correlation(np.sort(np.unique(array))) == pytest.approx(1 if len(set(values)) > 1 else 0)
    assert ranks_of(array).sum() == pytest.approx(len(values) * (len(values) - 1) / 2)
