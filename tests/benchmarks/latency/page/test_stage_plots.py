# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stillflow_bench.latency.page.stage_plots import has_stages, median_query, stages_of, timeline

SPANS = {
    "B2.call": 0.3, "B2.call flow": 0.2, "B2.call generator": 0.1,
    "stage frame": 0.1, "stage odd": 0.05, "stage motion": 0.4, "stage scene": 0.3,
}  # fmt: skip


def test_stages_stand_in_the_order_in_which_they_ran_and_add_up(make: Any, read: Callable[..., Any]) -> None:
    made = make()
    made.block("one", "frame", "B3.frame", [300.0, 100.0, 200.0], spans=SPANS)
    (one,) = read(made).shown
    assert has_stages(one)
    sample = median_query(one)
    assert sample.latency == 200_000_000
    found = stages_of(sample)
    assert [name for name, _ in found] == ["motion", "scene", "frame", "odd", "rest"]
    assert sum(spent for _, spent in found) == pytest.approx(200)
    text = timeline("t", [one])
    for words in ("B3.frame", "stages", "B2.call", "flow", "generator", "200 ms", "motion"):
        assert words in text
    assert "B0.device" not in text


def test_queries_without_stages_have_no_timeline(make: Any, read: Callable[..., Any]) -> None:
    made = make()
    made.block("one", "networks", "B2.call", [3.0, 4.0], spans={"B0.device": 0.9})
    assert not has_stages(read(made).shown[0])
