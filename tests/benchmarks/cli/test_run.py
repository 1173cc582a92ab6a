# SPDX-License-Identifier: Apache-2.0
"""``stillflow-bench run``: an own block of a fake from the command line to the files, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stillflow.errors import StillflowError
from stillflow_bench.cli.program import program
from stillflow_bench.latency.page import write
from stillflow_bench.latency.record import read_record

OWN = ["run", "--target", "fake", "--queries", "8", "--warm-up", "1", "--seed", "2"]


def asked(*arguments: str) -> Result:
    return CliRunner().invoke(program, [*arguments], catch_exceptions=False)


def test_a_run_is_measured_judged_and_shown(tmp_path: Path) -> None:
    done = asked(*OWN, "-o", str(tmp_path / "run"), "--compress")
    assert done.exit_code == 0
    assert "fake: is measured" in done.stderr
    assert "| photo to first frame" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("INVALID: ")  # eight queries of 32 photos
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"result.json", "telemetry.jsonl", "verdict.json", "report.html", "samples", "receipts"} == names
    assert [path.name for path in (tmp_path / "run" / "samples").iterdir()] == ["fake.jsonl.gz"]
    record = read_record(tmp_path / "run")
    assert record.plan.sources["queries"] == "command line" and record.plan.seed == 2


def test_without_what_draws_pages_the_verdict_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> Path:
        raise StillflowError("cannot draw", "matplotlib is not installed", "pip install 'stillflow[bench]'")

    monkeypatch.setattr(write, "write_page", refuse)
    (tmp_path / "result.json").write_text("an older run")
    done = asked(*OWN, "-o", str(tmp_path), "--overwrite", "--json")
    assert done.exit_code == 0 and "no page: cannot draw" in done.stderr
    assert json.loads(done.stdout)["verdict"] == "INVALID"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--target", "fake"], "where to write"),
        (["--quick", "--rate", "3", "-o", "x"], "cannot use --rate"),
        (["--target", "nonsense", "-o", "x"], "no such target"),
    ],
)
def test_what_a_user_can_fix_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StillflowError) as told:
        asked("run", *arguments)
    assert said in str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_could_be_measured_the_exit_code_says_so_and_how_to_put_it_right(
    tmp_path: Path,
) -> None:
    arguments = [
        "run",
        "--target",
        "fake",
        "--queries",
        "1",
        "-o",
        str(tmp_path / "run"),
        "--device",
        "nowhere",
    ]
    done = asked(*arguments, "--driver", "loadgen", "--scenario", "cold")
    assert done.exit_code == 2, done.stderr
    assert "not measured: " in done.stderr and "\n  fix: " in done.stderr
