# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stillflow_bench.latency.page.material import Material

Make = Callable[..., Any]
Read = Callable[[Any], Material]


def test_only_measured_and_answered_queries_count(make: Make, read: Read) -> None:
    made = make()
    made.block("one", "fake", "B2.call", [4.0, 1.0, 3.0, 2.0], failing=1)
    (one,) = read(made).shown
    assert list(one.latencies) == [1.0, 3.0, 2.0]
    assert one.failed == 1
    assert one.median == 2.0
    assert one.summary is not None
    assert one.summary.n == 3


def test_what_the_target_measured_itself_is_its_latency(make: Make, read: Read) -> None:
    made = make()
    made.block("one", "device", "B0.device", [4.0, 2.0], spans={"B0.device": 0.5, "stage a": 0.25})
    (one,) = read(made).shown
    assert list(one.latencies) == [2.0, 1.0]
    assert list(one.spans["stage a"]) == [1.0, 0.5]
    assert one.inner == {}


def test_boundaries_inside_are_summed_up_and_stages_are_not(make: Make, read: Read) -> None:
    made = make()
    made.block(
        "one", "frame", "B3.frame", [4.0, 2.0], spans={"B2.call": 0.5, "B2.call flow": 0.2, "stage a": 0.25}
    )
    (one,) = read(made).shown
    assert {name: summary.most for name, summary in one.inner.items()} == {"B2.call": 2.0}


def test_damaged_samples_are_told_and_refused(make: Make, read: Read) -> None:
    made = make()
    made.block("good", "fake", "B2.call", [1.0] * 9, group="g")
    made.block("bad", "fake", "B2.call", [1.0] * 9, group="g")
    made.block("gone", "torch", "B2.call", [], group="g", missing="no torch")
    (made.folder / "samples" / "bad.jsonl").write_text("{")
    material = read(made)
    assert [one.block.name for one in material.answered] == ["good"]
    assert material.shown[1].damage
    assert "bad" in material.against
    assert not material.verdict.valid
    assert any(line.startswith("bad (bad): ") for line in material.reasons)
    assert [
        (boundary, [one.block.name for one in members]) for boundary, members in material.comparable()
    ] == [("B2.call", ["good"])]


def test_a_peer_that_is_refused_is_no_reason_against_the_run(make: Make, read: Read) -> None:
    made = make()
    made.block("theirs", "torch", "B2.call", [1.0] * 9, role="peer", failing=3)
    material = read(made)
    assert "theirs" in material.against
    assert not any(line.startswith("theirs") for line in material.reasons)
