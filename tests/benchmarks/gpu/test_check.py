# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stillflow.gpu.description import find_gpu
from stillflow_bench.gpu import check as module
from stillflow_bench.gpu.check import ROOMS, check, environment, parser, read_rows
from stillflow_bench.gpu.stage import Stage


def run_bare(source_tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The check with nothing but the standard library and the source tree."""
    path = os.pathsep.join(str(source_tree / room) for room in ("runtime", "benchmarks"))
    return subprocess.run(
        [sys.executable, "-S", "-m", "stillflow_bench.gpu.check", *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_gpu_it_says_so_and_ends_with_2(source_tree: Path, tmp_path: Path) -> None:
    done = run_bare(
        source_tree, "--device", "63", "--results", str(tmp_path), "--logs", str(tmp_path / "logs")
    )
    assert done.returncode == 2, done.stderr
    assert "there is no CUDA device 63 on this machine" in done.stderr
    assert not list(tmp_path.iterdir())


def test_help_needs_the_standard_library_only(source_tree: Path) -> None:
    done = run_bare(source_tree, "--help")
    assert done.returncode == 0, done.stderr
    assert "--budget" in done.stdout


@pytest.mark.device
def test_steps_run_by_themselves_and_a_failing_one_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(code: str) -> tuple[str, ...]:
        return (sys.executable, "-c", code)

    monkeypatch.setattr(
        module,
        "steps",
        lambda _: [
            Stage("bad", "it breaks", told("raise SystemExit(7)"), 60),
            Stage("slow", "it hangs", told("import time; time.sleep(99)"), 1),
            Stage("bench copy", "it measures", told('print(\'{"says": "fine"}\')'), 60),
            Stage("none", "nothing", (), 1, absent="not here"),
            Stage("skipped", "nobody asked", told("raise SystemExit(9)"), 60),
        ],
    )
    arguments = [
        "--results",
        str(tmp_path / "results"),
        "--logs",
        str(tmp_path / "logs"),
        "--skip",
        "skipped",
    ]
    assert check(parser().parse_args(arguments)) == 1
    shown = capsys.readouterr().out
    assert "| bad | it breaks | **failed**: exit code 7 | 0 |" in shown
    assert "| slow | it hangs | **out of time**: it was ended after 1 s | 1 |" in shown
    assert "| bench copy | it measures | passed (fine) | 0 |" in shown
    assert "| none | nothing | not run: not here | 0 |" in shown
    assert "skipped" not in shown
    gpu = find_gpu()
    assert gpu is not None
    assert (tmp_path / "results").exists() != ("stand-in" in gpu.name)


@pytest.mark.device
def test_a_part_that_leaves_no_rows_is_told_and_no_older_one_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rows-copy.json").write_text('{"rows": [{"name": "of yesterday"}]}')
    crash = Stage("bench copy", "copies", (sys.executable, "-c", "raise SystemExit('it broke')"), 60)
    monkeypatch.setattr(module, "steps", lambda _: [crash])
    monkeypatch.setattr(module, "is_stand_in", lambda _: False)
    kept: list[list[dict[str, object]]] = []
    monkeypatch.setattr(module, "write_check", lambda *a: kept.append(list(a[3])) or ())
    assert check(parser().parse_args(["--logs", str(tmp_path)])) == 1
    assert [(row["part"], row["missing"]) for row in kept[-1]] == [("copy", "exit code 1: it broke")]


@pytest.mark.device
def test_what_does_not_fit_the_budget_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "steps", lambda _: [Stage("one", "first", (sys.executable, "-c", ""), 60)])
    arguments = ["--no-write", "--logs", str(tmp_path), "--budget", "1"]
    assert check(parser().parse_args(arguments)) == 0
    assert (
        "| one | first | not run: the time that the check was given is used up | 0 |"
        in capsys.readouterr().out
    )


@pytest.mark.device
@pytest.mark.parametrize("step", ["kernels", "bench copy"])
def test_a_real_step_runs_in_a_process_of_its_own(
    step: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--no-write", "--tiny", "--logs", str(tmp_path), "--only", step]
    assert check(parser().parse_args(arguments)) == 0, capsys.readouterr()
    assert f"| {step} |" in capsys.readouterr().out
    if step == "bench copy":
        assert [row["part"] for row in read_rows(tmp_path / "rows-copy.json")] == ["copy"] * 3


def test_steps_see_the_gpu_that_is_checked_and_this_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PYTHONPATH", "mine")
    assert "CUDA_VISIBLE_DEVICES" not in environment(None)
    assert environment(None, 2)["CUDA_VISIBLE_DEVICES"] == "2"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    assert environment(None, 1)["CUDA_VISIBLE_DEVICES"] == "7"
    places = environment(tmp_path)["PYTHONPATH"].split(os.pathsep)
    assert places == [*(str(tmp_path / room) for room in ROOMS), "mine"]


def test_rows_that_a_step_did_not_write_are_none(tmp_path: Path) -> None:
    assert read_rows(tmp_path / "absent.json") == []
    (tmp_path / "half.json").write_text('{"rows": [')
    assert read_rows(tmp_path / "half.json") == []
