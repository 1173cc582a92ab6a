# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from stillflow_bench.latency.comparable import in_turn, reference, work_of
from stillflow_bench.latency.plan import Block, Load
from stillflow_bench.latency.subject import Subject
from stillflow_bench.latency.target import TargetSpec


def block(name: str, group: str = "g", role: Any = "ours", boundary: Any = "B3.next", **more: Any) -> Block:
    spec = TargetSpec("fake", boundary, more.pop("subject", Subject()))
    return Block(name, name, role, spec, Load(**more), group)


def test_a_block_is_compared_with_one_that_does_the_same_work() -> None:
    small = Subject(width=640, height=360)
    every = [
        block("a"),
        block("b"),
        block("theirs", role="peer"),
        block("published", "h", "peer"),
        block("small", subject=small),
        block("small-peer", "", "peer", subject=small),
        block("call", role="peer", boundary="B2.call"),
        block("two-lanes", lanes=2),
        block("other-group", "h"),
    ]
    assert {one.name: reference(one, "ours", every) for one in every} == {
        "a": "a",
        "b": "a",
        "theirs": "a",
        "published": "other-group",  # in turn with it, though "a" came first
        "small": "small",
        "small-peer": "small",
        "call": None,
        "two-lanes": "two-lanes",
        "other-group": "other-group",
    }
    assert reference(every[3], "ours", every[:3]) == "a"  # nobody in its group
    assert reference(every[0], "limit", every) is None


def test_engines_and_precisions_are_compared_and_sizes_are_not() -> None:
    fast = Subject(engine="openvino", precision="int8", threads=1)
    assert work_of(block("a")) == work_of(block("b", subject=fast))
    assert work_of(block("a")) != work_of(block("b", subject=Subject(moving=0.3)))
    assert work_of(block("a")) != work_of(block("b", scenario="offline"))


def test_blocks_without_a_group_take_no_turns() -> None:
    assert in_turn(block("a"), block("b"))
    assert not in_turn(block("a", ""), block("b", ""))
