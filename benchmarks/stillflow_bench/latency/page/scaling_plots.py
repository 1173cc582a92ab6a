# SPDX-License-Identifier: Apache-2.0
"""What latency depends on: blocks that differ in one thing only, along that thing."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from stillflow_bench.latency.page.derived import throughput
from stillflow_bench.latency.page.drawing import INK, legend_below, plain_log, plot
from stillflow_bench.latency.page.labels import short
from stillflow_bench.latency.page.material import Shown
from stillflow_bench.latency.page.palette import pens
from stillflow_bench.latency.percentile import percentile
from stillflow_bench.latency.plan import Block


@dataclass(frozen=True)
class Along:
    """A thing to differ in.

    Attributes:
        title: of the plot.
        axis: its label, with the unit.
        value: of a block; None: it has none.
        free: names of subject and load that follow from it, and so may differ.
        log: whether the axis is logarithmic.
    """

    title: str
    axis: str
    value: Callable[[Block], float | None]
    free: frozenset[str]
    log: bool


SIZE = Along(
    "with resolution",
    "megapixels, logarithmic",
    lambda block: block.target.subject.width * block.target.subject.height / 1e6,
    frozenset({"width", "height"}),
    True,
)
SHARE = Along(
    "with the moving share",
    "% of the picture that moves",
    lambda block: None if block.target.subject.moving is None else 100 * block.target.subject.moving,
    frozenset({"moving"}),
    False,
)
LANES = Along(
    "with lanes", "lanes at work", lambda block: float(block.load.lanes), frozenset({"lanes"}), True
)
RATE = Along(
    "with the offered rate",
    "queries offered a second",
    lambda block: block.load.rate if block.load.scenario == "server" else None,
    frozenset({"rate", "share", "of"}),
    False,
)

LENGTH = ("queries", "seconds", "warm_up", "audit", "rounds", "seed")
"""Of a load: how long is measured, not what."""


def families(shown: Sequence[Shown], along: Along) -> list[list[Shown]]:
    """Blocks that are the same but for one thing, at two or more values of it, in its order."""
    found: dict[Hashable, list[Shown]] = {}
    for one in shown:
        if along.value(one.block) is not None:
            found.setdefault(_the_rest(one.block, along.free), []).append(one)
    kept = []
    for members in found.values():
        members.sort(key=lambda one: along.value(one.block) or 0.0)
        if len({along.value(one.block) for one in members}) > 1:
            kept.append(members)
    return kept


def _the_rest(block: Block, free: frozenset[str]) -> Hashable:
    """All that decides what a block measures, but for what may differ."""
    target: Mapping[str, Any] = msgspec.to_builtins(block.target)
    load: Mapping[str, Any] = msgspec.to_builtins(block.load)
    same = {
        "role": block.role,
        "group": block.group,
        "target": {**target, "subject": {k: v for k, v in target["subject"].items() if k not in free}},
        "load": {k: v for k, v in load.items() if k not in free and k not in LENGTH},
    }
    return msgspec.json.encode(same, order="sorted")


def scaling(name: str, along: Along, shown: Sequence[Shown]) -> str:
    """Draw medians along one thing; with lanes, answers a second too. Nothing where no blocks differ in it only."""
    lines = families(shown, along)
    if not lines:
        return ""
    styles = pens(members[0].block for members in lines)
    both = along is LANES

    def draw(made: Any, axes: Any) -> None:
        panel = axes[0, 0]
        for members in lines:
            style = styles[members[0].block.name]
            x = [along.value(one.block) for one in members]
            drawn = {
                "color": style.colour,
                "linestyle": style.dash,
                "marker": style.marker,
                "markersize": 4.5,
            }
            panel.plot(x, [one.median for one in members], label=_family(members), **drawn)
            low = [one.median - _interval(one)[0] for one in members]
            high = [_interval(one)[1] - one.median for one in members]
            panel.errorbar(
                x, [one.median for one in members], (low, high), fmt="none", ecolor=style.colour, capsize=2
            )
            if both:
                axes[0, 1].plot(x, [throughput(one) or 0.0 for one in members], **drawn)
        panel.set_yscale("log")
        plain_log(panel.yaxis)
        panel.set_ylabel("ms, median, logarithmic")
        for one in axes[0]:
            _axis(one, along, lines)
        if both:
            axes[0, 1].set_ylabel("answers a second")
            axes[0, 1].set_ylim(0, 1.1 * axes[0, 1].get_ylim()[1])
        legend_below(made, panel, columns=1)

    caption = f"Medians {along.title}, with their 95 % intervals. Blocks on one line differ in nothing else."
    height = 3.1 + 0.2 * len(lines)
    return plot(name, height, f"latency {along.title}", caption, draw, columns=2 if both else 1)


def _axis(panel: Any, along: Along, lines: Sequence[Sequence[Shown]]) -> None:
    panel.set_xlabel(along.axis)
    if along.log:
        panel.set_xscale("log", base=2)
    ticks: dict[float, str] = {}
    for one in (one for members in lines for one in members):
        value = along.value(one.block) or 0.0
        ticks[value] = f"{value:.3g}" + (f"\n{one.block.target.subject.size}" if along is SIZE else "")
    panel.set_xticks(list(ticks), list(ticks.values()))
    panel.minorticks_off()


def _family(members: Sequence[Shown]) -> str:
    """A line's name: the title of its first block, with those of its last."""
    return f"{short(members[0].block.title, 60)} … {short(members[-1].block.title, 60)}"


def _shared_title(members: Sequence[Shown]) -> str:
    """A family's title: that of its first block, as far as the last one's begins alike."""
    first, last = (one.block.title for one in (members[0], members[-1]))
    same = next((k for k, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return short(first[:same].strip(" ,:("), 50) or members[0].block.name


def _interval(one: Shown) -> tuple[float, float]:
    told = one.summary.median_interval if one.summary else None
    return told or (one.median, one.median)


def server(name: str, shown: Sequence[Shown]) -> str:
    """Draw latency against the offered rate: where it bends up, queries begin to wait. Nothing without two rates."""
    lines = families(shown, RATE)
    if not lines:
        return ""
    styles = pens(members[0].block for members in lines)

    def draw(made: Any, axes: Any) -> None:
        panel, answered = axes[0]
        for members in lines:
            style = styles[members[0].block.name]
            x = [one.block.load.rate for one in members]
            for rank, dash, word in ((50.0, "-", "median"), (90.0, "--", "p90"), (99.0, ":", "p99")):
                y = [
                    percentile(one.latencies.tolist(), rank) if _has(one, rank) else float("nan")
                    for one in members
                ]
                label = f"{_shared_title(members)}: {word}"
                panel.plot(x, y, dash, color=style.colour, marker=style.marker, markersize=4, label=label)
            answered.plot(
                x, [throughput(one) or 0.0 for one in members], "-", color=style.colour, marker=style.marker
            )
        most = max(one.block.load.rate for members in lines for one in members)
        answered.plot([0, most], [0, most], color=INK, linewidth=0.8, linestyle=":")
        answered.set_ylabel("queries answered a second")
        answered.set_ylim(bottom=0)
        panel.set_yscale("log")
        plain_log(panel.yaxis)
        panel.set_ylabel("ms from arrival, logarithmic")
        for one in axes[0]:
            one.set_xlabel(RATE.axis)
            one.set_xlim(left=0)
        legend_below(made, panel)

    caption = (
        "Queries arrive by chance; latency counts from the arrival, so waiting is in it. Where the line bends up, and "
        "where answers fall behind the dotted diagonal, the engine is full. A percentile that too few samples give is "
        "not drawn."
    )
    return plot(name, 3.3 + 0.2 * len(lines), "latency against the offered rate", caption, draw, columns=2)


def _has(one: Shown, rank: float) -> bool:
    return one.summary is not None and one.summary.percentiles.get(f"p{rank:g}") is not None
