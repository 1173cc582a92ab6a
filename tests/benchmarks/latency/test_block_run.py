# SPDX-License-Identifier: Apache-2.0
"""A block on its way: orders become samples at once, and whatever goes wrong is its reason to be missing."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

from stillflow.errors import StillflowError
from stillflow_bench.latency import block_run
from stillflow_bench.latency.block_run import BlockRun
from stillflow_bench.latency.orders import Audit, Measure, Open, Order, Reply, WarmUp
from stillflow_bench.latency.plan import Block, Load
from stillflow_bench.latency.sample import Phase, Sample, read_samples, write_samples
from stillflow_bench.latency.subject import Subject
from stillflow_bench.latency.target import Facts, TargetSpec
from stillflow_bench.latency.worker_process import WorkerError, WorkerProcess

BLOCK = Block("a", "A", "ours", TargetSpec("fake", "B3.frame"), Load(queries=5, warm_up=1, audit=1, rounds=2))


class Obedient:
    """Stands in for a worker: one sample a query, and what ``trouble`` raises."""

    def __init__(self, trouble: Callable[[Order], None] = lambda order: None) -> None:
        self.orders: list[Order] = []
        self.limits: list[float] = []
        self.killed = False
        self._trouble = trouble
        self._count = 0

    def ask(self, order: Order, seconds: float) -> Reply:
        self.orders.append(order)
        self.limits.append(seconds)
        self._trouble(order)
        if isinstance(order, Open):
            return Reply(facts=Facts(engine="e"), rss_peak=99)
        phase: Phase = "measured"
        if isinstance(order, WarmUp | Audit):
            phase = "warm-up" if isinstance(order, WarmUp) else "audit"
        count = order.queries if isinstance(order, Measure) else 1
        made = [Sample(self._count + k, phase, 0, 10**9 * k, 10**9 * k + 2 * 10**9) for k in range(count)]
        self._count += count
        return Reply(samples=tuple(made), rss_peak=count, gpu_peak=7, cpu_seconds=0.5)

    def close(self) -> None:
        self.killed = True

    kill = close


def run_of(folder: Path, worker: Any, block: Block = BLOCK) -> tuple[BlockRun, list[str]]:
    said: list[str] = []
    return BlockRun(block, folder, 0, said.append, lambda _: cast("WorkerProcess", worker)), said


def through(run: BlockRun) -> None:
    run.open()
    run.warm_up()
    for turn in range(3):
        run.measure(turn)
    run.audit()
    run.close()


def test_a_block_is_measured_in_turns_and_kept(tmp_path: Path) -> None:
    worker = Obedient()
    run, said = run_of(tmp_path, worker)
    through(run)
    assert [order for order in worker.orders if isinstance(order, Measure)] == [
        Measure(3, 0.0, 0),
        Measure(3, 0.0, 1),
    ]
    samples = read_samples(tmp_path / "samples" / "a.jsonl")
    assert [sample.index for sample in samples] == list(range(8))
    found = run.measured()
    assert (found.samples, found.rss_peak, found.gpu_peak, found.cpu_seconds) == (8, 3, 7, 1.0)
    assert found.summaries["B3.frame"].n == 6 and found.facts.engine == "e"
    assert not said and worker.killed and run.latencies == [2 * 10**9] * 6
    # Once it is known that a query takes 2 s, more of them are given more time.
    assert worker.limits[2] == worker.limits[1] + 4 * 3 * 2.0


def test_what_is_known_to_be_slow_is_given_time_to_warm_up(tmp_path: Path) -> None:
    """A published pipeline takes minutes a query at full size, and torch.compile two until it is open."""
    slow = TargetSpec("published-torch", "B3.next", Subject(width=3840, height=2160))
    worker = Obedient()
    run, _ = run_of(tmp_path, worker, replace(BLOCK, target=slow, load=Load(warm_up=5, lanes=2)))
    run.open()
    run.warm_up()
    assert worker.limits[0] >= 600
    assert worker.limits[1] > 2 * 5 * 2 * 25.0 * 8.3


def test_a_full_disk_ends_the_block_and_leaves_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(path: Path, samples: Sequence[Sample], *, append: bool = False) -> None:
        write_samples(path, samples, append=append)
        if samples[0].phase == "measured":
            os.truncate(path, path.stat().st_size - 9)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(block_run, "write_samples", half)
    run, said = run_of(tmp_path, Obedient())
    through(run)
    assert run.measured().missing == f"its samples could not be kept: {os.strerror(errno.ENOSPC)}"
    assert [sample.phase for sample in read_samples(tmp_path / "samples" / "a.jsonl")] == ["warm-up"]
    assert len(said) == 1


def test_an_interruption_while_samples_are_written_loses_no_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = run_of(tmp_path, Obedient())
    run.open()
    run.measure(0)

    def interrupted(path: Path, samples: Sequence[Sample], *, append: bool = False) -> None:
        with path.open("ab") as file:
            file.write(b'{"index":3,"pha')
        raise KeyboardInterrupt

    monkeypatch.setattr(block_run, "write_samples", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.measure(1)
    found = run.measured()
    assert (found.samples, found.missing) == (3, "") and found.summaries["B3.frame"].n == 3


def test_samples_that_cannot_be_read_again_make_one_block_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = run_of(tmp_path, Obedient())
    through(run)
    monkeypatch.setattr("stillflow_bench.latency.sample.MOST_BYTES", 100)
    assert "it holds more than" in run.measured().missing


@pytest.mark.parametrize("kind", [Open, WarmUp, Measure, Audit])
def test_trouble_makes_it_missing_with_the_reason(tmp_path: Path, kind: type) -> None:
    def trouble(order: Order) -> None:
        if isinstance(order, kind):
            raise StillflowError("cannot do it", "the sky\nis falling", "wait")

    worker = Obedient(trouble)
    run, said = run_of(tmp_path, worker)
    through(run)
    found = run.measured()
    assert found.missing == "cannot do it: the sky is falling" and found.samples == 0
    assert isinstance(worker.orders[-1], kind) and worker.killed
    assert said == ["a: not measured: cannot do it: the sky is falling\n  fix: wait"]


def test_a_bug_shows_its_trace_and_a_missing_start_its_reason(tmp_path: Path) -> None:
    def bug(order: Order) -> None:
        raise WorkerError("a", "b", "c", "the trace")

    run, said = run_of(tmp_path, Obedient(bug))
    run.open()
    assert said[-1] == "the trace"

    def none(block: Block) -> WorkerProcess:
        raise StillflowError("cannot start", "no processes left", "wait")

    unstarted = BlockRun(BLOCK, tmp_path, 0, said.append, none)
    through(unstarted)
    assert unstarted.measured().missing == "cannot start: no processes left"


def test_one_whose_turn_never_came(tmp_path: Path) -> None:
    run, _ = run_of(tmp_path, Obedient())
    run.open()
    run.kill()
    assert run.measured().missing == "the run ended before its turn came"
