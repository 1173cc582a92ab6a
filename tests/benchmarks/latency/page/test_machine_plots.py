# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stillflow_bench.latency.page.machine_plots import machine_strip
from stillflow_bench.latency.record import Look


def test_what_the_machine_tells_is_drawn_and_nothing_else(make: Any, read: Callable[..., Any]) -> None:
    made = make()
    made.block("ours", "next", "B3.next", [30.0] * 90)
    material = read(made)
    text = machine_strip("m", material.telemetry, material.shown, 2, 400)
    for words in (
        "turns",
        "clock of the fastest core",
        "with this run",
        "other programs, cores of 2",
        "hottest sensor",
        "draw, W",
    ):
        assert words in text
    assert "GPU" not in text
    looks = [
        Look(at=k * 10**9, gpu={"mhz": 1300 + k, "name": "a card", "watts": None, "joules": k})
        for k in range(5)
    ]
    text = machine_strip("m", looks, material.shown, 2, 400)
    assert "GPU: clock, GHz" in text
    assert "GPU: draw" not in text
    assert "clock of the fastest core" not in text


def test_a_machine_that_tells_nothing_has_no_plot() -> None:
    assert machine_strip("m", [], [], 2, 400) == ""
    assert machine_strip("m", [Look(at=k) for k in range(9)], [], 2, 400) == ""
    assert machine_strip("m", [Look(at=1, load=0.5)], [], 2, 400) == ""
