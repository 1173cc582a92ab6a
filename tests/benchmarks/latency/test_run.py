# SPDX-License-Identifier: Apache-2.0
"""A whole run of fakes in processes of their own: what it writes, in which order it measures, and how it ends early."""

from __future__ import annotations

import errno
import itertools
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from stillflow.errors import StillflowError
from stillflow_bench.latency.block_run import BlockRun
from stillflow_bench.latency.judge import judge
from stillflow_bench.latency.plan import Block, Load, Plan
from stillflow_bench.latency.record import Record, block_samples, looks_hash, read_record, read_telemetry
from stillflow_bench.latency.run import groups_of, run
from stillflow_bench.latency.sample import read_hashed
from stillflow_bench.latency.target import TargetSpec
from stillflow_bench.latency.worker_process import WorkerProcess

FAST = TargetSpec("fake", "B3.frame", options={"milliseconds": 0.5})
TURNS = Load(queries=32, warm_up=4, audit=4, rounds=4)


def planned() -> Plan:
    return Plan(
        "own",
        (
            Block("left", "Left", "ours", FAST, TURNS, group="pair"),
            Block("right", "Right", "peer", FAST, TURNS, group="pair"),
            Block("absent", "Absent", "peer", replace(FAST, options={"nonsense": 1}), TURNS, group="pair"),
            Block("served", "Served", "ours", FAST, Load("server", queries=20, share=0.5, of="left")),
            Block("stranded", "Stranded", "peer", FAST, Load("server", queries=20, share=0.5, of="absent")),
        ),
        seed=3,
        sources={"seed": "command line"},
    )


@dataclass
class Told:
    """A run with what it said."""

    folder: Path
    record: Record
    lines: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("run")
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stillflow_bench.latency.run.SETTLE", 0.0)  # fakes have no threads that turn on
        record = run(planned(), folder, announce=lines.append, compress=True)
    return Told(folder, record, lines)


def test_the_record_is_read_back(told: Told) -> None:
    read = read_record(told.folder)
    assert msgspec.structs.replace(read, looks_sha256="", seal="") == told.record
    assert read.looks_sha256 == looks_hash(told.folder) != ""
    assert not told.record.interrupted
    assert told.record.plan.sources == {"seed": "command line"}
    assert [one.block for one in told.record.measured] == list(told.record.plan.blocks)


def test_every_sample_is_kept_and_packed(told: Told) -> None:
    for one in told.record.measured[:2]:
        samples = block_samples(told.folder, one)
        assert [sample.index for sample in samples] == list(range(40)) and one.samples == 40
        path = told.folder / "samples" / f"{one.block.name}.jsonl.gz"
        assert read_hashed(path)[1] == one.sha256
        assert all(one.began <= sample.issued <= sample.done <= one.ended for sample in samples)
        assert one.summaries["B3.frame"].n == 32 and one.rss_peak > 10**6
        assert one.cpu_seconds > 0


def test_blocks_of_a_group_take_turns_and_only_one_works(told: Told) -> None:
    turns = sorted(
        (min(s.issued for s in some), max(s.done for s in some), one.block.name, number)
        for one in told.record.measured[:2]
        for number in range(TURNS.rounds)
        if (
            some := [
                s for s in block_samples(told.folder, one) if s.phase == "measured" and s.round == number
            ]
        )
    )
    assert len(turns) == 8
    assert [number for *_, number in turns] == [k // 2 for k in range(8)]
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(turns))
    # Who begins is drawn; with this seed neither does in all four rounds.
    assert len({name for *_, name, _ in turns[::2]}) == 2


def test_one_that_does_not_open_is_missing_and_the_others_go_on(told: Told) -> None:
    absent, served, stranded = told.record.measured[2:]
    assert "nonsense" in absent.missing and absent.samples == 0
    assert served.samples == 25
    assert stranded.missing == "its rate is a share of what absent answers, which was not measured"
    assert any(line.startswith("absent: not measured") for line in told.lines)


def test_a_share_of_the_capacity_becomes_a_rate(told: Told) -> None:
    services = [
        s.service for s in block_samples(told.folder, told.record.measured[0]) if s.phase == "measured"
    ]
    served = told.record.measured[3].block.load
    assert served.rate == pytest.approx(0.5 * 1e9 * len(services) / sum(services), rel=1e-3)


def test_receipts_and_looks_lie_beside_it(told: Told) -> None:
    assert json.loads((told.folder / "receipts" / "left-flow.json").read_text())
    looks = read_telemetry(told.folder)
    assert looks and told.record.before.at <= looks[0].at <= looks[-1].at <= told.record.after.at
    assert 0 < told.record.looking < 1


def test_progress_is_told(told: Told) -> None:
    assert any("left: round 2 of 4; 8 queries so far; about" in line for line in told.lines)


def test_a_folder_with_a_run_is_refused(told: Told) -> None:
    before = (told.folder / "result.json").read_bytes()
    with pytest.raises(StillflowError, match="--overwrite"):
        run(planned(), told.folder, announce=lambda line: None)
    assert (told.folder / "result.json").read_bytes() == before


def test_interrupted_it_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure = BlockRun.measure

    def second_turn_is_interrupted(block: BlockRun, turn: int) -> None:
        if turn == 1:
            raise KeyboardInterrupt
        measure(block, turn)

    monkeypatch.setattr(BlockRun, "measure", second_turn_is_interrupted)
    lines: list[str] = []
    blocks = (planned().blocks[0], replace(planned().blocks[0], name="later", group=""))
    record = run(Plan("own", blocks), tmp_path, announce=lines.append)
    assert record.interrupted and read_record(tmp_path).interrupted
    assert record.measured[0].samples == 12 and not record.measured[0].missing
    assert record.measured[1].missing == "the run ended before its turn came"
    assert "interrupted" in lines[-1]


def test_killed_it_leaves_the_groups_that_were_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        """Stands for the end of the process: nothing of the run's goes on."""

    opened = BlockRun.open

    def second_is_killed(block: BlockRun) -> None:
        if block.block.name == "later":
            raise Killed
        opened(block)

    monkeypatch.setattr(BlockRun, "open", second_is_killed)
    blocks = (
        replace(planned().blocks[0], load=Load(queries=4)),
        replace(planned().blocks[1], name="later", group=""),
    )
    with pytest.raises(Killed):
        run(Plan("own", blocks), tmp_path, announce=lambda line: None)
    record = read_record(tmp_path)
    assert record.interrupted and not judge(tmp_path).valid
    assert len(block_samples(tmp_path, record.measured[0])) == record.measured[0].samples == 9
    assert record.measured[1].missing == "the run ended before its turn came"


def test_a_disk_that_is_full_at_the_end_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("stillflow_bench.latency.run.write_record", full)
    said: list[str] = []

    def none(block: Block) -> WorkerProcess:
        raise StillflowError("cannot start", "no processes left", "wait")

    with pytest.raises(StillflowError, match="cannot finish the run"):
        run(Plan("own", planned().blocks[:1]), tmp_path, announce=said.append, start=none)
    assert said[-1] == f"result.json could not be written so far: {os.strerror(errno.ENOSPC)}"


def test_groups_keep_the_order_of_the_plan() -> None:
    names = [[block.name for block in group] for group in groups_of(planned().blocks)]
    assert names == [["left", "right", "absent"], ["served"], ["stranded"]]
