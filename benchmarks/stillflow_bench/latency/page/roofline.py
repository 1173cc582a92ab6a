# SPDX-License-Identifier: Apache-2.0
"""Where blocks sit under the machine's roof: operations a second against operations a byte, and bytes a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stillflow_bench.latency.page.derived import on_gpu
from stillflow_bench.latency.page.drawing import INK, legend_below, plain_log, plot
from stillflow_bench.latency.page.labels import figure, short, told_apart
from stillflow_bench.latency.page.material import Shown
from stillflow_bench.latency.page.palette import COLOURS, pens
from stillflow_bench.latency.page.work import Work, frame_work, network_work


def bandwidth(shown: Sequence[Shown]) -> float | None:
    """Bytes a second that a plain copy of a picture moves, read and written: the fastest median of all copies."""
    rates = [
        work.bytes / one.median * 1e3
        for one in shown
        if one.block.target.kind == "copy" and one.median > 0 and (work := frame_work(one.block)) is not None
    ]
    return max(rates, default=None)


def roofline(name: str, shown: Sequence[Shown]) -> str:
    """Draw networks under the roof, and frames against the copy; nothing where there is no work that is counted.

    Args:
        name: unique on the page.
        shown: blocks with samples. Those of a single stream on the CPU are drawn: the roof is the processor's.
    """
    single = [one for one in shown if one.block.load.scenario == "single_stream" and not on_gpu(one)]
    works = network_work(single)
    networks = [one for one in single if one.block.name in works]
    frames = [one for one in single if frame_work(one.block) is not None]
    roof = bandwidth(single)
    if roof is None or not (networks or frames):
        return ""
    titles = told_apart(one.block for one in (*networks, *frames))
    panels = [part for part, members in (("networks", networks), ("frames", frames)) if members]

    def draw(made: Any, axes: Any) -> None:
        for panel, part in zip(axes[0], panels, strict=True):
            if part == "networks":
                _roof(panel, networks, titles, works, roof)
                legend_below(made, panel)
            else:
                _bars(panel, frames, titles, roof)

    caption = (
        f"Dashed: the copy of a picture, measured in this run: {figure(roof / 1e9)} GB/s read and written. "
        + (
            "The flat part is the best that any block here achieved, for no block measures the processor's peak. "
            "Operations: two a multiply-accumulate of the graphs, counted. Bytes: every layer's values written "
            "once and read once, and the weights; what an engine fuses or keeps in its caches moves fewer, so that the "
            "true point lies further right. "
            if networks
            else ""
        )
        + ("A frame's bytes: a picture read and one written, the least that a frame moves." if frames else "")
    )
    height = 3.0 + 0.2 * ((len(networks) + 1) // 2)
    return plot(name, max(height, 0.9 + 0.32 * len(frames)), "roofline", caption, draw, columns=len(panels))


def _roof(
    panel: Any, networks: Sequence[Shown], titles: Mapping[str, str], works: Mapping[str, Work], roof: float
) -> None:
    styles = pens(one.block for one in networks)
    points = []
    for one in networks:
        work = works[one.block.name]
        points.append((work.operations / work.bytes, work.operations / one.median * 1e3))
    best = max(rate for _, rate in points)
    ridge = best / roof
    low = min(ridge, *(x for x, _ in points)) / 4
    high = max(ridge, *(x for x, _ in points)) * 4
    x = np.asarray([low, ridge, high])
    panel.plot(x, np.minimum(x * roof, best) / 1e9, color=COLOURS["limit"], linewidth=1.6, linestyle="--")
    for one, (intensity, rate) in zip(networks, points, strict=True):
        style = styles[one.block.name]
        label = short(titles[one.block.name], 50)
        panel.plot(
            intensity, rate / 1e9, style.marker, color=style.colour, markersize=6, label=label, alpha=0.85
        )
    panel.set_xscale("log")
    panel.set_yscale("log")
    plain_log(panel.xaxis)
    plain_log(panel.yaxis)
    panel.set_xlabel("operations a byte, logarithmic")
    panel.set_ylabel("GFLOP/s, logarithmic")
    panel.set_title("networks")


def _bars(panel: Any, frames: Sequence[Shown], titles: Mapping[str, str], roof: float) -> None:
    for k, one in enumerate(frames):
        work = frame_work(one.block)
        assert work is not None  # that is how they were chosen
        rate = work.bytes / one.median * 1e3 / 1e9
        panel.barh(k, rate, color=COLOURS[one.block.role], height=0.7)
        panel.annotate(
            figure(rate), (rate, k), (3, 0), textcoords="offset points", va="center", fontsize=7.5, color=INK
        )
    panel.axvline(roof / 1e9, color=COLOURS["limit"], linestyle="--", linewidth=1.6)
    panel.set_yticks(range(len(frames)), [short(titles[one.block.name], 34) for one in frames])
    panel.set_ylim(len(frames) - 0.5, -0.5)
    panel.grid(axis="y", visible=False)
    panel.set_xlim(0, 1.12 * max(roof / 1e9, panel.get_xlim()[1] / 1.05))
    panel.set_xlabel("GB/s, at least")
    panel.set_title("frames")
