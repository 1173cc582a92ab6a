# SPDX-License-Identifier: Apache-2.0
"""One step of the check of a GPU machine: a process of its own, with a time limit, whose output is kept.

A step that crashes, hangs or takes the driver down with it must not take the others along. Standard library only:
this runs before it is known what the machine has.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

State = Literal["passed", "failed", "out of time", "not run"]

TAIL = 6000
"""Characters of a failed step's output that its outcome carries; all of it stays in the folder of logs."""

NOTHING_TO_DO = 77
"""Exit code of a step that finds nothing to do on this machine; its last word on stderr is the reason."""

GRACE = 5.0
"""Seconds that a process may take to end after it is told to."""


@dataclass(frozen=True)
class Stage:
    """A step to be done.

    Attributes:
        name: one word or two, also of its logs.
        what: in words.
        command: program and arguments.
        limit: seconds after which it is ended.
        absent: why there is nothing to run here, "" where there is; such a step is not a failure.
        fails_by: codes other than 0 that say more: code -> why.
    """

    name: str
    what: str
    command: tuple[str, ...]
    limit: float
    absent: str = ""
    fails_by: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of a step.

    Attributes:
        name: of the step.
        what: it is, in words.
        command: that repeats it, without the folder of the interpreter.
        state: "passed", "failed", "out of time" or "not run".
        why: it did not pass, "" where it did.
        seconds: that it took.
        code: of the process; None where none ended by itself.
        tail: the end of what it said, where it did not pass.
        found: what it reported, as plain values.
    """

    name: str
    what: str
    command: str
    state: State
    why: str = ""
    seconds: float = 0.0
    code: int | None = None
    tail: str = ""
    found: Mapping[str, Any] = field(default_factory=dict)

    @property
    def bad(self) -> bool:
        """Whether it keeps the whole check from passing."""
        return self.state in ("failed", "out of time")


def not_run(stage: Stage, why: str) -> Outcome:
    """The outcome of a step that was never started."""
    return Outcome(stage.name, stage.what, shown(stage.command), "not run", why)


def run_stage(
    stage: Stage, logs: Path, *, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> Outcome:
    """Do a step in a process group of its own.

    Args:
        stage: the step.
        logs: folder for its output, ``<name>.out`` and ``<name>.err``; is made when missing.
        environment: of the process; None: this process's own.
        folder: that it runs in; None: this process's own.

    Returns:
        The outcome; nothing is raised for what the step does.
    """
    if stage.absent:
        return not_run(stage, stage.absent)
    logs.mkdir(parents=True, exist_ok=True)
    stem = stage.name.replace(" ", "-")
    said, complained = logs / f"{stem}.out", logs / f"{stem}.err"
    started = time.monotonic()
    state: State = "passed"
    code: int | None = None
    why = ""
    with said.open("wb") as out, complained.open("wb") as err:
        try:
            process = subprocess.Popen(
                stage.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=None if environment is None else dict(environment),
                cwd=folder,
                start_new_session=True,
            )
        except OSError as error:
            return Outcome(
                stage.name, stage.what, shown(stage.command), "failed", f"it does not start: {error}"
            )
        try:
            code = process.wait(stage.limit)
        except subprocess.TimeoutExpired:
            end_group(process)
            state, why = "out of time", f"it was ended after {stage.limit:g} s"
        except BaseException:  # an interruption: leave nothing running
            end_group(process)
            raise
    seconds = time.monotonic() - started
    if code == NOTHING_TO_DO:
        state, why = "not run", _last_word(complained)
    elif state == "passed" and code != 0:
        state, why = "failed", _reason(stage, code, complained)
    tail = "" if state in ("passed", "not run") else tail_of(said, complained)
    return Outcome(stage.name, stage.what, shown(stage.command), state, why, round(seconds, 2), code, tail)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started: first asked to, then made to."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            continue
    # Children that outlive a leader which ended on SIGTERM had the same signal; none is left after the second round.


def _reason(stage: Stage, code: int | None, complained: Path) -> str:
    """Why a process failed: by which signal, or what its code means and the last error that it told of."""
    if code is not None and code < 0:
        return f"it was ended by {signal.Signals(-code).name}"
    said = stage.fails_by.get(code or 0, f"exit code {code}")
    told = _last_word(complained)
    return f"{said}: {told}" if told else said


def _last_word(complained: Path) -> str:
    """The last line of what a process complained of that is no indented detail; "" where there is none."""
    lines = complained.read_text(encoding="utf-8", errors="replace").splitlines()
    told = [line.strip() for line in lines if line.strip() and not line.startswith(("  ", "\t"))]
    return told[-1][:300] if told else ""


def tail_of(*files: Path) -> str:
    """The end of what files hold, the last file's last."""
    texts = [path.read_text(encoding="utf-8", errors="replace").strip() for path in files]
    share = TAIL // max(1, sum(bool(text) for text in texts))
    return "\n".join(text[-share:] for text in texts if text)


def shown(command: Sequence[str]) -> str:
    """A command line as a person would type it: without the interpreter's folder."""
    return shlex.join([Path(command[0]).name, *command[1:]]) if command else ""
