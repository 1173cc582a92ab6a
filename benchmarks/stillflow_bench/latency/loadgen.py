# SPDX-License-Identifier: Apache-2.0
"""Do our drivers and MLPerf's LoadGen find the same percentiles for the same target?

Both take turns. Queries of a server arrive at the same moments in both, as the drivers draw them from the same seed:
the luck of two draws would differ by more than 5 %. Percentiles of both are by our rule, nearest rank, over the
latencies of each: LoadGen's own take the sample after that one, which is 8 % more at p99 of 500 samples with a heavy
tail, and is no matter of measuring.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

import msgspec

from stillflow_bench.latency.clock import HostClock
from stillflow_bench.latency.percentile import needed, percentile, percentile_name
from stillflow_bench.latency.plan import Load, Scenario
from stillflow_bench.latency.sample import Sample
from stillflow_bench.latency.scenarios.asking import Asker
from stillflow_bench.latency.scenarios.driver import Driver
from stillflow_bench.latency.scenarios.loadgen_driver import LoadGenDriver
from stillflow_bench.latency.scenarios.loadgen_log import Logged
from stillflow_bench.latency.scenarios.multi_stream import joint_latencies
from stillflow_bench.latency.scenarios.own import own_driver
from stillflow_bench.latency.target import Target

SCENARIOS: tuple[Scenario, ...] = ("single_stream", "multi_stream", "offline", "server")

RANKS = (50.0, 90.0, 99.0)

WITHIN = 5.0
"""Per cent that both may differ by."""

LOAD_SHARE = 0.5
"""Of what its lanes can serve arrives at a server."""


class Agreement(msgspec.Struct, frozen=True):
    """One figure from both.

    Attributes:
        scenario: under which.
        figure: "p50"...: of offline, moments of being done since the begin, as LoadGen counts there.
        queries: that each made, joint ones where they are joint.
        ours: milliseconds.
        loadgen: milliseconds.
    """

    scenario: Scenario
    figure: str
    queries: int
    ours: float
    loadgen: float

    @property
    def error(self) -> float:
        """Per cent of LoadGen's figure; above 0 where ours is larger."""
        return 100 * (self.ours / self.loadgen - 1)

    @property
    def holds(self) -> bool:
        """Whether both agree."""
        return abs(self.error) <= WITHIN


def agreement(
    scenario: Scenario,
    opened: Callable[[], Target],
    *,
    queries: int,
    pairs: int = 2,
    lanes: int = 2,
    warm_up: int = 0,
    seed: int = 0,
) -> list[Agreement]:
    """Load a target by LoadGen and by our driver in turn.

    Args:
        scenario: of both.
        opened: gives the target, once for each turn of each: the same open one, or a new one.
        queries: of each turn; percentiles are of all turns together.
        pairs: turns of each.
        lanes: of all scenarios but single_stream.
        warm_up: queries before each turn.
        seed: of the first turn.

    Raises:
        StillflowError: LoadGen is not installed.
    """
    lanes = 1 if scenario == "single_stream" else lanes
    rate = 0.0
    ours: list[int] = []
    theirs: list[int] = []
    for turn in range(pairs):
        if scenario == "server":
            rate = rate or LOAD_SHARE * lanes / _service_seconds(opened(), lanes)
        load = Load(scenario, lanes=lanes, rate=rate, warm_up=warm_up, seed=seed + turn)
        theirs += logged_latencies(scenario, _by_loadgen(opened(), load, queries))
        ours += own_latencies(scenario, _by_us(opened(), load, queries))
    return [
        Agreement(
            scenario,
            percentile_name(rank),
            len(theirs),
            percentile(ours, rank) / 1e6,
            percentile(theirs, rank) / 1e6,
        )
        for rank in RANKS
        if len(theirs) >= needed(rank)
    ]


def _by_loadgen(target: Target, load: Load, queries: int) -> list[Logged]:
    asker = _asker(target, load)
    driver = LoadGenDriver(asker, load, own_driver(asker, load), target.inputs)
    _measured(driver, queries)
    return driver.logged


def _by_us(target: Target, load: Load, queries: int) -> list[Sample]:
    return _measured(own_driver(_asker(target, load), load), queries)


def _asker(target: Target, load: Load) -> Asker:
    clock = HostClock()
    return Asker(target, load, clock, clock.now())


def _measured(driver: Driver, queries: int) -> list[Sample]:
    try:
        driver.warm_up()
        return driver.measure(queries, 0.0, 0)
    finally:
        driver.close()


def _service_seconds(target: Target, lanes: int) -> float:
    """Mean time of a query while all lanes work; 50 of them, of which chance makes a few per cent."""
    load = Load("offline", lanes=lanes)
    samples = _measured(own_driver(_asker(target, load), load), 50)
    return statistics.fmean(sample.service for sample in samples) / 1e9


def own_latencies(scenario: Scenario, samples: Sequence[Sample]) -> list[int]:
    """Nanoseconds, as LoadGen counts under the scenario."""
    if scenario == "multi_stream":
        return joint_latencies(samples)
    if scenario == "offline":
        begin = min(sample.issued for sample in samples)
        return [sample.done - begin for sample in samples]
    return [sample.latency for sample in samples]


def logged_latencies(scenario: Scenario, logged: Sequence[Logged]) -> list[int]:
    """Nanoseconds of each query, of multi_stream of each joint one."""
    if scenario != "multi_stream":
        return [entry.latency for entry in logged]
    latest: dict[int, int] = {}
    for entry in logged:
        latest[entry.query] = max(entry.latency, latest.get(entry.query, 0))
    return list(latest.values())
