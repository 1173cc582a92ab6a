# SPDX-License-Identifier: Apache-2.0
"""Running the program as a user would, within the test process or as one of its own."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from stillflow.cli import main


@dataclass(frozen=True)
class Ended:
    """How a run of the program ended."""

    code: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    def refused(self, *says: str) -> None:
        """Assert exit code 2 and one message with what, why and fix, no traceback, and these words in it."""
        assert self.code == 2, self.err
        assert self.err.count("stillflow: ") == 1, self.err
        assert "\n  fix: " in self.err
        assert "Traceback" not in self.err
        assert self.out == ""
        for words in says:
            assert words in self.err, self.err


@pytest.fixture
def stillflow(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Ended]]:
    """Run the program in this process: stillflow("animate", "a.jpg", "-o", "b.mp4")."""
    monkeypatch.delenv("STILLFLOW_DEBUG", raising=False)
    before = signal.getsignal(signal.SIGTERM)

    def call(*words: object) -> Ended:
        capfd.readouterr()
        code = main([os.fspath(w) if isinstance(w, os.PathLike) else str(w) for w in words])
        return Ended(code, *capfd.readouterr())

    yield call
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def start_stillflow() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start the program as a process of its own, with pipes; killed when the test ends."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*words: object, **options: Any) -> subprocess.Popen[bytes]:
        # In a shell's background jobs the interrupt signal is ignored, and children inherit that.
        heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        defaults = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "preexec_fn": heed}
        command = [sys.executable, "-m", "stillflow", *map(str, words)]
        process = subprocess.Popen(command, **(defaults | options))
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
