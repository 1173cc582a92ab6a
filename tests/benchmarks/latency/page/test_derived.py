# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow_bench.latency.page.derived import (
    joules,
    ratio,
    round_medians,
    tail,
    thinned,
    throughput,
    windows,
)
from stillflow_bench.latency.page.material import Material, Shown
from stillflow_bench.latency.plan import Load
from stillflow_bench.latency.record import Look

VALUES = st.lists(st.floats(0.01, 1e5), min_size=1, max_size=300).map(np.asarray)
Make = Callable[..., Any]
Read = Callable[[Any], Material]


@given(VALUES, st.integers(4, 80))
def test_a_thinned_distribution_keeps_its_ends_and_says_nothing_false(
    values: np.ndarray, points: int
) -> None:
    drawn, above = tail(values, points)
    assert len(drawn) <= max(points, 4)
    assert (drawn[0], drawn[-1]) == (values.min(), values.max())
    assert above[-1] == 0
    order = np.sort(values)
    for value, share in zip(drawn, above, strict=True):
        below = round((1 - share) * len(values))
        assert order[below - 1] == value


def test_the_slowest_samples_are_all_drawn() -> None:
    values = np.arange(1.0, 100_001.0)
    drawn, _ = tail(values, 400)
    assert set(drawn) >= {100_000.0, 99_999.0, 99_998.0, 99_997.0}


@given(VALUES, st.integers(1, 50))
def test_no_stall_is_lost_when_points_are(values: np.ndarray, points: int) -> None:
    times = np.arange(len(values), dtype=float)
    x, low, high = thinned(times, values, points)
    assert len(x) <= max(points, 0) or len(values) <= points
    assert (low.min(), high.max()) == (values.min(), values.max())
    assert (np.diff(x) > 0).all()


@given(VALUES)
def test_windows_hold_every_sample_once(values: np.ndarray) -> None:
    begins, ends, medians = windows(np.arange(len(values), dtype=float), values, 20)
    assert begins[0] == 0
    assert ends[-1] == len(values) - 1
    assert (begins[1:] == ends[:-1] + 1).all()
    assert 1 <= len(medians) <= 20


def shown(read: Read, make: Make, **times: list[float]) -> list[Shown]:
    made = make()
    for name, values in times.items():
        made.block(name, "fake", "B2.call", values, group="g")
    return list(read(made).shown)


def test_a_ratio_is_of_medians_and_its_interval_of_rounds(make: Make, read: Read) -> None:
    made = make()
    for name, times in (("slow", [2.0, 2.2] * 15), ("fast", [1.0, 1.1] * 15), ("few", [2.0, 3.0, 4.0])):
        made.block(name, "fake", "B2.call", times, group="g")
    made.block("some", "fake", "B2.call", [3.0] * 9, group="g", load=Load(queries=9, rounds=3))
    slow, fast, few, some = read(made).shown
    found = ratio(slow, fast)
    assert found is not None
    assert found.value == pytest.approx(2)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= 2 * (1 + 1e-6)
    assert found.high >= 2 * (1 - 1e-6)
    assert ratio(some, fast) == (pytest.approx(3), None, None, False)  # three rounds give no interval
    assert ratio(few, fast) == (pytest.approx(2), None, None, True)  # and three queries no median
    assert ratio(fast, few) is None
    assert sorted(round_medians(few)) == [0, 1, 3]


def test_throughput_counts_from_the_first_query_to_the_last_answer(make: Make, read: Read) -> None:
    made = make()
    made.block("one", "fake", "B2.call", [10.0] * 20, load=Load(queries=20, rounds=1, warm_up=3))
    made.block("two", "fake", "B2.call", [10.0] * 20, load=Load("offline", queries=20, lanes=2, warm_up=2))
    one, two = read(made).shown
    assert throughput(one) == pytest.approx(100, rel=0.01)
    assert throughput(two) == pytest.approx(200, rel=0.01)
    assert throughput(Shown(one.measured, ())) is None


def test_energy_a_query_is_the_counter_over_its_turns(make: Make, read: Read) -> None:
    (one,) = shown(read, make, one=[100.0] * 60)
    looks = [Look(at=k * 500_000_000, joules=1e6 + 10.5 * k) for k in range(40)]
    assert joules(one, looks) == pytest.approx(2.1, rel=0.01)  # 21 W for 0.1 s
    drawn = [Look(at=k * 500_000_000, watts=21.0) for k in range(40)]
    assert joules(one, drawn) == pytest.approx(2.1, rel=0.01)


def test_on_a_gpu_energy_is_the_gpu_s(make: Make, read: Read, facts: Any) -> None:
    made = make()
    there = msgspec.structs.replace(facts, device="cuda:0")
    made.block("one", "networks", "B2.call", [100.0] * 60, facts=there)
    (one,) = read(made).shown
    looks = [Look(at=k * 500_000_000, joules=10.5 * k, gpu={"joules": 150.0 * k}) for k in range(40)]
    assert joules(one, looks) == pytest.approx(30, rel=0.01)  # 300 W for 0.1 s
    assert joules(one, [Look(at=look.at, joules=look.joules) for look in looks]) is None


def test_energy_that_nobody_can_know_is_not_told(make: Make, read: Read) -> None:
    one, short = shown(read, make, one=[100.0] * 60, short=[1.0] * 5)
    looks = [Look(at=k * 500_000_000, joules=10.5 * k) for k in range(40)]
    assert joules(one, []) is None
    assert joules(one, [Look(at=look.at) for look in looks]) is None
    assert joules(one, looks[:8]) is None  # telemetry ended too early
    assert joules(short, looks) is None  # shorter than looks are apart
    again = [*looks[:10], *(Look(at=look.at, joules=0.0) for look in looks[10:])]
    assert joules(one, again) is None  # a counter that began anew


def test_nothing_to_compare_with_is_no_ratio(make: Make, read: Read) -> None:
    (one,) = shown(read, make, one=[1.0] * 10)
    assert ratio(one, Shown(one.measured, ())) is None
    assert math.isnan(Shown(one.measured, ()).median)
