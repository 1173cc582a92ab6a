# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stillflow.gpu.description import find_gpu
from stillflow_bench.latency.target import Target, open_target

from .conftest import Spec


@pytest.fixture(scope="module")
def column(spec: Spec) -> Iterator[Target]:
    opened = open_target(spec("next", "B3.next", moving=0.5))
    yield opened
    opened.close()


def digest(target: Target, index: int, lane: int = 0) -> str:
    answer = target.query(index, lane)
    assert answer.digest is not None
    return answer.digest()


def test_an_input_is_a_photo_at_a_time(column: Target) -> None:
    facts = column.facts
    assert column.inputs == 3 * 8 == len(set(facts.inputs))
    assert facts.notes["times"] == list(range(8)) and facts.notes["frames"] == 8
    assert facts.notes["inputs"] == "3 photos x 8 times"
    assert len({digest(column, index) for index in range(24)}) == 24


def test_the_share_is_the_columns_and_no_network_has_part_in_it(column: Target) -> None:
    facts = column.facts
    assert facts.notes["moving_share"] == pytest.approx([0.5] * 3, abs=0.1)
    assert (facts.engine, facts.frames, facts.hashes, facts.receipts) == (
        "libstillflow",
        "cpu kernels",
        {},
        {},
    )


def test_lanes_have_buffers_of_their_own(column: Target) -> None:
    alone = [digest(column, index) for index in range(12)]
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        pools = (first, second)
        found = [pools[index % 2].submit(digest, column, index, index % 2) for index in range(12)]
        assert [one.result() for one in found] == alone


def test_loops_as_the_networks_see_them(spec: Spec) -> None:
    target = open_target(spec("next", "B3.next"))
    assert target.facts.engine == "onnxruntime" and set(target.facts.receipts) == {"flow", "generator"}
    assert target.facts.notes["motion"] == "as the networks see it"
    assert dict(target.query(5).spans) == {}
    target.close()
    target.close()


def test_frames_that_a_network_decodes_tell_what_it_took(spec: Spec, source_tree: Path) -> None:
    golden = str(source_tree / "tests" / "data" / "bundles" / "golden-1.1")
    target = open_target(spec("next", "B3.next", bundle=golden, moving=0.5, width=128, height=96, fps=2.0))
    spans = target.query(1).spans
    assert 0 < spans["B0.device decoder"] < spans["B2.call decoder"]
    assert digest(target, 0) == digest(target, 0) != digest(target, 1)
    assert "decoder" in target.facts.hashes
    target.close()


@pytest.mark.device
def test_a_gpu_plays_the_column(spec: Spec) -> None:
    target = open_target(spec("next", "B3.next", device="cuda", moving=0.5))
    gpu = find_gpu()
    assert gpu is not None and gpu.name in target.facts.frames
    assert digest(target, 7) == digest(target, 7) != digest(target, 8)
    target.close()
    target.close()
