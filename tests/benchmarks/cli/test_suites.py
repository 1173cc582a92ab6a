# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from stillflow_bench import cli
from stillflow_bench.cli import suites
from stillflow_bench.report import Row


@pytest.fixture
def fake_suites(monkeypatch: pytest.MonkeyPatch) -> None:
    for suite in ("kernels", "encode", "startup", "quality"):
        rows = [Row(suite, "something", "ms", (1.0, 2.0, 3.0))]
        monkeypatch.setattr(suites, f"{suite}_rows", lambda *_, rows=rows: rows)
    figures = [Row("quality", "a figure", "", (1.0, 2.0, 3.0), part="labels")]
    monkeypatch.setattr(suites, "parts_rows", lambda *_: figures)


@pytest.mark.usefixtures("fake_suites")
@pytest.mark.parametrize("suite", ["kernels", "encode", "startup"])
def test_a_suite_prints_its_table_and_writes_only_when_asked(suite: str, tmp_path: Path) -> None:
    shown = CliRunner().invoke(cli.program, [suite])
    assert shown.exit_code == 0, shown.output
    assert f"## {suite}" in shown.output
    assert not list(tmp_path.iterdir())
    written = CliRunner().invoke(cli.program, [suite, "--out", str(tmp_path)])
    assert written.exit_code == 0, written.output
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".md"]


@pytest.mark.usefixtures("fake_suites")
def test_everything_writes_every_suite_into_one_report(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        cli.program, ["everything", "--out", str(tmp_path), "--data", str(tmp_path / "none")]
    )
    assert done.exit_code == 0, done.output
    (path,) = tmp_path.glob("*.json")
    rows = json.loads(path.read_text())["rows"]
    assert [row["suite"] for row in rows] == ["kernels", "encode", "startup", "quality", "quality"]
    assert all(row["samples"] == [1.0, 2.0, 3.0] for row in rows)


def test_sheet_of_a_photo(tmp_path: Path, sample_photo: Path) -> None:
    out = tmp_path / "sheet.jpg"
    done = CliRunner().invoke(cli.program, ["sheet", str(sample_photo), "-o", str(out), "--size", "160"])
    assert done.exit_code == 0, done.output
    assert out.is_file()
