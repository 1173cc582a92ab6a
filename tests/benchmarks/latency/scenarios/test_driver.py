# SPDX-License-Identifier: Apache-2.0
"""What every driver owes, whatever its scenario and load."""

from __future__ import annotations

import gc
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.errors import StillflowError
from stillflow_bench.latency.plan import Load, Scenario
from stillflow_bench.latency.sample import Sample
from stillflow_bench.latency.scenarios import make_driver
from stillflow_bench.latency.target import TargetSpec
from stillflow_bench.latency.targets.delays import DISTRIBUTIONS, Distribution
from stillflow_bench.latency.targets.fake import Fake

from ..virtual_clock import VirtualClock

SCENARIOS: tuple[Scenario, ...] = ("single_stream", "sustained", "cold", "multi_stream", "offline", "server")


@st.composite
def loads(draw: st.DrawFn) -> Load:
    scenario = draw(st.sampled_from(SCENARIOS))
    return Load(
        scenario,
        queries=draw(st.integers(1, 60)),
        seconds=draw(st.sampled_from([0.0, 0.2])),
        warm_up=draw(st.integers(0, 3)),
        audit=draw(st.integers(0, 3)),
        lanes=draw(st.integers(1, 4)),
        rate=draw(st.sampled_from([20.0, 300.0, 3000.0])),
        rounds=draw(st.integers(1, 3)),
        issue=draw(st.sampled_from(["unique", "same"])),
        seed=draw(st.integers(0, 1000)),
    )


@settings(max_examples=60, deadline=None)
@given(loads(), st.sampled_from(DISTRIBUTIONS), st.integers(1, 9), st.sampled_from([0, 3]))
def test_no_query_is_lost_and_every_input_has_its_turn(
    load: Load, distribution: Distribution, inputs: int, errors: int
) -> None:
    clock = VirtualClock()
    options: dict[str, str | int | float | bool] = {
        "distribution": distribution,
        "inputs": inputs,
        "errors": errors,
    }
    fake = Fake(TargetSpec("fake", "B2.call", options=options), clock)
    origin = clock.now()
    driver = make_driver(fake, load, clock, origin=origin)
    begins, parts = [], []
    parts.append(driver.warm_up())
    for turn in range(load.rounds):
        begins.append(clock.now())
        parts.append(driver.measure(load.queries, load.seconds, turn))
    parts.append(driver.audit())
    driver.close()

    samples = [sample for part in parts for sample in part]
    assert [sample.index for sample in samples] == list(range(len(samples)))
    alone = load.scenario in ("single_stream", "sustained", "cold")
    each = 1 if alone else load.lanes
    assert [sample.phase for sample in parts[0]] == ["warm-up"] * (load.warm_up * each)
    joint = load.lanes if load.scenario == "multi_stream" else 1
    assert [(sample.phase, sample.input) for sample in parts[-1]] == [("audit", 0)] * (load.audit * joint)
    for turn, (begin, part) in enumerate(zip(begins, parts[1:-1], strict=True)):
        assert {(sample.phase, sample.round) for sample in part} == {("measured", turn)}
        assert len(part) >= load.queries * joint
        last = max(sample.scheduled if load.scenario == "server" else sample.done for sample in part)
        assert last - (begin - origin) >= load.seconds * 1e9
    measured = [sample for part in parts[1:-1] for sample in part]
    turns = Counter(dict.fromkeys(range(inputs), 0))
    turns.update(sample.input for sample in measured)
    if load.issue == "same":
        assert turns[0] == len(measured)
    else:
        assert max(turns.values()) - min(turns.values()) <= 1

    failed = [sample for sample in samples if sample.error]
    assert len(failed) == (len(samples) // errors if errors else 0)
    lanes_take_one_at_a_time(samples)
    for sample in samples:
        assert sample.latency >= sample.service > 0
        assert sample.issued >= (sample.scheduled or 0) >= 0
        assert 0 <= sample.lane < each


def lanes_take_one_at_a_time(samples: list[Sample]) -> None:
    for lane in {sample.lane for sample in samples}:
        own = sorted((s.issued, s.done) for s in samples if s.lane == lane)
        assert all(before[1] <= after[0] for before, after in zip(own, own[1:], strict=False))


def test_the_collector_is_left_as_it_was() -> None:
    clock = VirtualClock()
    fake = Fake(TargetSpec("fake", "B2.call"), clock)
    driver = make_driver(fake, Load(), clock, origin=0)
    driver.measure(10, 0, 0)
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_nothing_to_work_with_is_said() -> None:
    clock = VirtualClock()
    fake = Fake(TargetSpec("fake", "B2.call"), clock)
    with pytest.raises(StillflowError, match="0 lanes"):
        make_driver(fake, Load("offline", lanes=0), clock, origin=0)
    with pytest.raises(StillflowError, match="--rate"):
        make_driver(fake, Load("server"), clock, origin=0)
