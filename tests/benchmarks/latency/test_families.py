# SPDX-License-Identifier: Apache-2.0
"""Blocks that are compared differ in what they are named after, and in nothing else."""

from __future__ import annotations

from msgspec.structs import replace

from stillflow_bench.latency.families import MOST, PEERS, SHARES, SWEEP, Families
from stillflow_bench.latency.plan import Block, Load
from stillflow_bench.latency.subject import Subject

FAMILIES = Families(Subject(width=640, height=360), "photos", seed=5)
LOAD = Load(queries=48)


def differing(blocks: list[Block]) -> set[str]:
    """Names of the subject's settings in which blocks differ."""
    subjects = [block.target.subject for block in blocks]
    return {name for name in Subject.__struct_fields__ if len({getattr(s, name) for s in subjects}) > 1}


def test_peers_see_the_same_and_take_turns_with_ours() -> None:
    blocks = FAMILIES.networks(LOAD, MOST, [name for name, *_ in PEERS])
    assert [block.role for block in blocks] == ["ours", *["peer"] * len(PEERS)]
    assert len({(block.target.subject, block.load, block.group, block.claims) for block in blocks}) == 1
    assert all(block.load.seed == 5 and block.target.photos == "photos" for block in blocks)


def test_our_session_on_another_engine() -> None:
    blocks = FAMILIES.networks(LOAD, MOST, ("openvino",))
    assert differing(blocks) == {"engine"}
    openvino = Families(Subject(engine="openvino"))
    assert len(openvino.networks(LOAD, MOST, ("openvino",))) == 1


def test_baselines_and_limits_move_as_ours_does() -> None:
    for blocks in (FAMILIES.next_frame(LOAD, MOST, LOAD), FAMILIES.job(LOAD, MOST, moving=0.3)):
        assert not differing(blocks)
        assert {block.target.subject.moving for block in blocks} == {0.3}
        assert len({block.group for block in blocks}) == 1
    typed = Families(Subject(moving=0.5))
    assert {b.target.subject.moving for b in typed.next_frame(LOAD, MOST, LOAD)} == {0.5}
    assert {b.target.subject.moving for b in FAMILIES.job(LOAD, MOST)} == {None}


def test_scaling_varies_one_thing_at_a_time() -> None:
    blocks = FAMILIES.scaling(40)
    by_group: dict[str, list[Block]] = {}
    for block in blocks:
        by_group.setdefault(block.group, []).append(block)
    assert differing(by_group["sizes"]) == {"width", "height"}
    assert differing(by_group["shares"]) == {"moving"}
    assert [block.target.subject.moving for block in by_group["shares"]] == list(SHARES)
    assert not differing(by_group["lanes"])
    assert len({replace(block.load, lanes=1) for block in by_group["lanes"]}) == 1
    assert [block.load.lanes for block in by_group["lanes"]] == [1, 2]


def test_rates_are_shares_of_a_block_that_is_named() -> None:
    (frame,) = FAMILIES.frame(LOAD, MOST)
    served = [block for block in FAMILIES.loads(frame, 49, 2, MOST) if block.load.scenario == "server"]
    swept = FAMILIES.sweep(frame, 100)
    assert [block.load.share for block in (*served, *swept)] == [0.6, *SWEEP]
    assert {block.load.of for block in (*served, *swept)} == {"frame"}
    streams = FAMILIES.loads(frame, 49, 2, MOST)[0]
    assert streams.load.queries * streams.load.lanes >= 49


def test_both_drivers_are_given_the_same_load() -> None:
    (frame,) = FAMILIES.frame(LOAD, MOST)
    blocks = FAMILIES.loadgen(frame, 480)
    for ours, theirs in zip(blocks[::2], blocks[1::2], strict=True):
        assert (ours.load.driver, theirs.load.driver) == ("own", "loadgen")
        assert replace(ours.load, driver="loadgen") == theirs.load and ours.group == theirs.group


def test_gpu_blocks_run_there() -> None:
    blocks = FAMILIES.gpu(LOAD, MOST)
    assert {block.target.subject.device for block in blocks} == {"cuda"}
    assert {block.target.boundary for block in blocks} >= {"B0.device", "B1.transfer", "B2.call", "B3.frame"}


def test_a_gpus_engines_are_found_and_built_in_cold_starts() -> None:
    starts = [block for block in FAMILIES.gpu(LOAD, MOST) if block.target.kind == "cold"]
    assert [block.target.options for block in starts] == [{"cache": "kept"}, {"cache": "empty"}]
    assert {block.target.subject.engine for block in starts} == {"tensorrt"}
