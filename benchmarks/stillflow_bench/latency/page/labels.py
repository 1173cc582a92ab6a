# SPDX-License-Identifier: Apache-2.0
"""Words of the page: figures with their units, titles that fit, boundaries and scenarios explained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from stillflow_bench.latency.boundary import BOUNDARIES, Boundary
from stillflow_bench.latency.percentile import CLAIMS, Summary, needed, percentile_name
from stillflow_bench.latency.plan import Block, Scenario
from stillflow_bench.tables import number
from stillflow_export.markup import safe
from stillflow_export.page_parts import cut

FEW_WORDS: Mapping[str, str] = {
    "B0.device": "networks, computing alone",
    "B1.transfer": "networks with transfers",
    "B2.call": "networks, one call",
    "B3.frame": "photo to first frame",
    "B3.next": "next frame",
    "B4.job": "photo file to finished file",
    "B5.cold": "process start to first frame",
}
"""Boundary -> what it is, in a few words."""

SCENARIOS: Mapping[Scenario, str] = {
    "single_stream": "one query after the other",
    "multi_stream": "one query on each lane at once; the next when all are done",
    "offline": "as many as possible in all lanes",
    "server": "queries arrive by chance (Poisson); latency counts from when each arrived, waiting included",
    "sustained": "one query after the other for minutes, told minute by minute",
    "cold": "every query in a new process",
}

RANKS: Mapping[str, float] = {percentile_name(rank): rank for rank in CLAIMS}
"""How a percentile is called -> its rank."""


def boundary_name(boundary: str) -> str:
    """A boundary with what it is."""
    return f"{safe(boundary)}: {FEW_WORDS[boundary]}" if boundary in FEW_WORDS else safe(boundary)


def meaning(boundary: Boundary) -> str:
    """From where to where it runs, as a sentence."""
    span = BOUNDARIES[boundary]
    return f"From when {span.begins} until {span.ends}. Clock: {span.clock}. One query: {span.unit_of_work}."


def clean(text: str) -> str:
    """A text that may stand in an SVG: matplotlib escapes marks, but writes control characters as they are."""
    return "".join(c if c.isprintable() else "\ufffd" for c in str(text))


def short(text: str, length: int = 58) -> str:
    """A text for a legend or an axis."""
    return cut(clean(text), length)


def told_apart(blocks: Iterable[Block]) -> dict[str, str]:
    """Block's name -> its title, with its name where others of them have the same."""
    every = list(blocks)
    count = Counter(block.title for block in every)
    return {b.name: b.title if count[b.title] == 1 else f"{b.title} ({b.name})" for b in every}


def decimated(count: int, points: int) -> str:
    """What a caption says where fewer points are drawn than there are samples."""
    if count <= points:
        return ""
    return f" Drawn with at most {points:,} points a block, the extremes among them; all figures are of all samples."


def milliseconds(value: float | None) -> str:
    """Milliseconds with three significant digits, without the unit; a dash for what is not known."""
    return "\u2013" if value is None else figure(value)


def figure(value: float) -> str:
    """A figure with three significant digits, never with an exponent; whole above 1000."""
    return f"{value:,.0f}" if abs(value) >= 1000 else number(float(f"{value:.3g}"))


def lasting(value: float) -> str:
    """A duration in the unit that suits it.

    Args:
        value: milliseconds.
    """
    if value >= 1000:
        return f"{figure(value / 1000)} s"
    return f"{figure(value)} ms" if value >= 1 else f"{figure(value * 1000)} µs"


def lacking(summary: Summary, name: str) -> str:
    """Why a percentile is not there.

    Args:
        summary: that lacks it.
        name: such as "p99".
    """
    return f"needs {needed(RANKS[name])}, has {summary.n}"
