# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from stillflow_bench.machine import Provenance
from stillflow_bench.report import Row, Summary, as_json, file_text, read_report, write_report
from stillflow_bench.tables import markdown


def test_value_is_the_median_and_limits_have_a_side() -> None:
    assert Row("s", "n", "ms", (3.0, 1.0, 20.0)).value == 3.0
    assert Row("s", "n", "ms", (2.0,), limit=2.0).holds is True
    assert Row("s", "n", "ms", (2.1,), limit=2.0).holds is False
    assert Row("s", "n", "", (0.89,), limit=0.9, side="at least").holds is False
    assert Row("s", "n", "", (2.0,)).holds is None


def test_a_row_without_samples_is_refused_unless_it_says_why() -> None:
    with pytest.raises(ValueError, match="no samples"):
        Row("s", "n", "ms", ())
    row = Row("s", "n", "ms", (), limit=1.0, missing="no torch")
    assert math.isnan(row.value)
    assert row.holds is None


@pytest.mark.parametrize(
    ("summary", "value"), [("median", 2.0), ("mean", 4.0), ("smallest", 1.0), ("largest", 9.0)]
)
def test_limits_are_about_the_summary(summary: Summary, value: float) -> None:
    row = Row("s", "n", "ms", (1.0, 2.0, 9.0, 2.0, 6.0), limit=value, summary=summary)
    assert row.value == value
    assert row.holds is True
    assert replace(row, limit=value - 0.1).holds is False


def test_what_was_not_measured_is_null_in_json(about: Provenance) -> None:
    (row,) = as_json([Row("quality", "labels", "", (), part="labels", missing="no data")], about)
    assert row["value"] is None
    assert json.loads(json.dumps(row, allow_nan=False))["missing"] == "no data"


def test_a_part_measured_again_leaves_the_other_parts(tmp_path: Path, about: Provenance) -> None:
    def row(part: str, value: float) -> Row:
        return Row("quality", "n", "", (value,), part=part)

    write_report(tmp_path, [row("", 0.0), row("labels", 1.0), row("time", 2.0)], about)
    path, _ = write_report(tmp_path, [row("time", 3.0)], replace(about, commit="changed"))
    rows = read_report(path)
    assert [(r["part"], r["value"]) for r in rows] == [("", 0.0), ("labels", 1.0), ("time", 3.0)]


def test_every_row_carries_every_sample_and_its_provenance(about: Provenance) -> None:
    (row,) = as_json([Row("kernels", "compose", "ms", (5.0, 4.0, 90.0), {"size": "720p"}, 10.0)], about)
    assert row["samples"] == (5.0, 4.0, 90.0)
    assert row["value"] == 5.0
    assert row["holds"] is True
    assert {"machine", "cpu", "commit", "versions", "command", "date", "load"} <= set(row)


def test_a_second_suite_of_the_day_joins_the_report(tmp_path: Path, about: Provenance) -> None:
    write_report(tmp_path, [Row("kernels", "a", "ms", (1.0,)), Row("kernels", "b", "ms", (1.0,))], about)
    write_report(tmp_path, [Row("startup", "c", "s", (1.0,))], about)
    path, table = write_report(
        tmp_path, [Row("kernels", "a", "ms", (2.0,))], replace(about, commit="changed")
    )
    rows = json.loads(path.read_text())["rows"]
    assert [(row["suite"], row["name"], row["value"]) for row in rows] == [
        ("startup", "c", 1.0),
        ("kernels", "a", 2.0),
    ]
    assert path.name == "tin-can-2core-2026-01-02.json"
    assert "commit changed" in table.read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([path.name, table.name])


def test_what_rows_of_a_run_share_is_written_once(tmp_path: Path, about: Provenance) -> None:
    write_report(tmp_path, [Row("kernels", "a", "ms", (1.0,)), Row("kernels", "b", "ms", (2.0,))], about)
    path, _ = write_report(tmp_path, [Row("startup", "c", "s", (3.0,))], replace(about, commit="changed"))
    told = json.loads(path.read_text())
    assert [run["commit"] for run in told["runs"]] == [about.commit, "changed"]
    assert [(row["name"], row["run"]) for row in told["rows"]] == [("a", 0), ("b", 0), ("c", 1)]
    assert not any("versions" in row for row in told["rows"])
    assert list(told["rows"][0]) == ["run", "suite", "name", "unit", "samples", "value"]
    assert read_report(path)[0]["side"] == "at most"
    assert [row["commit"] for row in read_report(path)] == [about.commit, about.commit, "changed"]


def test_a_report_of_schema_1_is_read_and_joined(tmp_path: Path, about: Provenance) -> None:
    old = as_json([Row("kernels", "a", "ms", (1.0, 3.0))], about)
    path = tmp_path / f"{about.machine}-{about.date[:10]}.json"
    path.write_text(json.dumps({"schema": "1.1", "rows": old}), encoding="utf-8")
    assert read_report(path) == json.loads(json.dumps(old))
    write_report(tmp_path, [Row("startup", "c", "s", (3.0,))], about)
    rows = read_report(path)
    assert [row["name"] for row in rows] == ["a", "c"]
    assert rows[0] == json.loads(json.dumps(old))[0]


def test_the_committed_report_is_the_table_beside_it(source_tree: Path) -> None:
    for path in (source_tree / "benchmarks" / "results").glob("*core-*.json"):
        rows = read_report(path)
        assert path.read_text(encoding="utf-8") == file_text(rows)
        assert path.with_suffix(".md").read_text(encoding="utf-8") == markdown(rows)
