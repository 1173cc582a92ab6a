# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from stillflow_bench.latency import loadgen
from stillflow_bench.latency.clock import HostClock
from stillflow_bench.latency.loadgen import (
    SCENARIOS,
    Agreement,
    agreement,
    logged_latencies,
    own_latencies,
)
from stillflow_bench.latency.plan import Load, Scenario
from stillflow_bench.latency.sample import Sample
from stillflow_bench.latency.scenarios.loadgen_log import Logged
from stillflow_bench.latency.target import TargetSpec
from stillflow_bench.latency.targets.fake import Fake

pytestmark = pytest.mark.usefixtures("unswept")

MS = 1_000_000


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_both_time_the_fake_from_without(scenario: Scenario) -> None:
    """No latency is shorter than the fake's own, none longer than all of it: neither unit nor shift is wrong."""
    pytest.importorskip("mlperf_loadgen", reason="mlcommons-loadgen has wheels for x86-64 only")
    spec = TargetSpec("fake", "B2.call", options={"milliseconds": 2.0})
    fakes: list[Fake] = []

    def opened() -> Fake:
        fakes.append(Fake(spec, HostClock()))
        return fakes[-1]

    begin = HostClock().now()
    (median,) = agreement(scenario, opened, queries=7, pairs=1)
    whole = HostClock().now() - begin
    least = [min(fake.took) for fake in fakes[-2:]]  # the last two: a server's rate is found out before
    assert (median.scenario, median.figure, median.queries) == (scenario, "p50", 7)
    assert least[0] / 1e6 <= median.loadgen <= whole / 1e6
    assert least[1] / 1e6 <= median.ours <= whole / 1e6


def test_percentiles_are_of_all_turns_of_each_as_far_as_queries_suffice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Made-up turns, of 1 to 25 ms and 26 to 50 by LoadGen, and of twice that by us."""

    def theirs(target: object, load: Load, queries: int) -> list[Logged]:
        return [Logged(0, k, 7, 9, 7 + (25 * load.seed + k) * MS) for k in range(1, queries + 1)]

    def ours(target: object, load: Load, queries: int) -> list[Sample]:
        return [Sample(k, "measured", 0, 5, 5 + 2 * (25 * load.seed + k) * MS) for k in range(1, queries + 1)]

    monkeypatch.setattr(loadgen, "_by_loadgen", theirs)
    monkeypatch.setattr(loadgen, "_by_us", ours)
    found = agreement(
        "single_stream", lambda: Fake(TargetSpec("fake", "B2.call"), HostClock()), queries=25, pairs=2
    )
    assert found == [
        Agreement("single_stream", "p50", 50, 50.0, 25.0),
        Agreement("single_stream", "p90", 50, 90.0, 45.0),
    ]
    assert [one.error for one in found] == [100, 100]


def test_agreement_is_within_5_percent() -> None:
    assert Agreement("server", "p50", 9, 1.049, 1.0).holds
    assert not Agreement("server", "p50", 9, 0.94, 1.0).holds


def test_latencies_count_from_where_loadgen_counts() -> None:
    samples = [Sample(0, "measured", 0, 10, 30, scheduled=5), Sample(1, "measured", 0, 12, 40, scheduled=5)]
    assert own_latencies("server", samples) == [25, 35]
    assert own_latencies("multi_stream", samples) == [35]
    assert own_latencies("offline", samples) == [20, 30]
    logged = [Logged(0, 0, 5, 10, 30), Logged(0, 0, 5, 12, 40), Logged(0, 1, 50, 50, 57)]
    assert logged_latencies("server", logged) == [25, 35, 7]
    assert logged_latencies("multi_stream", logged) == [35, 7]
