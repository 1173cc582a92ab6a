# SPDX-License-Identifier: Apache-2.0
"""Rough times: they grow with what is asked, and what is known replaces what was guessed."""

from __future__ import annotations

from msgspec.structs import replace

from stillflow_bench.latency.forecast import (
    OPEN_SECONDS,
    QUERY_SECONDS,
    Progress,
    block_seconds,
    measuring_seconds,
    query_seconds,
)
from stillflow_bench.latency.plan import Block, Load
from stillflow_bench.latency.subject import parse_subject
from stillflow_bench.latency.target import KINDS, TargetSpec


def block(kind: str = "frame", size: str = "720p", **load: object) -> Block:
    spec = TargetSpec(kind, "B3.frame", parse_subject(f"size={size}"))
    return Block("a", "A", "ours", spec, Load(**load))  # type: ignore[arg-type]


def test_kinds_are_known() -> None:
    assert set(QUERY_SECONDS) | {"fake"} == set(KINDS)
    assert set(OPEN_SECONDS) <= set(KINDS)


def test_larger_pictures_take_longer() -> None:
    assert query_seconds(block()) < query_seconds(block(size="1080p")) < 2.25 * query_seconds(block())
    assert query_seconds(block("fake")) == 0


def test_what_lasts_longest_counts() -> None:
    assert measuring_seconds(block(queries=10, seconds=60.0)) == 60
    assert measuring_seconds(block(queries=10), a_query=3.0) == 30
    assert measuring_seconds(block(queries=10, lanes=2), a_query=3.0) == 15
    assert measuring_seconds(block(queries=10, rate=0.1)) == 100
    assert measuring_seconds(block(queries=10, share=0.5, of="b"), a_query=3.0) == 60


def test_a_plan_is_its_blocks() -> None:
    one = block(queries=10)
    more = block(queries=10, warm_up=50)
    assert block_seconds(more) > block_seconds(one)
    assert Progress([one, replace(more, name="b")]).left == block_seconds(one) + block_seconds(more)


def test_progress_replaces_guesses() -> None:
    blocks = [block(), replace(block(), name="b")]
    progress = Progress(blocks)
    assert progress.left == 2 * block_seconds(block())
    progress.expect("a", 3.0)
    progress.expect("b", 0.0)
    assert progress.left == 3
