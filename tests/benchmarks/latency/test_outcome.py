# SPDX-License-Identifier: Apache-2.0
"""The one line that is said of a run."""

from __future__ import annotations

from msgspec.structs import replace

from stillflow_bench.latency.checks.check import Check
from stillflow_bench.latency.judge import Verdict
from stillflow_bench.latency.limits import Limits
from stillflow_bench.latency.outcome import summed_up
from stillflow_bench.latency.plan import Block, Plan
from stillflow_bench.latency.record import Host, Look, Measured, Record, Tool
from stillflow_bench.latency.target import TargetSpec

OURS = Block("frame", "F", "ours", TargetSpec("fake", "B3.frame"))
PLAN = Plan("own", (OURS, replace(OURS, name="other", role="peer")))
RECORD = Record(
    "1.0",
    Tool("0", "c", "run", "2026-01-01"),
    Host("m", "cpu", 2, 1.0, "Linux", "3", {}),
    PLAN,
    tuple(Measured(block) for block in PLAN.blocks),
    Look(0),
    Look(1),
)


def verdict(word: str, *checks: Check) -> Verdict:
    return Verdict("1.0", word, {}, checks, Limits())  # type: ignore[arg-type]


def bad(number: int, block: str = "frame") -> Check:
    return Check(id=f"check-{number}", ok=False, why=f"reason {number}", block=block)


def test_a_valid_run_is_one_word() -> None:
    assert summed_up(verdict("VALID", bad(1, "other")), RECORD) == {
        "verdict": "VALID",
        "reasons": [],
        "says": "VALID",
    }


def test_the_first_reasons_are_told_and_the_others_counted() -> None:
    checks = [bad(number) for number in range(5)]
    found = summed_up(verdict("INVALID", bad(9, "other"), bad(8, ""), *checks), RECORD)
    assert len(found["reasons"]) == 6
    assert found["says"] == (
        "INVALID: check-8: reason 8; check-0 (frame): reason 0; check-1 (frame): reason 1; "
        "and 3 more: stillflow-bench judge DIR"
    )


def test_a_run_of_peers_alone_stands_and_falls_with_them() -> None:
    alone = replace(RECORD, measured=(Measured(PLAN.blocks[1]),))
    assert (
        summed_up(verdict("INVALID", bad(9, "other")), alone)["says"] == "INVALID: check-9 (other): reason 9"
    )


def test_long_reasons_are_cut_in_the_line_only() -> None:
    long = Check(id="check", ok=False, why="word " * 200)
    found = summed_up(verdict("INVALID", long), RECORD)
    assert len(found["says"]) < 200 and len(found["reasons"][0]) > 900
