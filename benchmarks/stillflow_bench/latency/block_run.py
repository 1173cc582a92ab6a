# SPDX-License-Identifier: Apache-2.0
"""One block on its way through a run: its worker, what came of each order, and in the end what the record keeps.

Whatever goes wrong makes the block ``missing`` with the reason, and every later order to it does nothing: the other
blocks go on.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from stillflow.errors import StillflowError
from stillflow_bench.latency.forecast import query_seconds
from stillflow_bench.latency.orders import Audit, Measure, Open, Order, WarmUp
from stillflow_bench.latency.plan import Block
from stillflow_bench.latency.record import SAMPLES, Measured, sample_path
from stillflow_bench.latency.sample import Sample, read_hashed, write_samples
from stillflow_bench.latency.summaries import summaries
from stillflow_bench.latency.target import Facts
from stillflow_bench.latency.worker_process import WorkerError, WorkerProcess

Announce = Callable[[str], None]

OPEN_SECONDS = 900.0
"""For a target to open: engines may be built meanwhile, and torch.compile compiles (18 to 120 s on two cores)."""

FIRST_QUERY_SECONDS = 300.0
"""Besides what the queries of an order are expected to take: libraries do more in the first ones."""

_PATIENCE = 4.0
"""Times as long as expected is too long."""


class BlockRun:
    """A block and its worker.

    Args:
        block: as planned.
        folder: of the run.
        origin: nanoseconds of the host's monotonic clock when the run began.
        announce: is told what a person at the terminal should know.
        start: starts the worker.
    """

    def __init__(
        self,
        block: Block,
        folder: Path,
        origin: int,
        announce: Announce,
        start: Callable[[Block], WorkerProcess] | None = None,
    ) -> None:
        self.block = block
        self.missing = ""
        self.latencies: list[int] = []
        """Nanoseconds from the begin to the end of each measured query that was answered."""
        self._folder = folder
        self._origin = origin
        self._announce = announce
        self._start = start or _started
        self._worker: WorkerProcess | None = None
        self._facts = Facts()
        self._slowest = 0.0
        self._count = 0
        self._began = 0
        self._ended = 0
        self._rss_peak = 0
        self._gpu_peak = 0
        self._cpu_seconds = 0.0
        self._told: tuple[object, Measured] | None = None

    def open(self) -> None:
        """Start the worker and let it open the target; nothing for a block that is missing already."""
        if self.missing:
            return
        self._began = time.monotonic_ns() - self._origin
        try:
            self._worker = self._start(self.block)
        except StillflowError as error:
            self._give_up(error)
            return
        self._order(Open(self.block, self._origin), OPEN_SECONDS)

    def warm_up(self) -> None:
        """Do the warm-up; nothing where none is planned."""
        if self.block.load.warm_up:
            # At most so many: several lanes each do all of them, one at a time if it must be.
            self._order(WarmUp(), self._patience(self.block.load.warm_up * self.block.load.lanes, 0.0))

    def measure(self, turn: int) -> None:
        """Measure one turn: the turns share queries and seconds."""
        load = self.block.load
        if turn >= load.rounds:
            return
        queries, seconds = math.ceil(load.queries / load.rounds), load.seconds / load.rounds
        waits = queries / load.rate if load.rate else 0.0
        self._order(Measure(queries, seconds, turn), self._patience(queries, seconds + waits))

    def audit(self) -> None:
        """Do the audit; nothing where none is planned."""
        if self.block.load.audit:
            self._order(Audit(), self._patience(self.block.load.audit, 0.0))

    def close(self) -> None:
        """End the worker; harmless twice."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

    def kill(self) -> None:
        """End the worker at once."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()

    def measured(self) -> Measured:
        """What the record keeps."""
        state = (self._ended, self.missing, self.block)
        if self._told is None or self._told[0] != state:
            self._told = state, self._measured()
        return self._told[1]

    def _measured(self) -> Measured:
        path = sample_path(self._folder, self.block.name)
        known = Measured(self.block, self._facts, began=self._began, ended=self._ended, missing=self.missing)
        if self.missing:
            return known
        if not path.is_file():
            return msgspec.structs.replace(known, missing="the run ended before its turn came")
        try:
            samples, sha256 = read_hashed(path)
        except StillflowError as error:
            # More than can be read again, or a disk that fails: the other blocks stay.
            return msgspec.structs.replace(known, missing=f"{error.what}: {error.why}")
        return msgspec.structs.replace(
            known,
            samples=self._count,
            sha256=sha256,
            summaries=summaries(self.block, samples),
            rss_peak=self._rss_peak,
            gpu_peak=self._gpu_peak,
            cpu_seconds=self._cpu_seconds,
        )

    def _order(self, order: Order, seconds: float) -> None:
        """Give an order, and keep what comes of it at once."""
        if self.missing or self._worker is None:
            return
        try:
            reply = self._worker.ask(order, seconds)
            self._keep(reply.samples)
        except StillflowError as error:
            self._give_up(error)
            return
        finally:
            self._ended = time.monotonic_ns() - self._origin
        self._facts = reply.facts or self._facts
        self._slowest = max([self._slowest, *(sample.service / 1e9 for sample in reply.samples)])
        if isinstance(order, Measure):
            self.latencies += [sample.service for sample in reply.samples if not sample.error]
            self._cpu_seconds += reply.cpu_seconds
            self._rss_peak = max(self._rss_peak, reply.rss_peak)
            self._gpu_peak = max(self._gpu_peak, reply.gpu_peak)

    def _keep(self, samples: Sequence[Sample]) -> None:
        """Write samples behind those that are there; all of them, or none.

        Raises:
            StillflowError: the disk refuses.
        """
        path = self._folder / SAMPLES / f"{self.block.name}.jsonl"
        size = path.stat().st_size if self._count else 0
        try:
            if samples:
                write_samples(path, samples, append=self._count > 0)
            self._count += len(samples)
        except BaseException as error:
            with suppress(OSError):
                os.truncate(path, size)  # half a line would spoil the whole ones
            if not isinstance(error, OSError):
                raise
            raise StillflowError(
                "its samples could not be kept",
                error.strerror or str(error),
                "free disk space, then measure again",
            ) from error

    def _give_up(self, error: StillflowError) -> None:
        self.missing = " ".join(f"{error.what}: {error.why}".split())
        self._announce(f"{self.block.name}: not measured: {self.missing}\n  fix: {error.fix}")
        if isinstance(error, WorkerError):
            self._announce(error.trace)
        self.kill()

    def _patience(self, queries: int, seconds: float) -> float:
        """Seconds after which an order is given up."""
        expected = queries * (self._slowest or query_seconds(self.block))
        return FIRST_QUERY_SECONDS + _PATIENCE * (expected + seconds)


def _started(block: Block) -> WorkerProcess:
    return WorkerProcess(block.name, threads=block.target.subject.threads)
