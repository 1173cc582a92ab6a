# SPDX-License-Identifier: Apache-2.0
"""``python -m stillflow_bench.latency.worker``: hold one block's target open and load it as ordered.

A process of its own, so that one library's threads, memory and crashes are no other's. Orders come on stdin, replies go
to what was stdout when the process began; what a library prints goes to stderr instead and breaks nothing.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from stillflow.errors import StillflowError
from stillflow_bench.latency.clock import HostClock
from stillflow_bench.latency.gpu_readings import memory_of
from stillflow_bench.latency.orders import (
    Audit,
    Close,
    Failure,
    Measure,
    Open,
    Order,
    Reply,
    WarmUp,
    line_of,
    read_order,
    without_folders,
)
from stillflow_bench.latency.sample import Sample
from stillflow_bench.latency.scenarios import Driver, make_driver
from stillflow_bench.latency.target import Target, open_target
from stillflow_bench.probe import peak_bytes

_PR_SET_PDEATHSIG = 1  # sys/prctl.h
_FIRST_FILE = 3  # after stdin, stdout and stderr
_TRACE_CHARACTERS = 4000


class Worker:
    """One block: opened by the first order, closed by the last."""

    def __init__(self) -> None:
        self._target: Target | None = None
        self._driver: Driver | None = None
        self._device = "cpu"

    def answer(self, line: bytes) -> Reply:
        """Carry an order out; nothing is raised.

        Args:
            line: the order.
        """
        before = cpu_seconds()
        gc.collect()  # what another order left is not this one's
        forget_peak()
        try:
            reply = self._carry_out(read_order(line))
        except StillflowError as error:
            return Reply(error=Failure(error.what, error.why, error.fix))
        except Exception as error:  # a bug of the target's: it ends its block, not the run
            return Reply(error=failure_of(error))
        return msgspec.structs.replace(
            reply,
            rss_peak=peak_bytes(),
            gpu_peak=0 if self._device == "cpu" else memory_of(os.getpid(), self._device),
            cpu_seconds=cpu_seconds() - before,
        )

    def close(self) -> None:
        """Close driver and target; harmless twice."""
        driver, self._driver = self._driver, None
        target, self._target = self._target, None
        if driver is not None:
            driver.close()
        if target is not None:
            target.close()

    def _carry_out(self, order: Order) -> Reply:
        if isinstance(order, Open):
            return self._open(order)
        if isinstance(order, Close):
            self.close()
            return Reply()
        if self._driver is None:
            raise StillflowError("cannot measure", "no target is open", "order Open before anything else")
        assert self._target is not None
        samples = tuple(self._measure(order, self._driver))
        # Anew: a target learns more of itself with every query, such as which share of each input moves.
        return Reply(samples=samples, facts=self._target.facts)

    def _open(self, order: Open) -> Reply:
        if self._driver is not None:
            raise StillflowError(
                "cannot open a target", "one is open", "start another worker for another block"
            )
        spec = order.block.target
        self._target = open_target(spec)
        self._device = spec.subject.device
        self._driver = make_driver(self._target, order.block.load, HostClock(), origin=order.origin)
        return Reply(facts=self._target.facts)

    @staticmethod
    def _measure(order: Order, driver: Driver) -> list[Sample]:
        if isinstance(order, Measure):
            return driver.measure(order.queries, order.seconds, order.round)
        step: Callable[[], list[Sample]] = driver.audit if isinstance(order, Audit) else driver.warm_up
        assert isinstance(order, Audit | WarmUp)
        return step()


def failure_of(error: Exception) -> Failure:
    """A bug as a reply tells it: its last line, and the trace without the folders of this machine."""
    said = " ".join(traceback.format_exception_only(error)[-1].split())
    trace = without_folders("".join(traceback.format_exception(error)))
    return Failure(
        "the target failed", said, "read the trace on stderr; this is a bug", trace[-_TRACE_CHARACTERS:]
    )


def cpu_seconds() -> float:
    """Processor time of this process and of its children that ended."""
    return sum(os.times()[:4])


def forget_peak(proc: Path = Path("/proc")) -> None:
    """Let the kernel count the peak of resident memory from now on, where it can."""
    with suppress(OSError):
        (proc / "self" / "clear_refs").write_text("5")  # proc(5): "5" resets VmHWM and nothing else


def private_streams() -> tuple[int, int]:
    """Take stdin and stdout away from everybody else.

    Returns:
        (descriptor that orders come from, descriptor that replies go to). Children do not inherit them. Descriptor 0
        reads nothing from then on, and what is written to descriptor 1 goes to stderr.
    """
    orders, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    if nothing >= _FIRST_FILE:
        os.close(nothing)
    return orders, replies


def end_with_parent() -> None:
    """Ask Linux to end this process when the run that waits for it is gone, killed or not."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def main() -> int:
    """Answer orders until Close, or until nobody gives any."""
    end_with_parent()
    orders, replies = private_streams()
    worker = Worker()
    with os.fdopen(orders, "rb") as given, os.fdopen(replies, "wb") as told:
        for line in given:
            told.write(written(worker.answer(line)))
            told.flush()
            if line_is_close(line):
                return 0
    with suppress(Exception):
        worker.close()
    return 0


def written(reply: Reply) -> bytes:
    """A reply as a line; one that cannot be written becomes the reason why."""
    try:
        return line_of(reply)
    except Exception as error:
        return line_of(Reply(error=failure_of(error)))


def line_is_close(line: bytes) -> bool:
    """Whether an order was the last one."""
    try:
        return isinstance(read_order(line), Close)
    except msgspec.DecodeError:
        return False


if __name__ == "__main__":
    ended = main()
    sys.stderr.flush()
    # Not sys.exit: what libraries do when Python takes them apart has crashed processes that were done.
    os._exit(ended)
