# SPDX-License-Identifier: Apache-2.0
"""The run's end of one worker: start it, give it orders, and see that it ends, whatever happens to either."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from types import TracebackType

import msgspec

from stillflow.errors import StillflowError
from stillflow_bench.latency.orders import Close, Order, Reply, line_of, without_folders
from stillflow_bench.latency.sample import MOST_BYTES
from stillflow_bench.latency.temporary import PLACE

COMMAND = (sys.executable, "-m", "stillflow_bench.latency.worker")

_PART = 1 << 18
_TAIL_BYTES = 4000
_TAIL_LINES = 6
_BURIAL_SECONDS = 5.0
"""Between the end of its output and the end of a process."""

_CLOSE_SECONDS = 20.0
"""For a target to give back what it holds; then its worker is killed."""

SAFE = {"PYTHONSAFEPATH": "1"}
"""Otherwise modules that lie in the current folder would be measured instead of the installation's (from Python 3.11
on; older ones do not know it)."""

THREADS = "OMP_NUM_THREADS"
"""Read by torch, OpenBLAS and MKL when they are loaded; the subject's own sessions are told by their options."""


class WorkerProcess:
    """A worker, started when made; ended by ``close`` or when the with-block is left.

    It leads a process group of its own: Ctrl-C in the terminal reaches the run alone, which then ends the group.

    Args:
        name: of its block, for messages.
        threads: of one run of a network, where the subject names a number.
        command: what is started.
    """

    def __init__(self, name: str, *, threads: int | None = None, command: tuple[str, ...] = COMMAND) -> None:
        self.name = name
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._folder = tempfile.TemporaryDirectory(prefix="stillflow-bench-", ignore_cleanup_errors=True)
        self._pending = bytearray()
        self._ended = False
        surroundings = {**os.environ, **SAFE, PLACE: self._folder.name}
        surroundings |= {} if threads is None else {THREADS: str(threads)}
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                env=surroundings,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            self._said.close()
            self._folder.cleanup()
            raise StillflowError(
                f"cannot start a process for {name}",
                str(error),
                "free memory or processes, then measure again",
            ) from error

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.kill()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def ask(self, order: Order, seconds: float) -> Reply:
        """Give an order and wait for the reply.

        Args:
            order: what to do.
            seconds: that it may take; then the worker is killed.

        Raises:
            StillflowError: it took longer, the worker died (with the signal, and the last lines it wrote), what it
                said is no reply, or the reply is an error.
        """
        what = f"{self.name}: {type(order).__name__} was not done"
        until = time.monotonic() + seconds
        if self._ended:
            raise StillflowError(what, "its worker has ended", "measure again: stillflow-bench run -o DIR")
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(line_of(order))  # far less than a pipe holds: does not block
        except OSError:
            raise self._died(what) from None
        line = self._line(what, until, seconds)
        try:
            reply = msgspec.json.decode(line, type=Reply)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self.kill()
            raise StillflowError(what, f"its worker said what is no reply: {error}", _BUG) from error
        if reply.error is not None:
            raise (
                WorkerError(what, reply.error.why, reply.error.fix, reply.error.trace)
                if (reply.error.trace)
                else reply.error.raised()
            )
        return reply

    def close(self) -> None:
        """Let the worker close its target, and end it; harmless twice. Nothing is raised."""
        with suppress(StillflowError, subprocess.TimeoutExpired):
            if not self._ended and self._process.poll() is None:
                self.ask(Close(), _CLOSE_SECONDS)
                self._process.wait(_CLOSE_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End the worker and what it started at once; harmless twice."""
        if self._ended:
            return
        self._ended = True
        # The group outlives its leader where the worker died and left children: its number is still theirs.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        self._said.close()
        self._folder.cleanup()

    def _line(self, what: str, until: float, seconds: float) -> bytes:
        """Read up to the end of a line, and no longer than until then."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while True:
                left = until - time.monotonic()
                if left <= 0:
                    self.kill()
                    raise StillflowError(
                        what, f"it took longer than {seconds:g} s and was ended", "ask for fewer queries"
                    )
                if not selector.select(left):
                    continue
                part = os.read(self._process.stdout.fileno(), _PART)
                if not part:
                    raise self._died(what)
                self._pending += part
                if b"\n" in part:
                    line, _, rest = bytes(self._pending).partition(b"\n")
                    self._pending = bytearray(rest)
                    return line
                if len(self._pending) > MOST_BYTES:
                    self.kill()
                    raise StillflowError(
                        what,
                        f"its reply is longer than {MOST_BYTES // 2**20} MiB",
                        "ask for fewer queries, or for more --rounds",
                    )

    def _died(self, what: str) -> StillflowError:
        """Why there is no more to read from the worker."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_BURIAL_SECONDS)
        code = self._process.poll()
        tail = self._tail()
        self.kill()
        said = f"; it last said: {tail}" if tail else ""
        return StillflowError(what, f"its worker {ending(code)}{said}", _fix(code))

    def _tail(self) -> str:
        """The last lines that the worker wrote to stderr, as one."""
        size = self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, size - _TAIL_BYTES))
        lines = self._said.read(_TAIL_BYTES).decode(errors="replace").splitlines()
        return without_folders(" | ".join(line.strip() for line in lines[-_TAIL_LINES:] if line.strip()))


class WorkerError(StillflowError):
    """A bug in a target: with where it happened.

    Args:
        what: was not done.
        why: the exception.
        fix: what to do.
        trace: its traceback.
    """

    def __init__(self, what: str, why: str, fix: str, trace: str) -> None:
        super().__init__(what, why, fix)
        self.trace = trace


_BUG = "report it as a bug, with the command and what is on stderr"


def ending(code: int | None) -> str:
    """How a process ended, in words."""
    if code is None:
        return "closed its end and did not end"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _fix(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "was memory short? measure a smaller size, or fewer blocks: stillflow-bench run --only NAME -o DIR"
    return "measure this block alone to see what it says: stillflow-bench run --only NAME -o DIR"
