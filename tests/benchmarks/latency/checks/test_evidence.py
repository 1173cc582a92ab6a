# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from stillflow.errors import StillflowError
from stillflow_bench.latency.checks.evidence import MOST_NUMBER, read_evidence
from stillflow_bench.latency.plan import Block
from stillflow_bench.latency.target import TargetSpec

from ..valid_run import SECOND, block, run_of


def test_evidence_is_what_was_written(tmp_path: Path) -> None:
    run = run_of(block())
    found = read_evidence(run.write(tmp_path))
    (one,) = found.blocks
    assert (one.damage, list(one.samples)) == ("", run.samples["ours"])
    assert one.sha256 == one.measured.sha256
    assert len(one.taken) == 96
    assert [len(turn) for turn in one.rounds] == [32, 32, 32]
    assert all(begin < end for begin, end in one.spells)
    assert len(found.looks) == len(run.looks) - 2
    assert not found.looks_damage


def test_failed_queries_are_not_taken_and_missing_blocks_have_none(tmp_path: Path) -> None:
    run = run_of(block(), block("gone"))
    run.change(lambda s: msgspec.structs.replace(s, error="no" if s.index == 20 else ""))
    run.measured[1] = msgspec.structs.replace(run.measured[1], missing="not here")
    found = read_evidence(run.write(tmp_path))
    (one,) = found.blocks
    assert len(one.taken) == 95


def test_numbers_that_no_clock_shows_are_damage(tmp_path: Path) -> None:
    run = run_of(block())
    run.change(lambda s: msgspec.structs.replace(s, spans={"B0.device": 4 * MOST_NUMBER}))
    assert "no clock shows" in read_evidence(run.write(tmp_path)).blocks[0].damage
    odd = run_of(block())
    odd.measured[0] = msgspec.structs.replace(odd.measured[0], ended=MOST_NUMBER * SECOND)
    with pytest.raises(StillflowError, match="nothing measures"):
        read_evidence(odd.write(tmp_path))


def test_kinds_without_networks_take_photos_only_if_they_say_so() -> None:
    copy = Block("copy", "copy", "peer", TargetSpec("copy", "B3.next"))
    ours = run_of(block(), copy).evidence()
    assert [one.takes_photos for one in ours.blocks] == [True, False]
    run = run_of(block(), copy)
    run.facts("copy", inputs=["0" * 64])
    assert run.evidence().blocks[1].takes_photos
    run.block("copy", role="limit")
    assert not run.evidence().blocks[1].takes_photos
