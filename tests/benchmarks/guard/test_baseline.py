# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow.errors import StillflowError
from stillflow_bench.guard.baseline import (
    FAILING,
    TOLERANCE,
    accept,
    compared,
    failures,
    read_baseline,
    unknown,
)
from stillflow_bench.guard.counts import Counted

HERE = "gcc 12, x86_64"


def counted(differing=None, **counts: int) -> Counted:
    return Counted("native", HERE, counts, differing or {})


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_a_change_beyond_the_tolerance_fails_whichever_way_it_goes(before: int, now: int) -> None:
    (line,) = compared([counted(frame=now)], {HERE: {"frame": before}})
    beyond = abs(now - before) > TOLERANCE * before
    assert line.standing == ("same" if not beyond else "rose" if now > before else "fell")
    assert (line in failures([line])) == beyond


def test_the_first_allocation_is_a_rise() -> None:
    (line,) = failures(compared([counted(allocations=1)], {HERE: {"allocations": 0}}))
    assert line.sentence == (
        "native: allocations rose, from 0 to 1 a frame; if that is meant, accept it: stillflow-bench guard --accept"
    )


def test_a_rise_says_by_how_much_and_how_to_accept_it() -> None:
    (line,) = failures(compared([counted(frame=10_520)], {HERE: {"frame": 10_000}}))
    assert line.sentence == (
        "native: frame rose by 5.2%, from 10 000 to 10 520 a frame; "
        "if that is meant, accept it: stillflow-bench guard --accept"
    )


def test_another_compiler_is_no_failure_and_is_said() -> None:
    accepted = {"clang 1, x86_64": {"frame": 1}}
    lines = compared([counted(frame=10)], accepted)
    assert [line.standing for line in lines] == ["unknown"]
    assert failures(lines) == []
    (sentence,) = unknown([counted(frame=10)], accepted)
    assert HERE in sentence and "stillflow-bench guard --accept" in sentence
    assert unknown([counted(frame=10)], {HERE: {}}) == []


def test_two_runs_that_differ_fail_also_where_nothing_is_accepted() -> None:
    one = counted({"frame": 11, "other": 3}, frame=10)
    for accepted in ({}, {HERE: {"frame": 10}}):
        standings = {line.what: line.standing for line in failures(compared([one], accepted))}
        assert standings == {"frame": "differs", "other": "differs"}
        assert "10 and 11" in failures(compared([one], accepted))[0].sentence


def test_new_and_gone_counts_are_asked_about() -> None:
    lines = failures(compared([counted(new=1)], {HERE: {"gone": 1}}))
    assert {line.what: line.standing for line in lines} == {"new": "new", "gone": "gone"}
    assert all("--accept" in line.sentence for line in lines)


def test_what_could_not_be_counted_is_a_line_that_does_not_fail() -> None:
    (line,) = compared([Counted("native", "none", {}, left_out={"kernels": "valgrind is not installed"})], {})
    assert line.standing not in FAILING
    assert line.sentence == "native: kernels: not counted: valgrind is not installed"


def test_accepting_keeps_other_environments(tmp_path: Path) -> None:
    path = tmp_path / "guard.json"
    accept(path, [Counted("native", "clang 1", {"frame": 7}), Counted("native", "none", {})])
    accept(path, [counted(frame=10, allocations=0)])
    accept(path, [counted(frame=12)])
    assert read_baseline(path) == {"clang 1": {"frame": 7}, HERE: {"frame": 12}}
    assert [child.name for child in tmp_path.iterdir()] == ["guard.json"]


def test_no_file_is_nothing_accepted(tmp_path: Path) -> None:
    assert read_baseline(tmp_path / "guard.json") == {}


@pytest.mark.parametrize("text", [
    "", "[]", "{", '{"schema": "1.0"}', '{"schema": "2.0", "environments": {}}', '{"schema": 1, "environments": {}}',
    '{"schema": "1.0", "environments": {"a": {"b": 1.5}}}', '{"schema": "1.0", "environments": {}, "more": 1}',
    '{"schema": "1.0", "environments": {"a": {"b": "1"}}}', " " * (1 << 20) + "{}", "\xff\xfe",
])  # fmt: skip
def test_a_file_that_is_none_of_ours_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "guard.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(StillflowError, match=r"guard\.json"):
        read_baseline(path)
