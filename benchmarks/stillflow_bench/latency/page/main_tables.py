# SPDX-License-Identifier: Apache-2.0
"""The main tables: limit, ours and peers side by side at each boundary; what they take, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stillflow_bench.latency.boundary import BOUNDARIES, Boundary
from stillflow_bench.latency.page.derived import Ratio, joules, ratio, throughput
from stillflow_bench.latency.page.labels import RANKS, boundary_name, figure, lacking, meaning
from stillflow_bench.latency.page.material import Material, Shown
from stillflow_bench.latency.page.palette import COLOURS
from stillflow_bench.latency.percentile import Summary
from stillflow_bench.latency.target import ROLES, Role
from stillflow_export.markup import safe
from stillflow_export.page_parts import size_words

TIMES = ("", "n", *RANKS, "slowest", "to ours", "to the limit", "answers/s")
COSTS = ("", "memory peak", "GPU memory peak", "CPU s/query", "J/query", "really ran on")

COMPARED: tuple[Role, ...] = ("ours", "limit")

NONE = "\u2013"


def main_tables(material: Material) -> str:
    """Both tables of every boundary that was measured, every block in them: also the invalid and the missing."""
    parts = []
    for boundary in BOUNDARIES:
        groups = _groups(material, boundary)
        inside = [one for one in material.answered if boundary in one.inner]
        if not groups and not inside:
            continue
        parts.append(f"<h3>{boundary_name(boundary)}</h3><p class=mute>{safe(meaning(boundary))}</p>")
        bodies = ["".join(_times(material, one) for one in members) for members in groups.values()]
        bodies.append("".join(_inner(material, one, boundary) for one in inside))
        parts.append(_table(TIMES, bodies))
        costs = ["".join(_costs(material, one) for one in members) for members in groups.values()]
        if groups:
            summary = "<summary>What that costs, and what it really ran on</summary>"
            parts.append(f"<details open>{summary}{_table(COSTS, costs)}</details>")
    return "".join(parts)


def _groups(material: Material, boundary: Boundary) -> Mapping[str, list[Shown]]:
    """Blocks of a boundary by group, in the plan's order, and by role within."""
    found: dict[str, list[Shown]] = {}
    for one in material.shown:
        if one.block.target.boundary == boundary:
            found.setdefault(one.block.group or one.block.name, []).append(one)
    for members in found.values():
        members.sort(key=lambda one: ROLES.index(one.block.role))
    return found


def _times(material: Material, one: Shown) -> str:
    summary = one.summary
    if summary is None:
        why = one.measured.missing or one.damage or "no query was answered"
        return f"<tr>{_head(material, one)}<td class=w colspan={len(TIMES) - 1}>not measured: {safe(why)}</td></tr>"
    count = f"{summary.n:,}" + (f"<br><small class=fail>{one.failed:,} failed</small>" if one.failed else "")
    rate = throughput(one)
    cells = [
        count,
        *_percentiles(summary),
        *(_ratio(one, material.reference(one, role)) for role in COMPARED),
        NONE if rate is None else figure(rate),
    ]
    return f"<tr>{_head(material, one)}{_cells(cells)}</tr>"


def _inner(material: Material, one: Shown, boundary: Boundary) -> str:
    """A boundary inside another one's queries."""
    summary = one.inner[boundary]
    cells = [f"{summary.n:,}", *_percentiles(summary), NONE, NONE, NONE]
    more = f"<br><small>inside its {safe(one.block.target.boundary)}</small>"
    return f"<tr>{_head(material, one, more)}{_cells(cells)}</tr>"


def _percentiles(summary: Summary) -> list[str]:
    """A cell a percentile, and the slowest, milliseconds."""
    cells = []
    for name in RANKS:
        value, bound = summary.percentiles[name], summary.bounds[name]
        if value is None:
            cells.append(f"{NONE}<br><small>{safe(lacking(summary, name).partition(',')[0])}</small>")
            continue
        extra = f"≤ {figure(bound)}" if bound is not None else ""
        if name == "p50" and summary.median_interval is not None:
            low, high = summary.median_interval
            extra = f"{figure(low)} … {figure(high)}"
        strong = f"<b>{figure(value)}</b>" if name == "p50" else figure(value)
        cells.append(f"{strong}<br><small>{extra}</small>")
    return [*cells, figure(summary.most)]


def _ratio(one: Shown, other: Shown | None) -> str:
    if other is None:
        return NONE
    if other is one:
        return "1"
    found = ratio(one, other)
    if found is None:
        return NONE
    value, sign, interval = in_words(found).partition(" (")
    return value + (f"<br><small>({interval}</small>" if sign else "")


def in_words(found: Ratio) -> str:
    """A ratio with its interval: "1.03 x (1.01 … 1.05)"."""
    value = f"{figure(found.value)} ×"
    if found.fastest:
        return f"{value} (its fastest)"
    if found.low is None or found.high is None:
        return value
    return f"{value} ({figure(found.low)} … {figure(found.high)})"


def _costs(material: Material, one: Shown) -> str:
    measured = one.measured
    if not one.good:
        return ""
    energy = joules(one, material.telemetry)
    cells = [
        size_words(measured.rss_peak) if measured.rss_peak else NONE,
        size_words(measured.gpu_peak) if measured.gpu_peak else NONE,
        figure(measured.cpu_seconds / len(one.good)) if measured.cpu_seconds else NONE,
        NONE if energy is None else figure(energy),
    ]
    return f"<tr>{_head(material, one)}{_cells(cells)}<td class=w>{ran_on(one)}</td></tr>"


def ran_on(one: Shown) -> str:
    """What a target says that really computed, HTML."""
    facts = one.measured.facts
    engine = " ".join(filter(None, (facts.engine, facts.version)))
    precision = ", ".join(f"{graph} {kind}" for graph, kind in facts.precision.items())
    told = [
        engine,
        facts.provider,
        precision,
        facts.device,
        f"frames: {facts.frames}" if facts.frames else "",
    ]
    text = safe("; ".join(part for part in told if part)) or NONE
    return text + (f"<br><span class=fail>fell back: {safe(facts.fallback)}</span>" if facts.fallback else "")


def _head(material: Material, one: Shown, more: str = "") -> str:
    """The first cell: role, title, and whether the judge refuses it."""
    block = one.block
    tag = f'<span class=tag style="background:{COLOURS[block.role]}">{safe(block.role)}</span>'
    against = material.against.get(block.name, ())
    refused = ""
    if against:
        refused = f'<br><span class="tag bad" title="{safe("; ".join(against))}">INVALID</span>'
    name = f"<br><small><code>{safe(block.name)}</code></small>"
    return f"<th scope=row>{tag} {safe(block.title)}{name}{refused}{more}</th>"


def _cells(cells: Sequence[str]) -> str:
    return "".join(f"<td class=n>{cell}</td>" for cell in cells)


def _table(head: Sequence[str], bodies: Sequence[str]) -> str:
    """A table whose groups are apart from each other."""
    cells = "".join(f"<th{'' if i == 0 else ' class=n'}>{safe(text)}</th>" for i, text in enumerate(head))
    groups = "".join(f"<tbody>{body}</tbody>" for body in bodies if body)
    return f'<div class="wide"><table class=main><thead><tr>{cells}</tr></thead>{groups}</table></div>'
