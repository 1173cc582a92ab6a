# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from stillflow_bench.latency.plan import Block
from stillflow_bench.latency.sample import Sample
from stillflow_bench.latency.summaries import SERVICE, summaries, times
from stillflow_bench.latency.target import TargetSpec

FRAME = Block("x", "x", "ours", TargetSpec("frame", "B3.frame"))


def test_only_measured_and_answered_queries_count() -> None:
    samples = [
        Sample(0, "warm-up", 0, 0, 9_000_000),
        Sample(1, "measured", 0, 0, 5_000_000, spans={"B2.call": 4_000_000, "stage motion": 3_000_000}),
        Sample(2, "measured", 0, 0, 7_000_000, error="no"),
        Sample(3, "audit", 0, 0, 1_000_000),
    ]
    assert times(FRAME, samples) == {"B3.frame": [5.0], "B2.call": [4.0], "stage motion": [3.0]}
    assert list(summaries(FRAME, samples)) == ["B2.call", "B3.frame", "stage motion"]
    assert times(FRAME, []) == {}


def test_waiting_counts_and_the_service_is_told_besides() -> None:
    waited = Sample(0, "measured", 0, 3_000_000, 5_000_000, scheduled=1_000_000)
    assert times(FRAME, [waited]) == {"B3.frame": [4.0], SERVICE: [2.0]}


def test_a_boundary_that_the_target_measured_itself_is_not_the_whole_query() -> None:
    device = Block("x", "x", "ours", TargetSpec("device", "B0.device"))
    events = Sample(0, "measured", 0, 0, 5_000_000, spans={"B0.device": 2_000_000})
    assert times(device, [events]) == {"B0.device": [2.0]}
