# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from stillflow.errors import StillflowError
from stillflow_bench.latency.target import Target, open_target

from .conftest import Spec


@pytest.fixture(scope="module")
def target(spec: Spec) -> Iterator[Target]:
    opened = open_target(spec("networks", "B2.call"))
    yield opened
    opened.close()


def test_a_query_runs_both_networks_and_their_times_nest(target: Target) -> None:
    for index in range(target.inputs):
        spans = target.query(index).spans
        for graph in ("", " flow", " generator"):
            assert 0 < spans[f"B0.device{graph}"] < spans[f"B2.call{graph}"]
        for boundary in ("B0.device", "B2.call"):
            assert spans[boundary] == spans[f"{boundary} flow"] + spans[f"{boundary} generator"]


def test_outputs_are_the_photos_own_in_any_lane(target: Target) -> None:
    assert target.inputs == 3
    digests = []
    for index in range(3):
        digest = target.query(index).digest
        assert digest is not None
        digests.append(digest())
    assert len(set(digests)) == 3

    def again(lane: int) -> str:
        answer = target.query(lane, lane)
        assert answer.digest is not None
        assert answer.spans["B0.device"] < answer.spans["B2.call"]
        return answer.digest()

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(again, range(3))) == digests


def test_facts_are_read_back(target: Target) -> None:
    facts = target.facts
    assert (facts.engine, facts.provider, facts.device) == ("onnxruntime", "CPUExecutionProvider", "cpu")
    assert facts.precision == {"flow": "fp32", "generator": "fp32"}
    assert facts.version and not facts.fallback
    assert facts.photos == ["a.jpg", "b.jpg", "c.jpg"]
    assert len(set(facts.inputs)) == 3
    assert facts.notes["threads"]["flow"] == 1
    assert facts.notes["shapes"]["generator"]["field"][:2] == [1, 9]
    for graph in ("flow", "generator"):
        assert facts.receipts[graph]["onnx_sha256"] == facts.hashes[graph]
        assert facts.receipts[graph]["passed"] is True


def test_a_closed_one_runs_no_more(spec: Spec) -> None:
    target = open_target(spec("networks", "B2.call"))
    target.close()
    target.close()
    with pytest.raises(StillflowError, match="closed"):
        target.query(0)


def test_what_is_not_there_is_refused(spec: Spec) -> None:
    with pytest.raises(StillflowError, match="int8"):
        open_target(spec("networks", "B2.call", precision="int8"))
