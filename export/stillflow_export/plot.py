# SPDX-License-Identifier: Apache-2.0
"""Small plots as SVG text: no script, no font, no colour of their own beyond the page's; every text is escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from stillflow_export.markup import safe

COLOURS = {"fp32": "#3b7dd8", "fp16": "#e08a1e", "int8": "#2f9e62", "bf16": "#8a63d2"}
"""A colour for each precision, readable on white and on near-black."""

OTHER = "#8b8f98"

STYLE = (
    "text{font:11px system-ui,sans-serif;fill:currentColor}.axis{stroke:currentColor;stroke-opacity:.25}"
    ".grid{stroke:currentColor;stroke-opacity:.1}"
)


@dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes:
        value: its length; not negative.
        kind: decides the colour: a precision.
        title: what a pointer that rests on it shows.
        label: written beside it, where the plot has room.
    """

    value: float
    kind: str
    title: str
    label: str = ""


@dataclass(frozen=True)
class Curve:
    """One line of a plot over depth.

    Attributes:
        values: one for each place; None: nothing there; zero is drawn at the plot's foot.
        name: for the legend.
        colour: of the line.
    """

    values: Sequence[float | None]
    name: str
    colour: str


def columns(bars: Sequence[Bar], unit: str, width: int = 880, height: int = 170) -> str:
    """Draw bars side by side, as a profile over depth."""
    left, top, bottom = 52, 10, 18
    room, tall = width - left - 8, height - top - bottom
    largest = max((bar.value for bar in bars), default=0.0) or 1.0
    step = room / max(len(bars), 1)
    parts = [_open(width, height, f"{len(bars)} layers, {unit}")]
    for share in (0.0, 0.5, 1.0):
        y = top + tall * (1 - share)
        parts.append(f'<line class="grid" x1="{left}" x2="{width - 8}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(left - 6, y + 4, f"{largest * share:.3g}", "end"))
    for i, bar in enumerate(bars):
        high = tall * bar.value / largest
        parts.append(
            f'<rect x="{left + i * step:.2f}" y="{top + tall - high:.2f}" width="{max(step * 0.82, 0.6):.2f}" '
            f'height="{high:.2f}" fill="{COLOURS.get(bar.kind, OTHER)}"><title>{safe(bar.title)}</title></rect>'
        )
    parts.append(_text(left, height - 4, f"first layer, {unit}", "start"))
    parts.append(_text(width - 8, height - 4, "last layer", "end"))
    return "".join(parts) + "</svg>"


def rows(bars: Sequence[Bar], width: int = 880) -> str:
    """Draw labelled bars, one below the other."""
    left, right, pitch = 190, 120, 22
    height = pitch * max(len(bars), 1) + 6
    largest = max((bar.value for bar in bars), default=0.0) or 1.0
    parts = [_open(width, height, "sizes")]
    for i, bar in enumerate(bars):
        y, long = 4 + i * pitch, (width - left - right) * bar.value / largest
        parts.append(_text(left - 8, y + 13, bar.label, "end"))
        parts.append(
            f'<rect x="{left}" y="{y}" width="{max(long, 1):.1f}" height="16" rx="2" '
            f'fill="{COLOURS.get(bar.kind, OTHER)}"><title>{safe(bar.title)}</title></rect>'
        )
        parts.append(_text(left + max(long, 1) + 6, y + 13, bar.title, "start"))
    return "".join(parts) + "</svg>"


def depth_plot(
    curves: Sequence[Curve],
    names: Sequence[str],
    marked: int | None = None,
    width: int = 960,
    height: int = 320,
) -> str:
    """Draw curves over depth on a logarithmic scale.

    Args:
        curves: each with one value for each name.
        names: of the places, in order of depth.
        marked: a place to point at.
        width: in pixels.
        height: likewise.
    """
    left, top, bottom = 60, 30, 26
    room, tall = width - left - 16, height - top - bottom
    positive = [v for c in curves for v in c.values if v is not None and v > 0 and math.isfinite(v)]
    low = math.floor(math.log10(min(positive))) if positive else -8
    high = max(math.ceil(math.log10(max(positive))) if positive else 0, low + 1)
    low = max(low, high - 12)

    def at(i: int) -> float:
        return left + room * (i / max(len(names) - 1, 1))

    def y(value: float) -> float:
        share = (math.log10(value) - low) / (high - low) if value > 0 else 0.0
        return top + tall * (1 - min(max(share, 0.0), 1.0))

    parts = [_open(width, height, "error over depth")]
    for power in range(low, high + 1):
        line = y(10.0**power)
        parts.append(f'<line class="grid" x1="{left}" x2="{width - 16}" y1="{line:.1f}" y2="{line:.1f}"/>')
        parts.append(_text(left - 6, line + 4, f"1e{power}", "end"))
    if marked is not None:
        x = at(marked)
        side = "end" if marked > len(names) / 2 else "start"
        shift = -5 if side == "end" else 5
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{top + tall}" stroke="#d33" stroke-dasharray="4 3"/>'
        )
        parts.append(_text(x + shift, top + 12, names[marked], side))
    for k, curve in enumerate(curves):
        points = [
            f"{at(i):.1f},{y(v if math.isfinite(v) else 10.0**high):.1f}"
            for i, v in enumerate(curve.values)
            if v is not None
        ]
        parts.append(
            f'<polyline fill="none" stroke="{curve.colour}" stroke-width="1.6" points="{" ".join(points)}"/>'
        )
        x = left + 180 * k
        parts.append(f'<rect x="{x}" y="8" width="12" height="4" fill="{curve.colour}"/>')
        parts.append(_text(x + 18, 14, curve.name, "start"))
    parts.append(_text(left, height - 6, "first tensor", "start"))
    parts.append(_text(width - 16, height - 6, "last tensor", "end"))
    return "".join(parts) + "</svg>"


def _open(width: int, height: int, label: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{safe(label)}"><style>{STYLE}</style>'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{safe(text)}</text>'
