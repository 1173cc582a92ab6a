# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from stillflow.errors import StillflowError
from stillflow_bench.guard import callgrind, device_bytes, interpreter, suite
from stillflow_bench.guard.baseline import Line, compared
from stillflow_bench.guard.counts import Counted

COUNTED = Counted("native", "gcc", {"frame": 1050, "allocations": 0})
LINES = compared([COUNTED], {"gcc": {"frame": 1000, "allocations": 0}})


def test_a_table_shows_both_counts_the_change_and_the_verdict() -> None:
    rows = suite.table(LINES).splitlines()
    assert rows[2] == "| native | frame | 1 050 | 1 000 | +5.0% | ROSE |"
    assert rows[3] == "| native | allocations | 0 | 0 |  | as accepted |"
    left_out = Line("native", "kernels", "left out", why="valgrind is not installed")
    assert suite.table([left_out]).endswith(
        "| native | kernels |  |  |  | not counted: valgrind is not installed |"
    )


def test_files_hold_everything(tmp_path: Path) -> None:
    told = suite.as_json([COUNTED], LINES)
    made = suite.keep(tmp_path / "new", told, LINES)
    assert [path.name for path in made] == ["guard.json", "guard.md"]
    read = json.loads(made[0].read_text(encoding="utf-8"))
    assert read["counted"][0]["counts"] == {"frame": 1050, "allocations": 0}
    assert read["lines"][0] == {
        "by": "native", "what": "frame", "standing": "rose", "counted": 1050, "accepted": 1000, "why": "",
        "change": pytest.approx(0.05),
    }  # fmt: skip
    assert made[1].read_text(encoding="utf-8").startswith("| by | what |")


def test_without_valgrind_the_others_are_counted_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callgrind, "missing", lambda: "valgrind is not installed")
    monkeypatch.setattr(interpreter, "count", lambda: Counted("python", "CPython", {"a frame": 1}))
    monkeypatch.setattr(device_bytes, "count", lambda: Counted("cuda", "formula", {"a frame": 1}))
    native, python, cuda = suite.count()
    assert native.counts == {}
    assert native.left_out == {"kernels": "valgrind is not installed"}
    assert (python.by, cuda.by) == ("python", "cuda")


def test_there_is_nothing_to_guard_without_the_source(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(suite, "TREE", tmp_path)
    with pytest.raises(StillflowError, match="nothing to guard"):
        suite.count()


def test_the_program_is_built_where_nothing_takes_it_for_a_library(source_tree: Path) -> None:
    assert source_tree == suite.TREE
    assert not list(suite.BUILD.rglob("libstillflow*"))
