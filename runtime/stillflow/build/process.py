# SPDX-License-Identifier: Apache-2.0
"""Runs the child that builds: watches it, ends it, and says in one error what became of it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec

from stillflow.build.adapter import Progress
from stillflow.build.request import Result
from stillflow.errors import StillflowError

_LAST_LINES = 40
_REASONS = {
    signal.SIGKILL: "usually by the system, because memory ran out",
    signal.SIGSEGV: "it crashed",
    signal.SIGABRT: "it gave up",
    signal.SIGBUS: "it crashed",
    signal.SIGILL: "it met an instruction that this CPU does not have",
    signal.SIGXFSZ: "a file grew beyond what this system allows",
}


class BuildError(StillflowError):
    """A build that did not end with an engine.

    Attributes:
        log: the last lines that the child wrote.
        kept: the request is worth keeping, since running it again may show the failure again.
    """

    def __init__(self, what: str, why: str, fix: str, log: str = "", kept: bool = True) -> None:
        super().__init__(what, why, fix)
        self.log = log
        self.kept = kept


def command_for(request: Path) -> list[str]:
    """The command that runs a request, the same whether we run it or the user does."""
    return [sys.executable, "-m", "stillflow.build.child", str(request)]


def shown(request: Path) -> str:
    """The same as a line to type."""
    return shlex.join(command_for(request))


def environment_for(device: int) -> dict[str, str]:
    """The environment in which a child sees one GPU alone, as its first: builders take the first one they see.

    Args:
        device: its index, as CUDA counts the GPUs here.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if device == 0:  # it is the first already
        return dict(os.environ)
    names = [] if visible is None else [name.strip() for name in visible.split(",")]
    chosen = names[device] if device < len(names) else str(device)
    return {**os.environ, "CUDA_VISIBLE_DEVICES": chosen}


def run_child(
    request: Path, graph: str, *, timeout: float | None, progress: Progress, device: int = 0
) -> Result:
    """Build what a request asks for, in a process of its own.

    Args:
        request: the file.
        graph: name, for messages.
        timeout: seconds after which it is ended; None: as long as it takes.
        progress: called with (phase, done, of), from another thread.
        device: index of the GPU that it builds on.

    Raises:
        BuildError: an error in the child, a crash, a signal, or the time is up.
    """
    # A session of its own: Ctrl-C reaches us alone, and we end the child with all that it started.
    process = subprocess.Popen(
        command_for(request),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=environment_for(device),
    )
    lines: deque[str] = deque(maxlen=_LAST_LINES)
    phases: deque[str] = deque(["starting"], maxlen=1)
    assert process.stdout is not None and process.stderr is not None
    out: list[bytes] = []
    readers = [
        threading.Thread(target=_follow, args=(process.stderr, lines, phases, progress), daemon=True),
        threading.Thread(target=lambda pipe: out.append(pipe.read()), args=(process.stdout,), daemon=True),
    ]
    try:
        for reader in readers:
            reader.start()
        code = process.wait(timeout)
        for reader in readers:
            reader.join()
    except subprocess.TimeoutExpired:
        why = f"it was not done after {timeout:g} s; the last phase was: {phases[0]}"
        raise BuildError(
            f"cannot build the graph {graph}", why, "allow more time with --timeout", "\n".join(lines)
        ) from None
    finally:  # Ctrl-C and SIGTERM come here too
        _end(process)
        for reader in readers:
            if reader.ident is not None:
                reader.join(5)
        process.stdout.close()
        process.stderr.close()
    return _judged(code, out[0] if out else b"", graph, lines, phases[0])


def _judged(code: int, out: bytes, graph: str, lines: deque[str], phase: str) -> Result:
    what, log = f"cannot build the graph {graph}", "\n".join(lines)
    if code < 0:
        number = signal.Signals(-code)
        reason = _REASONS.get(number, "it did not end by itself")
        raise BuildError(
            what,
            f"the process that built it was ended by {number.name} ({reason}) while {phase}",
            "try again with other programs closed",
            log,
        )
    try:
        result = msgspec.json.decode(out.splitlines()[-1], type=Result)
    except (IndexError, msgspec.MsgspecError):
        # The end of a traceback; a warning may follow it, and the source line of a warning is indented.
        told = [line for line in lines if line[:1].strip() and "Warning: " not in line]
        said = told[-1] if told else "it said nothing"
        why = f"the process that built it ended with {code} while {phase}: {said[:300]}"
        raise BuildError(what, why, "report this with the output of the command below", log) from None
    if result.error is not None:
        error = result.error
        raise BuildError(error.what, error.why, error.fix, log, kept=not error.here)
    return result


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _follow(pipe: IO[bytes], lines: deque[str], phases: deque[str], progress: Progress) -> None:
    """Sort the child's stderr into progress and the rest."""
    for raw in pipe:
        line = raw.decode("utf-8", "replace").rstrip("\n")
        if line.startswith("@"):
            with suppress(ValueError, KeyError, TypeError):
                step = json.loads(line[1:])
                phase, done, of = str(step["phase"]), int(step["done"]), int(step["of"])
                phases.append(phase.lower())
                # Whatever it raises, reading goes on: a full pipe would stop the child.
                with suppress(Exception):
                    progress(phase, done, of)
                continue
        lines.append(line)
