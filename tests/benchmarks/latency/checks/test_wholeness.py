# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from stillflow_bench.latency.checks.wholeness import same
from stillflow_bench.latency.percentile import summarise
from stillflow_bench.latency.plan import Plan
from stillflow_bench.latency.sample import Sample

from ..valid_run import SECOND, Run, block, broken, found, run_of

CHANGES: dict[str, Callable[[Sample], Sample]] = {
    "numbered anew": lambda s: msgspec.structs.replace(s, index=s.index + 1),
    "done before it was issued": lambda s: (
        msgspec.structs.replace(s, done=s.issued - 1, spans={}) if s.index == 50 else s
    ),
    "issued while its lane was busy": lambda s: (
        msgspec.structs.replace(s, issued=s.issued - SECOND // 2) if s.index == 50 else s
    ),
    "issued before it was due": lambda s: (
        msgspec.structs.replace(s, scheduled=s.issued + 1) if s.index == 50 else s
    ),
    "lies outside": lambda s: (
        msgspec.structs.replace(s, issued=s.issued + 900 * SECOND, done=s.done + 900 * SECOND)
        if s.index == 108
        else s
    ),
    "on lane 1 of 1": lambda s: msgspec.structs.replace(s, lane=1 if s.index == 50 else 0),
    "a turn that was over": lambda s: msgspec.structs.replace(s, round=0 if s.index == 90 else s.round),
    "no query was measured": lambda s: msgspec.structs.replace(s, phase="warm-up"),
}


@pytest.mark.parametrize("why", CHANGES)
def test_samples_that_no_driver_makes_are_found(why: str) -> None:
    run = run_of(block())
    run.change(CHANGES[why])
    verdict = run.judged()
    check = found(verdict, "samples-complete")
    assert check.condemns and why in check.why
    assert not verdict.valid


def test_summaries_are_made_anew() -> None:
    run = run_of(block())
    (one,) = run.whole().measured
    forged = msgspec.structs.replace(one.summaries["B2.call"], mean=one.summaries["B2.call"].mean * 0.999)
    run.record["measured"] = (msgspec.structs.replace(one, summaries={**one.summaries, "B2.call": forged}),)
    assert broken(run.judged()) == {("ours", "samples-complete")}
    run.record["measured"] = (msgspec.structs.replace(one, summaries={"B2.call": one.summaries["B2.call"]}),)
    assert broken(run.judged()) == {("ours", "samples-complete")}


def test_summaries_are_the_same_to_rounding() -> None:
    values = [1.0, 2.0, 3.0] * 20
    assert same(summarise(values), summarise([value * (1 + 1e-12) for value in values]))
    assert not same(summarise(values), summarise([*values[:-1], 3.001]))
    assert not same(summarise(values), summarise(values[:-1]))


def missing(role: str) -> Run:
    run = run_of(block(), msgspec.structs.replace(block("other"), role=role))
    run.measured[1] = msgspec.structs.replace(run.measured[1], missing="it is not installed")
    return run


def test_a_missing_block_of_ours_condemns_the_run_and_a_peers_is_told() -> None:
    ours = missing("ours").judged()
    assert broken(ours) == {("other", "plan-kept")}
    assert (ours.verdict, ours.blocks["other"]) == ("INVALID", "MISSING")
    peers = missing("peer").judged()
    assert (peers.verdict, peers.blocks["other"]) == ("VALID", "MISSING")
    assert "it is not installed" in found(peers, "plan-kept", "other").why


def test_what_was_planned_is_what_was_measured() -> None:
    run = run_of(block(), block("other"))
    plan = Plan("own", tuple(one.block for one in run.measured))
    run.record["plan"] = plan
    run.block("other", title="another")
    assert broken(run.judged()) == {("other", "plan-kept")}
    left_out = run_of(block())
    left_out.record["plan"] = plan
    assert broken(left_out.judged()) == {("other", "plan-kept")}
    assert not left_out.judged().valid
    added = run_of(block(), block("other"))
    added.record["plan"] = Plan("own", (block(),))
    assert broken(added.judged()) == {("other", "plan-kept")}


def test_a_run_that_was_ended_or_measured_nothing_is_invalid() -> None:
    run = run_of(block())
    run.record["interrupted"] = True
    assert broken(run.judged()) == {("", "plan-kept")}
    nothing = run_of(block())
    nothing.measured[0] = msgspec.structs.replace(nothing.measured[0], missing="no memory")
    assert ("", "plan-kept") in broken(nothing.judged())


def test_a_query_that_failed_is_an_error() -> None:
    run = run_of(block(queries=99))
    run.block(load={"queries": 98})
    run.change(lambda s: msgspec.structs.replace(s, error="no memory" if s.index == 50 else ""))
    verdict = run.judged()
    assert broken(verdict) == {("ours", "no-errors")}
    assert "no memory" in found(verdict, "no-errors").why
