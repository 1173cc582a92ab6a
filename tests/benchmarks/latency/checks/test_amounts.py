# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from ..valid_run import block, broken, found, run_of


@pytest.mark.parametrize(("claim", "need"), [(95.0, 90), (99.0, 459), (99.9, 4603)])
def test_a_percentile_needs_its_samples(claim: float, need: int) -> None:
    run = run_of(block())
    run.block(claims=(claim,))
    verdict = run.judged()
    assert broken(verdict) == (set() if need <= 96 else {("ours", f"min-samples:p{claim:g}")})
    assert found(verdict, f"min-samples:p{claim:g}").need == need


@pytest.mark.parametrize("claim", [100.0, 99.99999999, 0.0, -1.0, 1e9])
def test_a_percentile_that_nobody_can_claim_is_not_waited_for(claim: float) -> None:
    run = run_of(block())
    run.block(claims=(claim,))
    assert broken(run.judged()) == {("ours", f"min-samples:p{claim:g}")}


def test_what_was_asked_for_was_done() -> None:
    run = run_of(block())
    run.block(load={"queries": 97})
    assert broken(run.judged()) == {("ours", "min-samples:queries")}
    slow = run_of(block())
    slow.block(load={"seconds": 1.5})
    assert broken(slow.judged()) == set()
    slow.block(load={"seconds": 3.0})
    assert broken(slow.judged()) == {("ours", "min-samples:seconds")}


def test_joint_queries_count_on_every_lane() -> None:
    run = run_of(block(scenario="multi_stream", lanes=2, queries=48))
    assert found(run.judged(), "min-samples:queries").need == 96
    assert broken(run.judged()) == set()
    run.block(load={"queries": 96})
    assert broken(run.judged()) == {("ours", "min-samples:queries")}


def test_arrivals_need_not_fill_the_last_gap() -> None:
    run = run_of(block(scenario="server", rate=20.0, queries=96))
    spent = sum(end - begin for begin, end in run.evidence().blocks[0].spells) / 1e9
    run.block(load={"seconds": spent + 0.1})
    assert broken(run.judged()) == set()
    run.block(load={"seconds": spent + 2})
    assert broken(run.judged()) == {("ours", "min-samples:seconds")}
