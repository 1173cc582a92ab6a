# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from stillflow_bench.latency.scenarios.issue import order_of


@given(st.integers(1, 40), st.integers(0, 200), st.integers(0, 2**32))
def test_each_input_comes_once_before_any_comes_again(inputs: int, count: int, seed: int) -> None:
    order = list(islice(order_of(inputs, "unique", seed), count))
    for start in range(0, count - inputs + 1, inputs):
        assert sorted(order[start : start + inputs]) == list(range(inputs))
    tail = order[count - count % inputs :]
    assert len(set(tail)) == len(tail)


def test_the_order_is_drawn_anew_each_time_and_by_the_seed() -> None:
    one, other = (list(islice(order_of(32, "unique", seed), 64)) for seed in (1, 2))
    assert one == list(islice(order_of(32, "unique", 1), 64))
    assert one != other
    assert one[:32] != one[32:]


def test_the_same_input_again_and_again() -> None:
    assert list(islice(order_of(32, "same", 0), 5)) == [0] * 5
