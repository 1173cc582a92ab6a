# SPDX-License-Identifier: Apache-2.0
"""Carry a plan out: a process for every block, blocks of a group in turns, everything written as soon as it is there.

Only one worker works at a time. Blocks that are compared are open together and take turns in an order drawn anew each
round, so that a machine that slows down slows all of them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import msgspec

from stillflow.errors import StillflowError
from stillflow.gpu.description import find_gpu
from stillflow_bench import machine
from stillflow_bench.gpu.versions import gpu_versions
from stillflow_bench.latency.block_run import Announce, BlockRun
from stillflow_bench.latency.forecast import Progress, measuring_seconds
from stillflow_bench.latency.gpu_readings import index_of
from stillflow_bench.latency.plan import Block, Plan
from stillflow_bench.latency.record import (
    RESULT,
    SCHEMA,
    TELEMETRY,
    Host,
    Measured,
    Record,
    Tool,
    write_record,
)
from stillflow_bench.latency.run_folder import pack, prepare, write_receipts
from stillflow_bench.latency.telemetry import Observer, Telemetry
from stillflow_bench.latency.worker_process import WorkerProcess

SETTLE = 0.15
"""Seconds before a worker's turn. Threads of ONNX Runtime with its own options go on turning for up to 0.15 s after
their last run, 0.07 processor seconds in all; no other target was seen to (two cores, 360p)."""

MORE_PACKAGES = ("openvino", "mlcommons-loadgen", "nvidia-ml-py")
"""Distributions whose versions are kept besides those of ``machine`` and ``gpu.versions``."""


def run(
    plan: Plan,
    folder: Path,
    *,
    announce: Announce,
    overwrite: bool = False,
    compress: bool = False,
    start: Callable[[Block], WorkerProcess] | None = None,
    strict: bool = False,
) -> Record:
    """Measure what is planned.

    Ctrl-C ends it early: what was measured so far is written, and the record says that it was interrupted. The same
    stands there after each group of blocks, for the case that this process is killed.

    Args:
        plan: what.
        folder: to write into.
        announce: is told how far it is, line by line.
        overwrite: a run that is there already goes.
        compress: pack the samples at the end.
        start: starts the worker of a block; None: this installation's.
        strict: a block that cannot be measured ends the run; otherwise the others go on.

    Raises:
        StillflowError: the folder holds a run, or cannot be written, or the disk is full at the end.
    """
    prepare(folder, overwrite=overwrite)
    about = machine.provenance()
    gpu = next((index_of(block.target.subject.device) for block in plan.blocks if _on_gpu(block)), 0)
    origin = time.monotonic_ns()
    observer = Observer(origin, gpu)
    before = observer.look(thorough=True)
    telemetry = Telemetry(folder / TELEMETRY, observer)
    runner = _Runner(plan, folder, origin, announce, start, strict)
    host = _host(about, gpu)

    def record(*, interrupted: bool, thorough: bool) -> Record:
        measured = runner.measured()
        return Record(
            schema=SCHEMA,
            tool=Tool(about.versions["stillflow"], about.commit, about.command, about.date),
            host=host,
            plan=msgspec.structs.replace(plan, blocks=tuple(one.block for one in measured)),
            measured=measured,
            before=before,
            after=observer.look(thorough=thorough),
            clock=origin,
            looking=telemetry.cost,
            interrupted=interrupted,
        )

    def keep() -> None:
        """What there is so far can be judged, whatever becomes of this process."""
        try:
            write_record(folder, record(interrupted=True, thorough=False))
        except OSError as error:
            announce(f"{RESULT} could not be written so far: {error.strerror}")

    with telemetry:
        interrupted = runner.carry_out(keep)
    if telemetry.error:
        announce(f"no more looks at the machine were kept: {telemetry.error}")
    try:
        found = record(interrupted=interrupted, thorough=True)
        write_record(folder, found)
        if compress:
            pack(folder)
    except OSError as error:
        raise StillflowError(
            f"cannot finish the run in {folder}",
            error.strerror or str(error),
            "free disk space, then measure again",
        ) from error
    return found


class _Runner:
    """The blocks of a plan, group by group.

    Args:
        plan: what.
        folder: of the run, ready.
        origin: nanoseconds of the host's monotonic clock when the run began.
        announce: is told how far it is.
        start: see ``run``.
        strict: see ``run``.
    """

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        origin: int,
        announce: Announce,
        start: Callable[[Block], WorkerProcess] | None = None,
        strict: bool = False,
    ) -> None:
        self._strict = strict
        self._plan = plan
        self._folder = folder
        self._announce = announce
        self._blocks = {block.name: BlockRun(block, folder, origin, announce, start) for block in plan.blocks}
        self._progress = Progress(plan.blocks)

    def carry_out(self, keep: Callable[[], None]) -> bool:
        """Measure group after group; returns whether it was interrupted.

        Args:
            keep: is called after each group, when no worker works.
        """
        dice = random.Random(self._plan.seed)
        try:
            for group in groups_of(self._plan.blocks):
                self._group([self._blocks[block.name] for block in group], dice)
                keep()
                if self._strict and any(self._blocks[block.name].missing for block in group):
                    break
        except (KeyboardInterrupt, SystemExit):  # the latter: SIGTERM, or the terminal was closed
            self._announce("interrupted: what was measured so far is kept")
            return True
        return False

    def measured(self) -> tuple[Measured, ...]:
        """What the record keeps, in the plan's order; receipts are written besides."""
        found = tuple(block.measured() for block in self._blocks.values())
        for one in found:
            write_receipts(self._folder, one.block.name, one.facts.receipts)
        return found

    def _group(self, blocks: list[BlockRun], dice: random.Random) -> None:
        """Open the group's blocks, measure them in turns, and end their workers whatever happens."""
        with ExitStack() as ending:
            for block in blocks:
                ending.callback(block.kill)
                self._put_rate_in(block)
                self._say(block, "opens")
                block.open()
            for block in blocks:
                self._say(block, "warms up")
                block.warm_up()
                self._progress.expect(block.block.name, measuring_seconds(block.block))
            for turn in range(max(block.block.load.rounds for block in blocks)):
                for block in dice.sample(blocks, len(blocks)):
                    if turn < block.block.load.rounds:
                        self._turn(block, turn)
            for block in blocks:
                block.audit()
                block.close()
                self._progress.expect(block.block.name, 0.0)

    def _turn(self, block: BlockRun, turn: int) -> None:
        rounds = block.block.load.rounds
        self._say(block, f"round {turn + 1} of {rounds}" if rounds > 1 else "is measured")
        time.sleep(SETTLE)
        block.measure(turn)
        known = sum(block.latencies) / 1e9 / len(block.latencies) if block.latencies else None
        left = (1 - (turn + 1) / rounds) * measuring_seconds(block.block, known)
        self._progress.expect(block.block.name, 0.0 if block.missing else left)

    def _say(self, block: BlockRun, what: str) -> None:
        if block.missing:
            return
        done = f"; {len(block.latencies)} queries so far" if block.latencies else ""
        self._announce(f"{block.block.name}: {what}{done}; about {self._progress.left:.0f} s left")

    def _put_rate_in(self, block: BlockRun) -> None:
        """Work out the rate of a block whose rate is a share of what another one answers."""
        load = block.block.load
        if not load.share:
            return
        other = self._blocks.get(load.of)
        if other is None or not other.latencies:
            block.missing = f"its rate is a share of what {load.of} answers, which was not measured"
            return
        capacity = 1e9 * len(other.latencies) / sum(other.latencies) * load.lanes
        rated = msgspec.structs.replace(load, rate=round(load.share * capacity, 4))
        block.block = msgspec.structs.replace(block.block, load=rated)


def groups_of(blocks: Sequence[Block]) -> list[list[Block]]:
    """Blocks that take turns, in the order of their first one; a block without a group is one by itself."""
    found: dict[str, list[Block]] = {}
    for block in blocks:
        found.setdefault(block.group or f"block {block.name}", []).append(block)
    return list(found.values())


def _on_gpu(block: Block) -> bool:
    return block.target.subject.device.startswith("cuda")


def _host(about: machine.Provenance, gpu: int) -> Host:
    versions = {**gpu_versions(), **about.versions}
    more = {name: machine.version(name) for name in MORE_PACKAGES}
    versions |= {name: version for name, version in more.items() if version != "absent"}
    found = find_gpu(gpu)
    return Host(
        machine=about.machine,
        cpu=about.cpu,
        cores=about.cores,
        memory_gib=about.memory_gib,
        system=about.system,
        python=about.python,
        versions=versions,
        gpu=asdict(found) if found else {},
    )
