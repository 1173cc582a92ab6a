# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stillflow_bench.latency.page.scaling_plots import LANES, RATE, SHARE, SIZE, families, scaling, server
from stillflow_bench.latency.plan import Load
from stillflow_bench.latency.subject import Subject


def blocks(make: Any) -> Any:
    made = make()
    for width in (1920, 640):
        for threads in (1, None):
            subject = Subject(width=width, height=width * 9 // 16, threads=threads)
            load = Load(queries=20 if width == 640 else 10)
            made.block(
                f"next-{width}-{threads or 0}",
                "next",
                "B3.next",
                [width / 100] * 10,
                subject=subject,
                load=load,
            )
    made.block("moving", "next", "B3.next", [9.0] * 10, subject=Subject(moving=0.5))
    for lanes in (1, 2):
        load = Load("offline", queries=10, lanes=lanes, warm_up=2)
        made.block(f"lanes-{lanes}", "networks", "B2.call", [5.0] * 10, load=load)
    for rate in (50.0, 20.0):
        load = Load("server", queries=60, rate=rate)
        made.block(
            f"server-{rate:g}",
            "networks",
            "B2.call",
            [5.0] * 60,
            load=load,
            title=f"queue, {rate:g} a second",
        )
    return made


def test_only_what_differs_in_one_thing_is_on_one_line(make: Any, read: Callable[..., Any]) -> None:
    shown = read(blocks(make)).answered
    names = [[one.block.name for one in members] for members in families(shown, SIZE)]
    assert names == [["next-640-1", "next-1920-1"], ["next-640-0", "next-1920-0"]]
    assert families(shown, SHARE) == []
    assert [[one.block.load.lanes for one in m] for m in families(shown, LANES)] == [[1, 2]]
    assert [[one.block.load.rate for one in m] for m in families(shown, RATE)] == [[20.0, 50.0]]


def test_plots_are_there_only_for_what_there_is(make: Any, read: Callable[..., Any]) -> None:
    shown = read(blocks(make)).answered
    assert scaling("s", SHARE, shown) == ""
    assert "megapixels" in scaling("s", SIZE, shown)
    assert "answers a second" in scaling("s", LANES, shown)
    text = server("q", shown)
    assert "queries offered a second" in text
    assert "queue: median" in text
    assert server("q", shown[:-1]) == ""
