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
from itertools import pairwise, product
from typing import TypeVar

import msgspec

from stillflow_bench.latency.clock import Clock, HostClock
from stillflow_bench.latency.loadgen import LOAD_SHARE, SCENARIOS, Agreement, agreement
from stillflow_bench.latency.percentile import needed, percentile, percentile_name
from stillflow_bench.latency.plan import Load, Scenario
from stillflow_bench.latency.sample import Sample
from stillflow_bench.latency.scenarios import make_driver
from stillflow_bench.latency.scenarios.loadgen_driver import load_generator
from stillflow_bench.latency.scenarios.multi_stream import LEAD_NS, joint_latencies
from stillflow_bench.latency.scenarios.offline import throughput
from stillflow_bench.latency.scenarios.server import arrival_seed, arrivals, poisson_gaps
from stillflow_bench.latency.target import Answer, Facts, TargetSpec
from stillflow_bench.latency.targets.delays import DISTRIBUTIONS, Distribution
from stillflow_bench.latency.targets.fake import INNER, Fake, open_target

RANKS = (50.0, 90.0, 95.0, 99.0)

THROUGHPUT = "throughput"

WITHIN = 2.0
"""Per cent by which a recovered figure may be off."""

ATTEMPTS = 4
"""Other programs on the machine only ever add to a time, so one undisturbed attempt of four is enough."""

SECONDS = 34.0
"""After which nothing is attempted again: the whole then stays below 40. The delays alone add up to 26."""

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
        figure: "p50"..., "joint p50"... of all lanes together, milliseconds; "throughput", queries a second.
        true: what it is.
        recovered: what was measured.
        took: what it would be with the delays that the fake read off its own clock. Where the machine was busy, those
            are longer than it was told, and this is what the suite should have found.
        attempts: made in all; the best one is shown.
    """

    scenario: Scenario
    delays: Distribution
    figure: str
    true: float
    recovered: float
    took: float
    attempts: int = 1

    @property
    def unit(self) -> str:
        """Of the figures."""
        return "1/s" if self.figure == THROUGHPUT else "ms"

    @property
    def error(self) -> float:
        """Per cent of the true value; above 0 where too much was measured."""
        return 100 * (self.recovered / self.true - 1)

    @property
    def holds(self) -> bool:
        """Whether it was recovered."""
        return abs(self.error) <= WITHIN

    @property
    def own_error(self) -> float:
        """Per cent of what the fake took: what is left of the error without what other programs did to the fake."""
        return 100 * (self.recovered / self.took - 1)


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
    begin = time.monotonic()
    findings: list[Finding] = []
    every = list(product(SCENARIOS, DISTRIBUTIONS))
    for done, (scenario, delays) in enumerate(every, 1):
        # Each has its share of the time, so that the first ones do not use up what the last ones need.
        deadline = begin + SECONDS * done / len(every)
        attempts = best(partial(recover, scenario, delays, HostClock(), size), deadline)
        findings += [msgspec.structs.replace(finding, attempts=len(attempts)) for finding in attempts[0]]
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
    true = _figures(scenario, fake.delays.first(len(samples)), load)
    took = _figures(scenario, [round(sample.spans["B0.device"] / INNER) for sample in samples], load)
    return [
        Finding(scenario, distribution, name, true[name], found, took[name])
        for name, found in _recovered(scenario, samples).items()
    ]


def fake_options(
    distribution: Distribution, milliseconds: float, cycle: int
) -> dict[str, str | int | float | bool]:
    """Options of a fake that delays as told."""
    return {"distribution": distribution, "milliseconds": milliseconds, "cycle": cycle}


def _figures(scenario: Scenario, delays: Sequence[int], load: Load) -> dict[str, float]:
    """What must come out where these are the delays, nanoseconds, in the order of the queries."""
    if scenario == "server":
        moments = arrivals(poisson_gaps(load.rate, arrival_seed(load.seed, 0)), len(delays), 0)
        return _percentiles("", served(moments, delays, load.lanes))
    figures = _percentiles("", delays)
    if scenario == "multi_stream":
        steps = range(0, len(delays), load.lanes)
        figures |= _percentiles("joint ", [max(delays[k : k + load.lanes]) for k in steps])
    if scenario == "offline":
        figures[THROUGHPUT] = len(delays) / max(served([0] * len(delays), delays, load.lanes)) * 1e9
    return figures


def _recovered(scenario: Scenario, samples: Sequence[Sample]) -> dict[str, float]:
    """The same figures, of what was measured."""
    figures = _percentiles("", [sample.latency for sample in samples])
    if scenario == "multi_stream":
        figures |= _percentiles("joint ", joint_latencies(samples))
    if scenario == "offline":
        figures[THROUGHPUT] = throughput(samples)
    return figures


def _percentiles(prefix: str, nanoseconds: Sequence[int]) -> dict[str, float]:
    """Milliseconds by name, as far as there are enough for them."""
    ranks = (rank for rank in RANKS if len(nanoseconds) >= needed(rank))
    return {prefix + percentile_name(rank): percentile(nanoseconds, rank) / 1e6 for rank in ranks}


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
