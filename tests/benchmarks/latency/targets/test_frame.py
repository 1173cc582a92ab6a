# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from stillflow_bench.latency.target import Target, open_target

from ...gpu.host_engine import host_engine  # noqa: F401
from .conftest import Spec


@pytest.fixture(scope="module")
def target(spec: Spec) -> Iterator[Target]:
    opened = open_target(spec("frame", "B3.frame", moving=0.4))
    yield opened
    opened.close()


def test_stages_and_networks_lie_inside_the_query(target: Target) -> None:
    began = time.monotonic_ns()
    spans = target.query(0).spans
    whole = time.monotonic_ns() - began
    stages = {name: taken for name, taken in spans.items() if name.startswith("stage ")}
    assert set(stages) == {f"stage {name}" for name in ("read", "motion", "assess", "scene", "frame")}
    assert 0 < spans["B0.device"] < spans["B2.call"] < sum(stages.values()) < whole
    assert spans["B2.call flow"] < spans["stage motion"] and spans["B2.call generator"] < spans["stage scene"]


def test_digests_tell_photos_apart_and_bring_the_share_that_moves(target: Target) -> None:
    found = []
    for index in (0, 1, 2, 0):
        answer = target.query(index)
        before = dict(answer.spans)
        assert answer.digest is not None
        found.append(answer.digest())
        assert answer.spans == before
    assert found[0] == found[3] and len(set(found)) == 3
    assert target.facts.notes["moving_share"] == pytest.approx([0.4] * 3, abs=0.08)


def test_facts_say_what_made_it(target: Target) -> None:
    facts = target.facts
    assert (facts.engine, facts.frames) == ("onnxruntime", "cpu kernels")
    assert len(set(facts.inputs)) == target.inputs == 3
    assert {graph: receipt["onnx_sha256"] for graph, receipt in facts.receipts.items()} == {
        graph: facts.hashes[graph] for graph in ("flow", "generator")
    }
    assert "middle frame" in facts.notes["digest"]


@pytest.mark.device
@pytest.mark.usefixtures("host_engine")
def test_a_gpu_makes_the_frame_and_only_calls_are_timed(spec: Spec) -> None:
    opened = open_target(spec("frame", "B3.frame", device="cuda", engine="onnxruntime", moving=0.4))
    answer = opened.query(1)
    assert 0 < answer.spans["B2.call flow"] < answer.spans["B2.call"]
    assert not any(name.startswith("B0") for name in answer.spans)
    assert answer.digest is not None and answer.digest()
    facts = opened.facts
    assert (
        facts.device.startswith("cuda:0") and facts.frames.startswith("cuda kernels") and not facts.fallback
    )
    assert facts.receipts["generator"]["onnx_sha256"] == facts.hashes["generator"]
    opened.close()
