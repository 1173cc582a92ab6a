# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from stillflow.errors import StillflowError
from stillflow_bench.cli.report import report
from stillflow_bench.latency.plan import Block, Plan
from stillflow_bench.latency.record import SCHEMA, Host, Look, Measured, Record, Tool, write_record
from stillflow_bench.latency.target import TargetSpec


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    block = Block("gone", "a block that is not there", "ours", TargetSpec("fake", "B2.call"))
    record = Record(
        schema=SCHEMA,
        tool=Tool("0.1.0", "0123456789ab", "stillflow-bench run", "2026-01-02T03:04:05Z"),
        host=Host("tin", "Tin Can", 2, 4.0, "Linux", "3.11.0", {}),
        plan=Plan("own", (block,)),
        measured=(Measured(block, missing="nobody measured it"),),
        before=Look(at=0),
        after=Look(at=1),
    )
    write_record(tmp_path, record)
    return tmp_path


def run(*arguments: object) -> str:
    done = CliRunner().invoke(report, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_it_writes_the_page_into_the_run_or_where_it_is_told(folder: Path, tmp_path: Path) -> None:
    run(folder)
    assert "nobody measured it" in (folder / "report.html").read_text(encoding="utf-8")
    run(folder, "-o", tmp_path / "sub" / "page.html")
    assert (tmp_path / "sub" / "page.html").is_file()


def test_it_prints_a_table_or_json_and_writes_nothing_then(folder: Path) -> None:
    assert run(folder, "--markdown").startswith("**INVALID** on Tin Can")
    found = json.loads(run(folder, "--json"))
    assert found["blocks"][0]["missing"] == "nobody measured it"
    assert not (folder / "report.html").exists()


def test_a_name_that_ends_in_md_is_the_full_table(folder: Path, tmp_path: Path) -> None:
    run(folder, "-o", tmp_path / "table.md")
    assert "- a block that is not there: not measured" in (tmp_path / "table.md").read_text(encoding="utf-8")
    assert not (folder / "report.html").exists()


def test_a_place_that_cannot_be_written_is_told(folder: Path) -> None:
    for name in ("page.html", "table.md"):
        with pytest.raises(StillflowError, match="name another place"):
            run(folder, "-o", folder / "result.json" / name)
