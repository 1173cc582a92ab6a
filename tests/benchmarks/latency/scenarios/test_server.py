# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import statistics
from collections.abc import Callable
from itertools import islice, pairwise
from typing import Any

import msgspec
import pytest

from stillflow_bench.latency.checks.queues import lateness
from stillflow_bench.latency.plan import Load
from stillflow_bench.latency.scenarios.server import LEAD_NS, arrival_seed, arrivals, poisson_gaps


def test_gaps_are_exponential_and_of_the_seed() -> None:
    gaps = list(islice(poisson_gaps(100.0, 7), 20_000))
    assert gaps == list(islice(poisson_gaps(100.0, 7), 20_000))
    # Mean and deviation of an exponential are the same; of 20000 each is known to 0.7 %.
    assert statistics.fmean(gaps) == pytest.approx(1e7, rel=0.03)
    assert statistics.stdev(gaps) == pytest.approx(1e7, rel=0.03)
    assert sum(gap < 1e7 for gap in gaps) / len(gaps) == pytest.approx(0.632, abs=0.015)


def test_arrivals_last_until_both_conditions_hold() -> None:
    assert arrivals(iter([3] * 9), 4, 0) == [0, 3, 6, 9]
    assert arrivals(iter([3] * 9), 2, 10) == [0, 3, 6, 9, 12]


def test_gaps_are_those_of_loadgen() -> None:
    # Read from the trace of LoadGen 6.0.17, at 500 a second; it counts in nanoseconds and rounds once more.
    logged = [1797120, 3719208, 3903090, 3757928, 1954012, 970256, 706318, 116769, 636712]
    for gap, own in zip(logged, poisson_gaps(500.0, 0), strict=False):
        assert abs(gap - own) <= 2


def test_every_turn_has_other_arrivals(loaded: Callable[..., Any]) -> None:
    driver, _ = loaded(Load("server", rate=100.0))
    turns = [driver.measure(5, 0.0, turn) for turn in range(2)]
    driver.close()
    assert len({turn[-1].scheduled - turn[0].scheduled for turn in turns}) == 2


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_latency_counts_from_the_arrival(loaded: Callable[..., Any], lanes: int) -> None:
    load = Load("server", lanes=lanes, rate=400.0 * lanes, seed=3)
    driver, _ = loaded(load, milliseconds=2)
    samples = driver.measure(200, 0, 0)
    driver.close()
    moments = [LEAD_NS + moment for moment in arrivals(poisson_gaps(load.rate, arrival_seed(3, 0)), 200, 0)]
    assert [sample.scheduled for sample in samples] == moments
    # First come, first served: a query begins when it has come and the lanes-th one before it is done.
    for place, sample in enumerate(samples):
        free = samples[place - lanes].done if place >= lanes else 0
        assert sample.issued == max(sample.scheduled, free)
        assert sample.latency == sample.done - sample.scheduled
    assert any(sample.latency > sample.service for sample in samples)


def test_waits_are_those_of_theory(loaded: Callable[..., Any]) -> None:
    load = Load("server", rate=200.0, seed=0)
    driver, _ = loaded(load, milliseconds=2)
    samples = driver.measure(12_000, 0, 0)
    driver.close()
    busy = 0.4  # 200 a second of 2 ms each
    # Pollaczek and Khinchine: the mean wait before one lane whose service takes always as long.
    expected = busy / (2 * (1 - busy)) * 2e6
    waits = [sample.latency - sample.service for sample in samples]
    assert statistics.fmean(waits) == pytest.approx(expected, rel=0.08)


def test_above_the_knee_the_queue_grows_for_as_long_as_queries_come(loaded: Callable[..., Any]) -> None:
    below, above = (
        loaded(Load("server", rate=rate, seed=1), milliseconds=2)[0].measure(2000, 0, 0)
        for rate in (250, 1000)
    )

    def means(samples: list[Any]) -> list[float]:
        return [statistics.fmean(s.latency for s in samples[k : k + 400]) for k in range(0, 2000, 400)]

    # Twice as many come as can be served: each waits another millisecond longer than the one before it.
    assert all(later - earlier > 300e6 for earlier, later in pairwise(means(above)))
    assert max(means(below)) < 5e6


def test_what_a_stall_holds_up_is_seen(loaded: Callable[..., Any]) -> None:
    load = Load("server", rate=100.0, seed=2)
    driver, _ = loaded(load, distribution="stall", milliseconds=2, cycle=500)
    samples = driver.measure(500, 0, 0)
    driver.close()
    slow = [sample for sample in samples if sample.service > 2_000_000]
    late = [sample for sample in samples if sample.latency > 4_000_000]
    assert len(slow) == 10
    assert len(late) > 2 * len(slow)


def test_lateness_is_the_generators_and_not_the_queues(loaded: Callable[..., Any]) -> None:
    driver, _ = loaded(Load("server", lanes=2, rate=900.0), milliseconds=2)
    samples = driver.measure(300, 0, 0)
    driver.close()
    assert any(sample.issued > sample.scheduled for sample in samples)
    assert lateness(samples, 2) == [0] * 300
    idle = next(s for s in samples if s.issued == s.scheduled and s.index > 10)
    samples[idle.index] = msgspec.structs.replace(idle, issued=idle.issued + 77)
    assert lateness(samples, 2)[idle.index] == 77


def test_outputs_are_hashed_where_there_is_time(loaded: Callable[..., Any]) -> None:
    driver, _ = loaded(Load("server", rate=50.0, warm_up=1), inputs=4)
    driver.warm_up()
    samples = driver.measure(40, 0, 0)
    driver.close()
    assert {sample.input for sample in samples if sample.digest} == set(range(4))
