# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from collections import Counter
from itertools import groupby
from pathlib import Path

import pytest

from stillflow.errors import StillflowError
from stillflow_bench.latency.clock import HostClock
from stillflow_bench.latency.plan import Load, Scenario
from stillflow_bench.latency.sample import Sample
from stillflow_bench.latency.scenarios import loadgen_driver, make_driver
from stillflow_bench.latency.scenarios.loadgen_driver import LoadGenDriver
from stillflow_bench.latency.target import Answer, TargetSpec
from stillflow_bench.latency.targets.fake import Fake

from ..virtual_clock import VirtualClock

QUERIES, LANES, MS = 30, 2, 1_000_000


def make(load: Load) -> tuple[LoadGenDriver, Fake, int]:
    pytest.importorskip("mlperf_loadgen", reason="mlcommons-loadgen has wheels for x86-64 only")
    clock = HostClock()
    fake = Fake(TargetSpec("fake", "B2.call", options={"milliseconds": 2.0, "inputs": 8}), clock)
    origin = clock.now()
    driver = make_driver(fake, load, clock, origin=origin)
    assert isinstance(driver, LoadGenDriver)
    return driver, fake, origin


@pytest.mark.parametrize("scenario", ["single_stream", "multi_stream", "offline", "server"])
def test_samples_are_what_loadgen_logged(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lanes = 1 if scenario == "single_stream" else LANES
    driver, fake, origin = make(Load(scenario, lanes=lanes, rate=400.0, driver="loadgen", warm_up=1, audit=1))
    parts = driver.warm_up(), driver.measure(QUERIES, 0.0, 0), driver.audit()
    end = HostClock().now() - origin
    driver.close()
    joint = lanes if scenario == "multi_stream" else 1
    measured = parts[1]
    assert [sample.index for part in parts for sample in part] == list(range(sum(map(len, parts))))
    assert len(measured) == QUERIES * joint
    assert len(fake.took) == sum(map(len, parts))
    turns = Counter(sample.input for sample in measured)
    assert len(turns) == 8
    assert max(turns.values()) - min(turns.values()) <= 1
    if scenario != "offline":
        assert [sample.latency for sample in measured] == [entry.latency for entry in driver.logged]
    assert all(0 <= s.issued < s.done <= end and s.service > 1.9 * MS for s in measured)
    assert sum(sample.digest != "" for sample in measured) == lanes
    if scenario == "multi_stream":
        together: list[list[Sample]] = [list(g) for _, g in groupby(measured, lambda s: s.scheduled)]
        assert [len(group) for group in together] == [lanes] * QUERIES
    assert list(tmp_path.iterdir()) == []  # LoadGen writes where it is told to and nowhere else


def test_it_goes_on_until_the_seconds_are_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """By whole tests of LoadGen; each takes 0.1 s here, and 0.1 to begin, of a clock that only fakes obey."""
    monkeypatch.setattr(loadgen_driver, "load_generator", lambda: None)
    clock = VirtualClock()
    driver = make_driver(
        Fake(TargetSpec("fake", "B2.call"), clock), Load(driver="loadgen"), clock, origin=clock.now()
    )
    tests: list[tuple[int, int]] = []

    def test(queries: int, round: int) -> list[Sample]:
        tests.append((queries, round))
        begin = clock.now() + 100 * MS
        clock.sleep_until(begin + 100 * MS)
        return [Sample(len(tests), "measured", 0, begin, clock.now(), round=round)]

    monkeypatch.setattr(driver, "_test", test)
    for seconds, count in ((0.0, 1), (0.05, 1), (0.1, 1), (0.2, 2), (0.3, 2), (0.301, 3)):
        tests.clear()
        samples = driver.measure(8, seconds, 3)
        assert tests == [(8, 3)] * count and [sample.index for sample in samples] == list(range(1, count + 1))
    driver.close()


def test_queries_arrive_as_they_do_by_our_own_driver() -> None:
    driver, fake, _ = make(Load("server", rate=1000.0, seed=4, driver="loadgen"))
    clock = HostClock()
    own = make_driver(fake, Load("server", rate=1000.0, seed=4), clock, origin=clock.now())
    for turn in range(2):
        theirs, ours = (
            [(sample.scheduled or 0) - (samples[0].scheduled or 0) for sample in samples]
            for samples in (driver.measure(20, 0.0, turn), own.measure(20, 0.0, turn))
        )
        assert max(abs(one - other) for one, other in zip(theirs, ours, strict=True)) < 100
    driver.close()
    own.close()


def test_the_same_input_again_and_again() -> None:
    driver, _, _ = make(Load(driver="loadgen", issue="same"))
    assert {sample.input for sample in driver.measure(5, 0.0, 0)} == {0}
    driver.close()


@pytest.mark.parametrize("scenario", ["single_stream", "server"])
def test_what_fails_is_a_sample_and_what_breaks_comes_out(scenario: Scenario) -> None:
    driver, fake, _ = make(Load(scenario, rate=400.0, driver="loadgen"))
    whole = fake.query

    def fails(index: int, lane: int = 0) -> Answer:
        if len(fake.took) == 3:
            fake.took.append(0)
            raise StillflowError("no answer", "out of luck", "-")
        return whole(index, lane)

    driver._asker._query = fails
    assert [s.error for s in driver.measure(5, 0.0, 0) if s.error] == ["no answer: out of luck"]

    def breaks(index: int, lane: int = 0) -> Answer:
        raise KeyError("a bug")

    driver._asker._query = breaks
    with pytest.raises(KeyError, match="a bug"):
        driver.measure(5, 0.0, 0)
    driver.close()


def test_without_loadgen_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlperf_loadgen", None)
    fake = Fake(TargetSpec("fake", "B2.call"), HostClock())
    with pytest.raises(StillflowError, match=r"pip install 'stillflow\[loadgen\]'"):
        make_driver(fake, Load(driver="loadgen"), HostClock(), origin=0)


def test_loadgen_knows_no_cold_start() -> None:
    with pytest.raises(StillflowError, match="it has no such scenario"):
        make(Load("cold", driver="loadgen"))
