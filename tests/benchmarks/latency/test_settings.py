# SPDX-License-Identifier: Apache-2.0
"""What is typed becomes a plan that says of every setting where it came from."""

from __future__ import annotations

import pytest

from stillflow.errors import StillflowError
from stillflow_bench.latency.settings import Settings, plan_of


def test_nothing_typed_is_the_standard_plan() -> None:
    plan = plan_of(Settings(), {})
    assert plan.name == "standard" and plan.blocks[0].target.subject.size == "720p"
    assert set(plan.sources.values()) == {"default"}


def test_quick_is_small_unless_a_size_is_typed() -> None:
    plan = plan_of(Settings(plan="quick"), {})
    assert plan.blocks[0].target.subject.size == "360p"
    assert plan.sources["plan"] == "command line" and plan.sources["subject.size"] == "quick"
    typed = plan_of(Settings(plan="quick", subject="size=1080p, engine=openvino"), {})
    assert typed.blocks[0].target.subject.size == "1080p"
    assert typed.sources["subject.size"] == typed.sources["subject.engine"] == "command line"
    assert typed.sources["subject.bundle"] == "default"


def test_an_own_block_is_loaded_as_typed() -> None:
    plan = plan_of(
        Settings(target="next", scenario="server", rate=20.0, queries=500, lanes=2, device="cuda:1", seed=7),
        {},
    )
    (block,) = plan.blocks
    assert (plan.name, block.load.rate, block.load.lanes, block.load.seed) == ("own", 20.0, 2, 7)
    assert block.target.subject.device == "cuda:1"
    assert plan.sources["rate"] == plan.sources["subject.device"] == "command line"
    assert plan.sources["warm_up"] == "default"


def test_blocks_are_chosen_by_name() -> None:
    plan = plan_of(Settings(plan="quick", only="copy, next", photos="holiday"), {})
    assert [block.name for block in plan.blocks] == ["next", "copy"]
    assert plan.blocks[0].target.photos == "holiday"


def test_the_environment_is_told_where_it_changes_threads() -> None:
    plan = plan_of(Settings(), {"OMP_NUM_THREADS": "1", "HOME": "somewhere"})
    assert plan.sources["OMP_NUM_THREADS=1"] == "environment"
    assert not any("HOME" in name for name in plan.sources)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Settings(plan="quick", queries=3), "cannot use --queries with a whole plan"),
        (Settings(warm_up=3), "cannot use --warm-up"),
        (Settings(plan="full", target="frame"), "at once"),
        (Settings(subject="sise=720p"), "there is no 'sise'"),
        (Settings(only="nonsense"), "none of that name"),
    ],
)
def test_contradictions_are_refused(settings: Settings, said: str) -> None:
    with pytest.raises(StillflowError) as told:
        plan_of(settings, {})
    assert said in str(told.value)
