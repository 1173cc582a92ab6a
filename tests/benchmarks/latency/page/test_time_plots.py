# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from stillflow_bench.latency.page.drawing import EARLY
from stillflow_bench.latency.page.palette import COLOURS, INVALID
from stillflow_bench.latency.page.time_plots import over_time, sustained
from stillflow_bench.latency.plan import Load
from stillflow_bench.latency.record import Look


def dots(text: str, colour: str) -> int:
    return sum(path.count("M") for path in re.findall(rf'<path d="([^"]*)"[^>]*stroke: {colour}', text))


def test_warm_up_is_grey_failures_are_marked_and_every_query_is_a_dot(
    make: Any, read: Callable[..., Any]
) -> None:
    made = make()
    made.block("ours", "next", "B3.next", [3.0 + 0.01 * k for k in range(40)], failing=4)
    made.block("stall", "torch", "B3.next", [3.0] * 39 + [300.0], role="peer")
    text = over_time("t", read(made).shown, 400)
    assert dots(text, EARLY) == 3 + 3
    assert dots(text, COLOURS["ours"]) == 36
    assert dots(text, COLOURS["peer"]) == 40
    assert "4 failed" in text
    assert INVALID in text
    assert "ms, log" in text  # the stall's panel
    assert dots(over_time("t", read(made).shown, 10), COLOURS["peer"]) == 10


def test_a_sustained_load_is_told_by_the_minute_with_clock_and_heat(
    make: Any, read: Callable[..., Any]
) -> None:
    made = make()
    made.block("long", "next", "B3.next", [1000.0] * 150, load=Load("sustained", queries=150, warm_up=0))
    material = read(made)
    text = sustained("s", material.shown[0], material.telemetry)
    assert "for 3 minutes" in text
    for words in ("median", "p90", "slowest", "clock, GHz", "hottest sensor, °C"):
        assert words in text
    bare = sustained("s", material.shown[0], [Look(at=0)])
    assert "GHz" not in bare
