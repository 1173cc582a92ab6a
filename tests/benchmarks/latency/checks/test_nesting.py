# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import msgspec
import pytest

from stillflow_bench.latency.boundary import Boundary
from stillflow_bench.latency.checks.nesting import out_of_order
from stillflow_bench.latency.limits import Limits
from stillflow_bench.latency.plan import Block
from stillflow_bench.latency.sample import Sample
from stillflow_bench.latency.target import TargetSpec

from ..valid_run import MS, SUBJECT, Run, block, broken, run_of


@pytest.mark.parametrize(
    ("spans", "why"),
    [
        ({"B0.device": 8, "B2.call": 9, "B3.frame": 10}, ""),
        ({"B0.device": 9, "B2.call": 8}, "B0.device took"),
        ({"B0.device": 9, "B1.transfer": 8, "B2.call": 10}, "B0.device took"),
        ({"B1.transfer": 10, "B2.call": 9}, "B1.transfer took"),
        ({"B2.call": 11}, "of a query of"),
        ({"stage motion": 11}, "of a query of"),
        ({"stage motion": -1}, "took -"),
        ({"B0.device flow": 5, "B2.call flow": 4, "B0.device": 6, "B2.call": 7}, "B0.device flow took"),
        ({"B0.device flow": 5, "B2.call generator": 4}, ""),
    ],
)
def test_what_lies_inside_is_no_longer_than_what_it_lies_in(spans: dict[str, int], why: str) -> None:
    sample = Sample(0, "measured", 0, 0, 10 * MS, spans={name: span * MS for name, span in spans.items()})
    found = out_of_order(sample, run_of(block()).evidence().blocks[0], Limits())
    assert why in found and bool(why) == bool(found)


def test_a_tick_of_the_clock_is_no_break() -> None:
    one = run_of(block()).evidence().blocks[0]
    sample = Sample(0, "measured", 0, 0, 10 * MS, spans={"B0.device": 5001_000, "B2.call": 5000_000})
    assert out_of_order(sample, one, Limits()) == ""
    assert out_of_order(sample, one, Limits(clock_us=0.5))


def test_one_query_in_a_hundred_out_of_order_is_found() -> None:
    run = run_of(block())
    run.block(target={"boundary": "B3.frame"})
    inner = {"B2.call": 10 * MS, "B0.device": 11 * MS}
    run.change(lambda s: msgspec.structs.replace(s, spans=inner if s.index == 60 else {}))
    assert broken(run.judged()) == {("ours", "clock-order")}


def two(inner: Boundary, slower: float, **subject: int) -> Run:
    """A block from farther in beside one at B3, so many times as slow."""
    spec = TargetSpec("networks", inner, msgspec.structs.replace(SUBJECT, **subject))
    frame = TargetSpec("frame", "B3.frame", SUBJECT)
    run = run_of(
        Block("inner", "inner", "ours", spec, block().load),
        Block("outer", "outer", "ours", frame, block().load),
    )
    run.slower(lambda _: slower, "inner")
    run.change(lambda s: msgspec.structs.replace(s, spans={}), "inner")
    run.samples["inner"] = [
        # The audit and the warm-up are as slow.
        msgspec.structs.replace(s, issued=s.done - round(s.service * slower))
        if s.phase == "warm-up" and s.index == 0
        else s
        for s in run.samples["inner"]
    ]
    return run


@pytest.mark.parametrize("inner", ["B0.device", "B1.transfer", "B2.call"])
def test_medians_of_blocks_lie_in_each_other(inner: Boundary) -> None:
    clash = ("inner", "clock-order")
    assert clash not in broken(two(inner, 1.0).judged())
    assert clash in broken(two(inner, 1.2).judged())
    assert clash not in broken(two(inner, 1.2).judged(Limits(clock_order=30)))
    assert clash not in broken(two(inner, 1.2, width=320).judged())  # of another subject
