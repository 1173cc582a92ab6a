# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from stillflow_bench.gpu.stage import NOTHING_TO_DO, Outcome, Stage, run_stage, shown


def stage(program: str, limit: float = 60, **more: object) -> Stage:
    return Stage("a step", "something", (sys.executable, "-c", program), limit, **more)  # type: ignore[arg-type]


def test_a_step_that_ends_well_leaves_its_output(tmp_path: Path) -> None:
    outcome = run_stage(stage("print('fine')"), tmp_path / "logs")
    assert (outcome.state, outcome.why, outcome.code, outcome.tail) == ("passed", "", 0, "")
    assert not outcome.bad
    assert (tmp_path / "logs" / "a-step.out").read_text() == "fine\n"


def test_a_failing_step_says_its_code_and_its_last_error(tmp_path: Path) -> None:
    program = "import sys; print('so far'); print('no driver', file=sys.stderr); sys.exit(3)"
    outcome = run_stage(stage(program), tmp_path)
    assert (outcome.state, outcome.code) == ("failed", 3)
    assert outcome.bad
    assert outcome.why == "exit code 3: no driver"
    assert outcome.tail == "so far\nno driver"
    assert run_stage(stage(program, fails_by={3: "wrong"}), tmp_path).why == "wrong: no driver"


def test_a_step_that_crashes_is_told_by_its_signal(tmp_path: Path) -> None:
    outcome = run_stage(stage("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"), tmp_path)
    assert outcome.why == "it was ended by SIGSEGV"


def test_a_hanging_step_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    program = f"""
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open({str(tmp_path / "child")!r}, "w").write(str(child.pid))
print("begun", flush=True)
time.sleep(600)
"""
    started = time.monotonic()
    outcome = run_stage(stage(program, limit=1.5), tmp_path)
    assert time.monotonic() - started < 30
    assert (outcome.state, outcome.code) == ("out of time", None)
    assert outcome.bad
    assert outcome.tail == "begun"
    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        if not running(child):
            break
        time.sleep(0.05)
    else:
        os.kill(child, signal.SIGKILL)
        pytest.fail("a child of the step is still running")


def running(number: int) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_step_that_does_not_start_is_a_failure(tmp_path: Path) -> None:
    outcome = run_stage(Stage("none", "nothing", (str(tmp_path / "absent"),), 5), tmp_path)
    assert outcome.state == "failed"
    assert "does not start" in outcome.why


def test_a_step_with_nothing_to_do_is_no_failure(tmp_path: Path) -> None:
    outcome = run_stage(Stage("none", "nothing", (), 5, absent="no library"), tmp_path / "logs")
    assert (outcome.state, outcome.why) == ("not run", "no library")
    assert not outcome.bad
    assert not (tmp_path / "logs").exists()


def test_a_step_may_find_nothing_to_do(tmp_path: Path) -> None:
    program = f"import sys; print('not this GPU', file=sys.stderr); sys.exit({NOTHING_TO_DO})"
    outcome = run_stage(stage(program), tmp_path)
    assert (outcome.state, outcome.why, outcome.bad) == ("not run", "not this GPU", False)


def test_a_step_has_the_environment_and_the_folder_that_it_is_given(tmp_path: Path) -> None:
    program = "import os; print(os.environ['GIVEN'], os.getcwd())"
    run_stage(stage(program), tmp_path, environment={**os.environ, "GIVEN": "yes"}, folder=tmp_path)
    assert (tmp_path / "a-step.out").read_text().split() == ["yes", str(tmp_path)]


def test_commands_are_shown_without_folders() -> None:
    assert shown(("/opt/bin/python", "-m", "a b")) == "python -m 'a b'"
    assert Outcome("n", "w", "c", "passed").bad is False
