# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from stillflow_bench import cli
from stillflow_bench.cli import quality
from stillflow_bench.report import Row


@pytest.fixture
def fake_rows(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """Measures nothing; holds what each call of ``quality_rows`` was given."""
    asked: list[tuple[object, ...]] = []

    def rows(*arguments: object) -> list[Row]:
        asked.append(arguments)
        return [Row("quality", "something", "ms", (1.0, 2.0, 3.0))]

    monkeypatch.setattr(quality, "quality_rows", rows)
    figures = [Row("quality", "a figure", "", (1.0, 2.0, 3.0), part="labels")]
    monkeypatch.setattr(quality, "parts_rows", lambda *_: figures)
    return asked


def test_quality_runs_on_a_photo_with_the_default_bundle(tmp_path: Path, sample_photo: Path) -> None:
    arguments = ["quality", str(sample_photo), "--size", "160", "--seconds", "1", "--fps", "8"]
    done = CliRunner().invoke(cli.program, [*arguments, "--sheets", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "| waterfall | stillflow |" in done.output
    assert "| waterfall | plain warp |" in done.output
    assert (tmp_path / "waterfall.png").is_file()


@pytest.mark.usefixtures("fake_rows")
def test_quality_measures_loops_of_photos_or_figures_of_labelled_ones_or_both(tmp_path: Path) -> None:
    def shown(*arguments: str) -> tuple[bool, bool]:
        done = CliRunner().invoke(cli.program, ["quality", *arguments])
        assert done.exit_code == 0, done.output
        return "| something |" in done.output, "| a figure |" in done.output

    assert shown() == (True, False)
    assert shown("sea.jpg") == (True, False)
    assert shown("--data", str(tmp_path)) == (False, True)
    assert shown("--only", "time") == (False, True)
    assert shown("sea.jpg", "--data", str(tmp_path)) == (True, True)


def test_quality_on_labelled_photos_writes_a_table_with_baselines(
    labelled_folder: Path, tmp_path: Path
) -> None:
    arguments = [
        "quality",
        "--data",
        str(labelled_folder),
        "--only",
        "labels,verdict",
        "--out",
        str(tmp_path),
    ]
    done = CliRunner().invoke(cli.program, arguments)
    assert done.exit_code == 0, done.output
    (table,) = tmp_path.glob("*.md")
    assert "everything moves: 0.5; nothing moves: 0" in table.read_text()
    assert "always good: 0.5" in table.read_text()
    (path,) = tmp_path.glob("*.json")
    assert {row["part"] for row in json.loads(path.read_text())["rows"]} == {"labels", "verdict"}


def test_quality_says_which_part_it_does_not_know() -> None:
    done = CliRunner().invoke(cli.program, ["quality", "--only", "colour"])
    assert done.exit_code != 0
    assert "colour" in str(done.exception)


def test_quality_hands_the_truth_on(fake_rows: list[tuple[object, ...]], tmp_path: Path) -> None:
    arguments = ["quality", "sea.mp4", "--truth-velocity", "sea.flo", "--truth-mask", "sea.png"]
    done = CliRunner().invoke(cli.program, [*arguments, "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert fake_rows[0][0] == (Path("sea.mp4"),)
    assert fake_rows[0][-2:] == (Path("sea.flo"), Path("sea.png"))
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".md"]


def test_quality_refuses_a_hostile_clip_by_name(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_text("#EXTM3U")
    done = CliRunner().invoke(cli.program, ["quality", str(tmp_path / "bad.mp4")])
    assert done.exit_code != 0
    assert "cannot read the clip bad.mp4" in str(done.exception)
