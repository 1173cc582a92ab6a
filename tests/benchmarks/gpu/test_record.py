# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stillflow.gpu.description import Gpu
from stillflow_bench.gpu.record import described, targets_table, write_check
from stillflow_bench.gpu.stage import Outcome
from stillflow_bench.machine import Provenance
from stillflow_bench.report import Row, as_json, read_report

GPU = Gpu("NVIDIA H200", "", "9.0", 132, 143771, 61440, 6144, 232448, False, True, "580.159.04")


@pytest.fixture
def told(about: Provenance) -> dict[str, Any]:
    return described(GPU, about)


def rows(about: Provenance, part: str, value: float) -> list[dict[str, Any]]:
    return as_json([Row("gpu", f"figure of {part}", "ms", (value,), limit=2.0, part=part)], about)


def test_a_check_is_written_as_json_and_as_a_table(
    tmp_path: Path, told: dict[str, Any], about: Provenance
) -> None:
    outcomes = [
        Outcome(
            "doctor", "what is here", "stillflow doctor", "passed", seconds=3.2, found={"says": "in order"}
        ),
        Outcome("tests", "tests", "pytest", "failed", "exit code 1", 60, 1, "a | b"),
        Outcome("engines", "engines", "", "not run", "no library"),
    ]
    path, table = write_check(tmp_path, told, outcomes, rows(about, "frames", 1.0))
    assert path.name == "nvidia-h200-2026-01-02.json"
    kept = json.loads(path.read_text())["check"]
    assert kept["gpu"]["name"] == "NVIDIA H200"
    assert [(step["name"], step["state"]) for step in kept["steps"]] == [
        ("doctor", "passed"),
        ("tests", "failed"),
        ("engines", "not run"),
    ]
    assert kept["steps"][1]["tail"] == "a | b"
    text = table.read_text()
    assert "# NVIDIA H200, 2026-01-02" in text
    assert "| doctor | what is here | passed (in order) | 3 |" in text
    assert "| tests | tests | **failed**: exit code 1 | 60 |" in text
    assert "| engines | engines | not run: no library | 0 |" in text
    assert "| frames | figure of frames | 1 ms |  | at most 2 ms | yes |" in text
    assert "| frames: figure of frames | 1 ms | at most 2 ms | met |" in text
    assert text.count("# NVIDIA H200") == 1


def test_steps_and_parts_of_the_day_that_are_not_done_again_stay(
    tmp_path: Path, told: dict[str, Any], about: Provenance
) -> None:
    first = [Outcome("doctor", "w", "c", "failed", "x"), Outcome("tests", "w", "c", "passed")]
    write_check(tmp_path, told, first, rows(about, "frames", 1.0))
    again = [Outcome("doctor", "w", "c", "passed"), Outcome("tests", "w", "c", "not run", "no time left")]
    path, _ = write_check(tmp_path, told, again, rows(replace(about, commit="later"), "copy", 3.0))
    kept = json.loads(path.read_text())["check"]["steps"]
    assert [(step["name"], step["state"]) for step in kept] == [("doctor", "passed"), ("tests", "passed")]
    assert [(row["part"], row["commit"]) for row in read_report(path)] == [
        ("frames", about.commit),
        ("copy", "later"),
    ]


def test_nothing_is_kept_of_a_stand_in(tmp_path: Path, told: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no device"):
        write_check(tmp_path, told | {"gpu": {**told["gpu"], "name": "stand-in 0"}}, [], [])
    assert not list(tmp_path.iterdir())


def test_targets_are_met_not_met_or_not_run(about: Provenance) -> None:
    every = [
        Row("gpu", "slow", "ms", (3.0,), limit=2.0, part="frames"),
        Row("gpu", "free", "ms", (3.0,), part="frames"),
        Row("gpu", "none", "dB", (), limit=50.0, side="at least", part="agreement", missing="no | engine"),
    ]
    assert targets_table(as_json(every, about)).splitlines()[4:] == [
        "| frames: slow | 3 ms | at most 2 ms | **not met** |",
        "| agreement: none |  | at least 50 dB | not run: no / engine |",
    ]
