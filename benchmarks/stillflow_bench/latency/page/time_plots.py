# SPDX-License-Identifier: Apache-2.0
"""Latency as the run went on: warm-up, drift and stalls; and a sustained load minute by minute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stillflow_bench.latency.page.derived import thinned, windows
from stillflow_bench.latency.page.drawing import EARLY, INK, marks, plain_log, plot
from stillflow_bench.latency.page.labels import boundary_name, decimated, short, told_apart
from stillflow_bench.latency.page.material import Shown, Values
from stillflow_bench.latency.page.palette import COLOURS, INVALID
from stillflow_bench.latency.record import Look
from stillflow_bench.latency.sample import Sample

SPREAD = 4.0
"""Slowest over median, above which latency is drawn on a logarithmic scale."""

WINDOWS = 20
"""Medians that are drawn of a block, shared out to its turns."""

MINUTE = 60e9


def over_time(name: str, members: Sequence[Shown], points: int) -> str:
    """Draw blocks that took turns, a panel each, over the seconds of the run.

    Args:
        name: unique on the page.
        members: at least one, each with samples.
        points: drawn of each at most.
    """
    titles = told_apart(one.block for one in members)

    def draw(_: Any, axes: Any) -> None:
        for panel, one in zip(axes[:, 0], members, strict=True):
            _panel(panel, one, titles[one.block.name], points)
        axes[-1, 0].set_xlabel("seconds since the run began")

    most = max(len(one.samples) for one in members)
    caption = (
        "Dots: queries; strokes: fastest to slowest of a few; bars: medians of windows; grey: warm-up, and the audit "
        f"with one input. Each panel has a scale of its own, which need not begin at 0.{decimated(most, points)}"
    )
    label = f"latency over time of {', '.join(titles.values())}"
    return plot(name, 0.5 + 1.15 * len(members), label, caption, draw, rows=len(members), sharex=True)


def _panel(panel: Any, one: Shown, title: str, points: int) -> None:
    colour = COLOURS[one.block.role]
    early = [sample for sample in one.samples if sample.phase != "measured" and not sample.error]
    for samples, ink in ((early, EARLY), (one.good, colour)):
        marks(panel, *thinned(*_times(samples), points), ink, 2.2)
    failed = [sample for sample in one.samples if sample.error]
    if failed:
        x, _ = _times(failed[:points])
        panel.plot(x, np.full(len(x), one.latencies.min()), "x", color=INVALID, markersize=5)
    for turn in one.turns.values():
        begins, ends, medians = windows(*_times(turn), max(1, WINDOWS // len(one.turns)))
        bars = np.column_stack((medians, medians, np.full(len(medians), np.nan))).ravel()
        x = np.column_stack((begins, ends, ends)).ravel()
        panel.plot(x, bars, color=INK, linewidth=1.6, solid_capstyle="butt")
    if one.latencies.max() > SPREAD * max(one.median, 1e-9):
        panel.set_yscale("log")
        plain_log(panel.yaxis)
        panel.set_ylabel("ms, log")
    else:
        panel.set_ylabel("ms")
    panel.set_title(short(title, 100) + (f", {len(failed)} failed (x)" if failed else ""), color=colour)


def _times(samples: Sequence[Sample]) -> tuple[Values, Values]:
    """Seconds at which queries were done, and their milliseconds, in the order of time."""
    x = np.asarray([sample.done for sample in samples], float) / 1e9
    y = np.asarray([sample.latency for sample in samples], float) / 1e6
    order = np.argsort(x, kind="stable")
    return x[order], y[order]


def sustained(name: str, one: Shown, telemetry: Sequence[Look]) -> str:
    """Draw a sustained block minute by minute, with the clock and the temperature meanwhile."""
    begun = one.good[0].issued
    minutes = np.asarray([(sample.issued - begun) // MINUTE for sample in one.good])
    numbers = np.unique(minutes)
    parts = [one.latencies[minutes == k] for k in numbers]
    looks = [look for look in telemetry if begun <= look.at <= one.good[-1].done]
    seen = np.asarray([(look.at - begun) / MINUTE for look in looks])
    clocks = [("clock, GHz", [None if look.mhz is None else look.mhz / 1000 for look in looks])]
    clocks += [("hottest sensor, °C", [look.celsius for look in looks])]
    clocks = [(title, values) for title, values in clocks if any(value is not None for value in values)]
    colour = COLOURS[one.block.role]

    def draw(_: Any, axes: Any) -> None:
        panel = axes[0, 0]
        middle = numbers + 0.5
        for rank, style in ((50, "o-"), (90, "s--"), (100, "^:")):
            line = [np.sort(part)[max(0, int(np.ceil(rank / 100 * len(part))) - 1)] for part in parts]
            panel.plot(middle, line, style, color=colour, markersize=4, label=_called(rank))
        panel.set_ylabel("ms")
        panel.set_title(short(one.block.title, 100), color=colour)
        panel.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        for other, (title, values) in zip(axes[1:, 0], clocks, strict=True):
            told = np.asarray([np.nan if value is None else value for value in values])
            other.plot(seen, told, color=INK, linewidth=1.2)
            other.set_ylabel(title)
        axes[-1, 0].set_xlabel("minutes since its first query")

    caption = (
        f"{boundary_name(one.block.target.boundary)}, for {len(numbers)} minutes. Each point is one minute's samples: "
        "a rising line with a falling clock is heat."
    )
    height = 2.3 + 1.2 * len(clocks)
    return plot(
        name, height, f"{one.block.title}, minute by minute", caption, draw, rows=1 + len(clocks), sharex=True
    )


def _called(rank: int) -> str:
    return {50: "median", 90: "p90", 100: "slowest"}[rank]
