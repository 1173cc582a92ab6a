# SPDX-License-Identifier: Apache-2.0
"""The plans that come with the suite can be carried out, claim what they measure enough for, and fit their time."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import pytest
from msgspec.structs import replace

from stillflow.errors import StillflowError
from stillflow_bench.latency import plans
from stillflow_bench.latency.families import Families
from stillflow_bench.latency.forecast import Progress
from stillflow_bench.latency.percentile import needed
from stillflow_bench.latency.plan import Load, Plan
from stillflow_bench.latency.plans import chosen, claims_of, full, own, quick, standard
from stillflow_bench.latency.subject import Subject
from stillflow_bench.latency.target import KINDS

SMALL = Subject(width=640, height=360)


def full_with_gpu(subject: Subject) -> Plan:
    plan = full(subject)
    gpu = Families(subject).gpu(Load(queries=480), (50.0, 99.0))
    return replace(plan, blocks=(*(b for b in plan.blocks if not b.name.startswith("gpu")), *gpu))


@pytest.mark.parametrize("make", [quick, standard, full, full_with_gpu])
def test_plans_are_well_formed(make: Callable[[Subject], Plan]) -> None:
    plan = make(SMALL)
    names = [block.name for block in plan.blocks]
    assert len(set(names)) == len(names)
    before: set[str] = set()
    for block in plan.blocks:
        load = block.load
        assert block.target.kind in KINDS
        count = load.queries * (load.lanes if load.scenario == "multi_stream" else 1)
        assert all(count >= needed(rank) for rank in block.claims), block.name
        assert bool(load.share) == bool(load.of) == (load.scenario == "server")
        assert not load.of or load.of in before, f"{block.name} needs the rate of a block before it"
        assert load.rounds <= load.queries
        before.add(block.name)
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan


def test_quick_is_quick_and_has_the_tail() -> None:
    plan = quick(SMALL)
    assert Progress(plan.blocks).left < 40  # the judge and the report take the rest of 45
    claims = {block.name: block.claims for block in plan.blocks}
    assert 99.0 in claims["next"] and 90.0 in claims["networks"] and 90.0 in claims["frame"]
    assert {block.role for block in plan.blocks} == {"ours", "peer", "baseline", "limit"}


def test_standard_takes_minutes_and_has_every_scenario() -> None:
    plan = standard(Subject())
    assert 120 < Progress(plan.blocks).left < 330
    scenarios = {block.load.scenario for block in plan.blocks}
    assert scenarios == {"single_stream", "multi_stream", "offline", "server", "cold"}
    boundaries = {block.target.boundary for block in plan.blocks}
    assert boundaries == {"B2.call", "B3.frame", "B3.next", "B4.job", "B5.cold"}


def test_full_goes_on_for_minutes_and_measures_a_gpu_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for gpu in (None, object()):
        monkeypatch.setattr(plans, "find_gpu", lambda gpu=gpu: gpu)
        plan = full(Subject())
        devices = {block.target.subject.device for block in plan.blocks}
        assert ("cuda" in devices) == (gpu is not None)
    assert any(block.load.scenario == "sustained" and block.load.seconds >= 600 for block in plan.blocks)
    assert {block.load.driver for block in plan.blocks} == {"own", "loadgen"}


def test_a_block_of_ones_own() -> None:
    (block,) = own("raw-openvino", SMALL, Load(queries=100)).blocks
    assert (block.role, block.target.boundary, block.claims) == ("peer", "B2.call", (50.0, 90.0))
    assert own("copy", SMALL, Load()).blocks[0].role == "limit"
    assert own("frame", SMALL, Load()).blocks[0].role == "ours"
    with pytest.raises(StillflowError, match="no such target"):
        own("nonsense", SMALL, Load())
    with pytest.raises(StillflowError, match="how many queries arrive"):
        own("frame", SMALL, Load(scenario="server"))
    with pytest.raises(StillflowError, match="use --target cold"):
        own("frame", SMALL, Load(scenario="cold"))
    for endless in (Load("server", rate=math.inf), Load(seconds=math.nan)):  # no file could hold it
        with pytest.raises(StillflowError, match="are no load"):
            own("frame", SMALL, endless)


def test_own_blocks_have_the_scenario_that_they_need() -> None:
    assert own("cold", SMALL, Load()).blocks[0].load.scenario == "cold"
    load = own("frame", SMALL, Load("sustained")).blocks[0].load
    assert (load.seconds, load.rounds) == (600, 10)
    assert own("frame", SMALL, Load("sustained", seconds=5)).blocks[0].load.seconds == 5


def test_claims_are_what_the_queries_suffice_for() -> None:
    assert claims_of(Load(queries=3)) == ()
    assert claims_of(Load(queries=459)) == (50.0, 90.0, 99.0)
    assert claims_of(Load("multi_stream", queries=22, lanes=2)) == (50.0, 90.0)


def test_some_blocks_bring_those_whose_rate_they_need() -> None:
    plan = standard(Subject())
    assert [block.name for block in chosen(plan, ["next-server"]).blocks] == ["next", "next-server"]
    assert [block.name for block in chosen(plan, ["frame"]).blocks] == ["frame"]
    with pytest.raises(StillflowError, match="none of that name"):
        chosen(plan, ["frame", "nonsense"])
