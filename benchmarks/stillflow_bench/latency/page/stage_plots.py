# SPDX-License-Identifier: Apache-2.0
"""One query by stage: the very query of the median, so that its parts add up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stillflow_bench.latency.page.drawing import plot
from stillflow_bench.latency.page.labels import lasting, short
from stillflow_bench.latency.page.material import Shown
from stillflow_bench.latency.page.palette import COLOURS
from stillflow_bench.latency.sample import Sample

STAGE = "stage "
"""How names of spans begin that follow one another inside a query."""

ORDER = ("read", "motion", "assess", "scene", "frame", "video", "sync")
"""Of the animator's stages."""

CALLED = {"flow": "motion", "generator": "scene"}
"""Network -> the stage that calls it."""

TINTS = ("#5f6b7a", "#74808f", "#4f5a68", "#7d7f96", "#5b7178", "#6d6a7c")
"""Of stages: no role's colour."""

LEAST_REST = 0.005
"""Part of a query below which what no stage accounts for is not drawn."""

LEAST_LABELLED = 0.08
"""Part of the width that a bar needs to have its name inside."""


def has_stages(one: Shown) -> bool:
    """Whether a block's queries tell of stages."""
    return any(name.startswith(STAGE) for name in one.spans)


def median_query(one: Shown) -> Sample:
    """The query that took as long as the median: at the nearest rank, so it is one that was measured."""
    ordered = sorted(one.good, key=lambda sample: sample.latency)
    return ordered[(len(ordered) - 1) // 2]


def timeline(name: str, members: Sequence[Shown]) -> str:
    """Draw the median query of blocks of one boundary: the whole, its stages, the networks' boundaries inside.

    Args:
        name: unique on the page.
        members: each with stages.
    """

    def draw(_: Any, axes: Any) -> None:
        for panel, one in zip(axes[:, 0], members, strict=True):
            _panel(panel, one)

    caption = (
        "This is one query, the one of the median, so its stages add up "
        "to it. They are drawn one after the other, as they ran; networks from where the stage that calls them begins."
    )
    label = "stages of " + ", ".join(one.block.title for one in members)
    return plot(name, 0.4 + 1.9 * len(members), label, caption, draw, rows=len(members))


def stages_of(sample: Sample) -> list[tuple[str, float]]:
    """Stages of a query in the order in which they ran, milliseconds; what lies between them is the "rest"."""
    told = {k[len(STAGE) :]: max(0, v) / 1e6 for k, v in sample.spans.items() if k.startswith(STAGE)}
    known = [(name, told.pop(name)) for name in ORDER if name in told]
    found = [*known, *told.items()]
    whole = sample.latency / 1e6
    rest = whole - sum(spent for _, spent in found)
    return [*found, ("rest", rest)] if rest > LEAST_REST * whole else found


def _panel(panel: Any, one: Shown) -> None:
    sample, colour = median_query(one), COLOURS[one.block.role]
    whole = sample.latency / 1e6
    rows = [one.block.target.boundary, "stages"]
    panel.barh(0, whole, color=colour, height=0.74)
    _inside(panel, 0, 0.0, whole, whole, lasting(whole))
    begins, left = {"": 0.0}, 0.0
    for k, (stage, spent) in enumerate(stages_of(sample)):
        panel.barh(1, spent, left=left, color=TINTS[k % len(TINTS)], height=0.74)
        _inside(panel, 1, left, spent, whole, f"{short(stage, 24)}\n{lasting(spent)}")
        begins[stage] = left
        left += spent
    for boundary in ("B2.call", "B1.transfer", "B0.device"):
        told = {
            graph: sample.spans[f"{boundary} {graph}"]
            for graph in CALLED
            if f"{boundary} {graph}" in sample.spans
        }
        if boundary == one.block.target.boundary or not told:
            continue
        for graph, nanoseconds in told.items():
            spent, at = nanoseconds / 1e6, begins.get(CALLED[graph], 0.0)
            panel.barh(len(rows), spent, left=at, color=colour, height=0.74)
            if not _inside(panel, len(rows), at, spent, whole, f"{graph}\n{lasting(spent)}"):
                panel.text(
                    at + spent + 0.006 * whole,
                    len(rows),
                    f"{graph}: {lasting(spent)}",
                    va="center",
                    fontsize=7.5,
                )
        rows.append(boundary)
    panel.set_yticks(range(len(rows)), rows)
    panel.set_ylim(len(rows) - 0.5, -0.5)
    panel.grid(axis="y", visible=False)
    panel.set_xlim(0, whole * 1.01)
    panel.set_xlabel("ms")
    panel.set_title(short(one.block.title, 100), color=colour)


def _inside(panel: Any, row: int, left: float, spent: float, whole: float, text: str) -> bool:
    """Write into a bar what it is; False where it has no room."""
    if spent < LEAST_LABELLED * whole:
        return False
    panel.text(left + spent / 2, row, text, ha="center", va="center", color="white", fontsize=7.5)
    return True
