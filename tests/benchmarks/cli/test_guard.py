# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stillflow_bench import cli
from stillflow_bench.guard import suite
from stillflow_bench.guard.counts import Counted


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, int]:
    """What is counted next; accepted counts lie in a file that is empty at first."""
    told = {"frame": 1000}
    monkeypatch.setattr(suite, "count", lambda announce: [Counted("native", "gcc", dict(told))])
    monkeypatch.setattr(suite, "BASELINE", tmp_path / "guard.json")
    return told


def guard(*arguments: str) -> Result:
    return CliRunner().invoke(cli.program, ["guard", *arguments])


def test_a_rise_ends_with_1_until_it_is_accepted(counts: dict[str, int]) -> None:
    assert guard().exit_code == 0, "nothing is accepted yet"
    assert guard("--accept").exit_code == 0
    assert guard().exit_code == 0
    counts["frame"] = 1021
    risen = guard()
    assert risen.exit_code == 1
    assert "native: frame rose by 2.1%" in risen.output
    assert "stillflow-bench guard --accept" in risen.output
    assert guard("--accept").exit_code == 0
    assert guard().exit_code == 0
    counts["frame"] = 1000
    assert "frame fell by 2.1%" in guard().output


@pytest.mark.usefixtures("counts")
def test_an_environment_that_is_not_known_is_named() -> None:
    assert "nothing is accepted for gcc" in guard().output


@pytest.mark.usefixtures("counts")
def test_json_is_one_line_and_a_folder_gets_both_files(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli.program, ["guard", "--json", "-o", str(tmp_path / "out")])
    assert done.exit_code == 0
    told = json.loads(done.stdout.splitlines()[0])
    assert told["counted"][0]["counts"] == {"frame": 1000}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["guard.json", "guard.md"]
