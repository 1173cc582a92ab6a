# SPDX-License-Identifier: Apache-2.0
"""The suite measures an engine whose delays are known, in real time and through the real drivers: does it find them?

Truth is worked out without the drivers: percentiles from the distribution itself, joint queries from the delays in
turn, throughput by giving each next query to the lane that is free first, a server's latencies by a row before its
lanes. Besides that the drivers load a target that does nothing, which shows what they cost.
"""

from __future__ import annotations

import heapq
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import TypeVar

import msgspec

from stillflow_bench.latency.clock import Clock, HostClock
from stillflow_bench.latency.loadgen import LOAD_SHARE, SCENARIOS, Agreement, agreement
from stillflow_bench.latency.percentile import named, needed, percentile
from stillflow_bench.latency.plan import Load, Scenario
from stillflow_bench.latency.sample import Sample
from stillflow_bench.latency.scenarios import make_driver
from stillflow_bench.latency.scenarios.loadgen_driver import load_generator
from stillflow_bench.latency.scenarios.multi_stream import LEAD_NS, joint_latencies
from stillflow_bench.latency.scenarios.offline import throughput
from stillflow_bench.latency.scenarios.server import arrival_seed, arrivals, poisson_gaps
from stillflow_bench.latency.target import Answer, Facts, TargetSpec
from stillflow_bench.latency.targets.delays import DISTRIBUTIONS, Delays, Distribution
from stillflow_bench.latency.targets.fake import Fake, open_target

RANKS = (50.0, 90.0, 95.0, 99.0)

WITHIN = 2.0
"""Per cent by which a recovered figure may be off."""

ATTEMPTS = 4
"""Other programs on the machine only ever add to a time, so one undisturbed attempt of four is enough."""

SECONDS = 34.0
"""After which nothing is attempted again: the whole then stays below 40. Undisturbed it takes 25."""

MOST_READING_US, MOST_COST_US = 5.0, 100.0
"""Medians on a slow and busy machine of two cores; an idle one has 0.5 and 10."""


class Size(msgspec.Struct, frozen=True):
    """How much is measured.

    Attributes:
        milliseconds: the shortest delay.
        queries: of each scenario and distribution; p99 needs 459.
        lanes: of all scenarios but single_stream; queries are a multiple of it.
    """

    milliseconds: float = 2.5
    queries: int = 500
    lanes: int = 2


class Finding(msgspec.Struct, frozen=True):
    """One figure: its true value and what the suite made of it.

    Attributes:
        scenario: under which it was measured.
        delays: distribution that the fake was given.
        figure: "p50"..., "joint p50"... of all lanes together, "throughput".
        unit: "ms", "1/s".
        true: what it is.
        recovered: what was measured.
        attempts: made in all; the best one is shown.
    """

    scenario: Scenario
    delays: Distribution
    figure: str
    unit: str
    true: float
    recovered: float
    attempts: int = 1

    @property
    def error(self) -> float:
        """Per cent of the true value; above 0 where too much was measured."""
        return 100 * (self.recovered / self.true - 1)

    @property
    def holds(self) -> bool:
        """Whether it was recovered."""
        return abs(self.error) <= WITHIN


class Cost(msgspec.Struct, frozen=True):
    """What a driver costs, medians in microseconds.

    Attributes:
        scenario: its own.
        reading: latency of a target that does nothing: in every latency there is so much.
        between: from one answer to the next query of that lane, which no latency contains.
    """

    scenario: Scenario
    reading: float
    between: float

    @property
    def holds(self) -> bool:
        """Whether it is as little as it should be."""
        return self.reading <= MOST_READING_US and self.between <= MOST_COST_US


class Selftest(msgspec.Struct, frozen=True):
    """All of it."""

    findings: tuple[Finding, ...]
    costs: tuple[Cost, ...]
    agreements: tuple[Agreement, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether everything is as it should be."""
        found, costs, agreed = self.findings, self.costs, self.agreements
        return all([*(f.holds for f in found), *(c.holds for c in costs), *(a.holds for a in agreed)])


def selftest(size: Size | None = None, *, loadgen: bool = False) -> Selftest:
    """Measure every distribution under every scenario, and what the drivers cost.

    Args:
        size: how much.
        loadgen: also compare with MLPerf's LoadGen.

    Raises:
        StillflowError: that is not installed.
    """
    size = size or Size()
    if loadgen:
        load_generator()
    deadline = time.monotonic() + SECONDS
    findings: list[Finding] = []
    for scenario in SCENARIOS:
        for delays in DISTRIBUTIONS:
            attempts = best(partial(recover, scenario, delays, HostClock(), size), deadline)
            findings += [msgspec.structs.replace(f, attempts=len(attempts)) for f in attempts[0]]
    agreements: list[Agreement] = []
    for scenario in SCENARIOS if loadgen else ():
        deadline = time.monotonic() + SECONDS / len(SCENARIOS)
        agreements += best(partial(agree, scenario, size), deadline)[0]
    return Selftest(
        tuple(findings), tuple(driver_cost(scenario) for scenario in SCENARIOS), tuple(agreements)
    )


Checked = TypeVar("Checked", Finding, Agreement)


def best(attempt: Callable[[], list[Checked]], deadline: float) -> list[list[Checked]]:
    """Attempt until everything holds, at most ``ATTEMPTS`` times.

    Args:
        attempt: measures once.
        deadline: of ``time.monotonic``, after which nothing is attempted again.

    Returns:
        All attempts, the one with the smallest worst error first.
    """
    made = [attempt()]
    while not all(one.holds for one in made[-1]) and len(made) < ATTEMPTS and time.monotonic() < deadline:
        made.append(attempt())
    return sorted(made, key=lambda found: max(abs(one.error) for one in found))


def agree(scenario: Scenario, size: Size) -> list[Agreement]:
    """Our driver and LoadGen's on the same fake with a heavy tail, whose percentiles all differ."""
    options = fake_options("heavy-tail", size.milliseconds, size.queries)
    spec = TargetSpec("fake", "B2.call", options=options)
    return agreement(scenario, lambda: open_target(spec), queries=size.queries, pairs=1, lanes=size.lanes)


def recover(scenario: Scenario, distribution: Distribution, clock: Clock, size: Size) -> list[Finding]:
    """Measure a fake of these delays once.

    Args:
        scenario: under which.
        distribution: of the delays.
        clock: by which it is done.
        size: how much.
    """
    options = fake_options(distribution, size.milliseconds, size.queries)
    fake = Fake(TargetSpec("fake", "B2.call", options=options), clock)
    lanes = 1 if scenario == "single_stream" else size.lanes
    rate = LOAD_SHARE * lanes / fake.delays.mean * 1e9
    load = Load(scenario, lanes=lanes, rate=rate)
    driver = make_driver(fake, load, clock, origin=clock.now())
    try:
        joint = size.queries // lanes if scenario == "multi_stream" else size.queries
        samples = driver.measure(joint, 0.0, 0)
    finally:
        driver.close()
    figures = _figures(scenario, fake.delays, samples, load)
    return [Finding(scenario, distribution, *figure) for figure in figures]


def fake_options(
    distribution: Distribution, milliseconds: float, cycle: int
) -> dict[str, str | int | float | bool]:
    """Options of a fake that delays as told."""
    return {"distribution": distribution, "milliseconds": milliseconds, "cycle": cycle}


Figure = tuple[str, str, float, float]
"""Name, unit, true value, recovered value."""


def _figures(scenario: Scenario, delays: Delays, samples: Sequence[Sample], load: Load) -> list[Figure]:
    found = [sample.latency for sample in samples]
    drawn = delays.first(len(samples))
    if scenario == "server":
        moments = arrivals(poisson_gaps(load.rate, arrival_seed(load.seed, 0)), len(samples), 0)
        waited = served(moments, drawn, load.lanes)
        return _percentiles("", waited, found)
    true = [
        (named(rank), "ms", delays.percentile(rank) / 1e6, percentile(found, rank) / 1e6)
        for rank in enough(RANKS, len(found))
    ]
    if scenario == "multi_stream":
        steps = range(0, len(drawn), load.lanes)
        true += _percentiles(
            "joint ", [max(drawn[k : k + load.lanes]) for k in steps], joint_latencies(samples)
        )
    if scenario == "offline":
        ends = served([0] * len(drawn), drawn, load.lanes)
        true.append(("throughput", "1/s", len(drawn) / max(ends) * 1e9, throughput(samples)))
    return true


def _percentiles(prefix: str, true: Sequence[float], found: Sequence[float]) -> list[Figure]:
    """Where truth is a list of nanoseconds itself."""
    return [
        (prefix + named(rank), "ms", percentile(true, rank) / 1e6, percentile(found, rank) / 1e6)
        for rank in enough(RANKS, len(found))
    ]


def enough(ranks: Sequence[float], count: int) -> list[float]:
    """Percentiles that so many samples are enough for."""
    return [rank for rank in ranks if count >= needed(rank)]


def served(moments: Sequence[int], delays: Sequence[int], lanes: int) -> list[int]:
    """Latencies of one row before some lanes, first come, first served (Kiefer and Wolfowitz, 1955).

    Args:
        moments: of arrivals, ascending.
        delays: what each needs of a lane.
        lanes: how many serve.
    """
    free = [0] * lanes
    latencies = []
    for moment, delay in zip(moments, delays, strict=True):
        done = max(moment, heapq.heappop(free)) + delay
        heapq.heappush(free, done)
        latencies.append(done - moment)
    return latencies


class Nothing:
    """A target that answers at once."""

    facts = Facts()
    inputs = 32
    _answer = Answer()

    def query(self, index: int, lane: int = 0) -> Answer:
        """See `Target`."""
        return self._answer

    def close(self) -> None:
        """See `Target`."""


def driver_cost(scenario: Scenario, queries: int = 2000) -> Cost:
    """What a driver costs: it loads ``Nothing``, in one lane, since two would show what they cost each other.

    Args:
        scenario: its own.
        queries: that it makes.
    """
    clock = HostClock()
    # All arrivals of a server are then long past, so it has no time to wait.
    driver = make_driver(Nothing(), Load(scenario, rate=1e9), clock, origin=clock.now())
    try:
        samples = driver.measure(queries if scenario != "multi_stream" else queries // 4, 0.0, 0)
    finally:
        driver.close()
    told = LEAD_NS if scenario == "multi_stream" else 0
    between = statistics.median(later.issued - earlier.done - told for earlier, later in pairwise(samples))
    return Cost(scenario, statistics.median(sample.service for sample in samples) / 1e3, between / 1e3)
