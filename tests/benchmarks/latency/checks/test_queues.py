# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import msgspec
import pytest

from stillflow_bench.latency.checks.queues import growth, lateness
from stillflow_bench.latency.limits import Limits
from stillflow_bench.latency.sample import Sample

from ..valid_run import MS, Run, block, broken, found, run_of


def served(rate: float = 20.0, **load: object) -> Run:
    """Queries of 20 ms that arrive so often."""
    return run_of(block(scenario="server", rate=rate, **load))


def test_a_queue_below_the_knee_is_stable_and_above_it_is_not() -> None:
    assert broken(served(30.0).judged()) == set()
    verdict = served(75.0, queries=300).judged()
    assert broken(verdict) == {("ours", "queue-stable")}
    assert "lanes are busy 150 % of the time" in found(verdict, "queue-stable").why
    assert broken(served(75.0, queries=300).judged(Limits(queue_growth=1000))) == set()


def test_a_plan_that_looks_for_the_knee_is_told_where_it_is() -> None:
    verdict = served(75.0, queries=300, share=1.5).judged()
    assert found(verdict, "queue-stable").warns and verdict.valid


def test_arrivals_that_are_issued_late_while_a_lane_is_idle_condemn_the_generator() -> None:
    run = served()
    run.change(
        lambda s: s if s.scheduled is None else msgspec.structs.replace(s, scheduled=s.scheduled - 5 * MS)
    )
    verdict = run.judged()
    assert broken(verdict) == {("ours", "schedule-kept")}
    assert broken(run.judged(Limits(late_ms=6))) == set()


def test_arrivals_without_a_time_are_none() -> None:
    run = served()
    run.change(lambda s: msgspec.structs.replace(s, scheduled=None))
    assert ("ours", "schedule-kept") in broken(run.judged())


def sample(due: int, issued: int, done: int, lane: int = 0) -> Sample:
    return Sample(0, "measured", 0, issued, done, scheduled=due, lane=lane)


def test_lateness_counts_from_when_a_lane_is_idle() -> None:
    one_lane = [sample(0, 1, 10), sample(2, 12, 20), sample(30, 33, 40)]
    assert lateness(one_lane, 1) == [1, 2, 3]
    # The second lane is idle, so the second arrival need not wait; the third must until one of both is.
    two_lanes = [sample(0, 0, 10), sample(2, 5, 8, 1), sample(3, 9, 20, 1)]
    assert lateness(two_lanes, 2) == [0, 3, 1]


def test_growth_is_in_services_and_of_the_whole_turn() -> None:
    turn = [sample(k * 100, k * 100 + k * 10, k * 110 + 50) for k in range(21)]
    assert growth(turn, 50.0) == (pytest.approx(4.0), pytest.approx(1.0))
    assert growth([sample(5, 5, 9)] * 3, 4.0)[0] == 0


def test_as_many_arrive_as_were_meant_to() -> None:
    run = served(20.0)
    run.block(load={"rate": 40.0})
    assert broken(run.judged()) == {("ours", "arrival-rate")}
    assert broken(run.judged(Limits(arrival_rate=60))) == set()
    run.block(load={"rate": 0.0})
    assert ("ours", "arrival-rate") in broken(run.judged())


def test_all_lanes_work() -> None:
    together = run_of(block(scenario="multi_stream", lanes=2, queries=48))
    assert broken(together.judged()) == set()
    together.block(load={"lanes": 3, "queries": 32})
    assert broken(together.judged()) == {("ours", "lanes-used")}
    idle = run_of(block(scenario="offline", lanes=1))
    idle.block(load={"lanes": 2})
    assert broken(idle.judged()) == {("ours", "lanes-used")}
