# SPDX-License-Identifier: Apache-2.0
"""The top of the page: the verdict in big letters, the few figures that matter, and what was measured on what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from stillflow_bench.latency.page.derived import ratio
from stillflow_bench.latency.page.labels import figure, lacking, lasting
from stillflow_bench.latency.page.main_tables import in_words, ran_on
from stillflow_bench.latency.page.material import Material, Shown
from stillflow_bench.latency.record import Look
from stillflow_export.markup import safe
from stillflow_export.page_parts import table

MOST_REASONS = 8
"""Of an INVALID verdict on top; all stand in the table of checks."""


class Card(NamedTuple):
    """One figure that matters.

    Attributes:
        title: what it is.
        value: with its unit.
        note: how sure it is.
        blocks: names of those that it comes from.
    """

    title: str
    value: str
    note: str
    blocks: tuple[str, ...]


def verdict_words(material: Material) -> str:
    """VALID or INVALID, and why."""
    verdict, reasons = material.verdict, material.reasons
    warnings = sum(check.warns for check in verdict.checks)
    refused = sum(word == "INVALID" for word in verdict.blocks.values())
    heeded = f" {_count(refused, 'block')} INVALID, {_count(warnings, 'warning')}: see the table of checks."
    if verdict.valid:
        return (
            '<section class="verdict good"><b>VALID</b>'
            f"<p>None of {len(verdict.checks)} checks speaks against our figures.{heeded}</p></section>"
        )
    lines = "".join(f"<li>{safe(line)}</li>" for line in reasons[:MOST_REASONS])
    more = len(reasons) - MOST_REASONS
    also = f"<p>And {_count(more, 'more reason')} in the table of checks.</p>" if more > 0 else ""
    return (
        f'<section class="verdict bad"><b>INVALID</b><p>Do not quote these figures: {_count(len(reasons), "reason")} '
        f"against them.{heeded}</p><ul>{lines}</ul>{also}</section>"
    )


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")


def cards(material: Material) -> list[Card]:
    """The figures that matter, of those that were measured."""
    found = []
    for boundary, title, note in (
        ("B3.frame", "photo to first frame", _spread),
        ("B3.next", "next frame", _frames),
        ("B4.job", "photo file to finished file", _spread),
        ("B5.cold", "process start to first frame", _spread),
    ):
        one = _ours(material, boundary)
        if one is not None:
            found.append(Card(title, _middle(one), note(one), (one.block.name,)))
    return [*found, *_overhead(material), *_published(material)]


def _ours(material: Material, boundary: str) -> Shown | None:
    """Our first block of a boundary, those of a single stream before others."""
    ours = [o for o in material.answered if o.block.role == "ours" and o.block.target.boundary == boundary]
    single = [one for one in ours if one.block.load.scenario in ("single_stream", "cold")]
    return next(iter(single or ours), None)


def _middle(one: Shown) -> str:
    """The median, or from the fastest to the slowest where there are too few queries for one."""
    summary = one.summary
    assert summary is not None  # answered
    median = summary.percentiles["p50"]
    return lasting(median) if median is not None else f"{lasting(summary.least)} … {lasting(summary.most)}"


def _spread(one: Shown) -> str:
    summary = one.summary
    assert summary is not None  # answered
    if summary.percentiles["p50"] is None:
        return f"fastest and slowest of {summary.n}: a median {lacking(summary, 'p50').partition(',')[0]}"
    p90 = summary.percentiles["p90"]
    high = f"p90 {lasting(p90)}" if p90 is not None else f"slowest {lasting(summary.most)}"
    return f"median of {summary.n:,}; {high}"


def _frames(one: Shown) -> str:
    return (f"{figure(1000 / one.median)} frames a second; " if one.median > 0 else "") + _spread(one)


def _overhead(material: Material) -> list[Card]:
    """What our session adds to the library's own call inside it: both times come from the same queries."""
    one = _ours(material, "B2.call")
    if one is None or not ("B0.device" in one.spans and "B2.call" in one.spans):
        return []
    inner, outer = one.spans["B0.device"], one.spans["B2.call"]
    if len(inner) != len(outer) or not inner.all():
        return []
    added = 100 * (outer / inner - 1)
    note = f"median of {len(added):,} queries, of each its own; most {added.max():.2f} %"
    return [
        Card("our session over the library's own call", f"{np.median(added):+.2f} %", note, (one.block.name,))
    ]


def _published(material: Material) -> list[Card]:
    """The published family's pipeline beside ours that does the same work, on the same engine if it can be."""
    pairs = [
        (ours, other)
        for other in material.answered
        if other.block.target.kind.startswith("published-")
        and (ours := material.reference(other, "ours")) is not None
    ]
    pairs.sort(key=lambda pair: pair[0].measured.facts.engine != pair[1].measured.facts.engine)
    if not pairs:
        return []
    ours, other = pairs[0]
    found = ratio(other, ours)
    times = "\u2013" if found is None else in_words(found).partition(" (")[0]
    theirs = _middle(other) if found is None or not found.fastest else f"{_middle(other)}, its fastest first,"
    note = f"{theirs} against {_middle(ours)}"
    return [Card("published pipeline, of ours", times, note, (ours.block.name, other.block.name))]


def card_words(material: Material) -> str:
    """Cards as HTML; those of refused blocks say so."""
    parts = []
    for card in cards(material):
        refused = any(name in material.against for name in card.blocks)
        mark = ' <span class="tag bad">INVALID</span>' if refused else ""
        parts.append(
            f"<div class=card>{safe(card.title)}{mark}<b>{safe(card.value)}</b><small>{safe(card.note)}</small></div>"
        )
    return f"<div class=cards>{''.join(parts)}</div>" if parts else ""


def subject_words(material: Material) -> str:
    """What was measured, on what, when, by which command."""
    record = material.record
    host, tool = record.host, record.tool
    ours = [one for one in material.shown if one.block.role == "ours"] or list(material.shown)
    rows: list[tuple[str, str]] = []
    for title, read in (
        ("bundle", lambda one: one.block.target.subject.bundle),
        ("size", lambda one: one.block.target.subject.size),
        ("moving share", _moving),
        ("threads", lambda one: str(one.block.target.subject.threads or "all cores")),
    ):
        rows.append((title, safe(", ".join(dict.fromkeys(read(one) for one in ours)))))
    engines = dict.fromkeys(ran_on(one) for one in ours if one.good)
    rows.append(("really ran on", "<br>".join(engines)))
    memory = f"{host.memory_gib:g} GiB"
    rows.append(
        ("machine", safe(f"{host.machine}: {host.cpu}, {host.cores} usable cores, {memory}, {host.system}"))
    )
    if host.gpu:
        rows.append(("GPU", safe(_pairs(host.gpu))))
    rows.append(("versions", safe(_pairs({"Python": host.python, **host.versions}))))
    changed = " (files differ from it)" if tool.commit.endswith("+") else ""
    rows.append(("commit", f"<code>{safe(tool.commit)}</code>{changed}, stillflow {safe(tool.version)}"))
    rows.append(("command", f"<code>{safe(tool.command)}</code>"))
    rows.append(("date", safe(tool.date)))
    body = [[f"<b>{safe(title)}</b>", told or "\u2013"] for title, told in rows]
    return table(["what was measured", ""], body)


def _moving(one: Shown) -> str:
    share = one.block.target.subject.moving
    return "what the networks find" if share is None else f"{share:.0%}"


def conditions(before: Look, after: Look) -> str:
    """The machine before the first query and after the last, side by side."""
    pairs: list[tuple[str, Any, Any]] = [
        ("load average", before.load, after.load),
        ("fastest core, MHz", before.mhz, after.mhz),
        ("hottest sensor, °C", before.celsius, after.celsius),
        ("held back by its control group, times", before.throttled, after.throttled),
        ("taken by other guests, s", before.steal, after.steal),
    ]
    keys: Sequence[str] = list(dict.fromkeys([*before.gpu, *after.gpu]))
    pairs += [(f"GPU: {key}", before.gpu.get(key), after.gpu.get(key)) for key in keys]
    rows = [
        [safe(title), _told(was), _told(became)]
        for title, was, became in pairs
        if was is not None or became is not None
    ]
    if not rows:
        return "<p>This machine tells nothing of its clocks, load or temperature.</p>"
    return table(["conditions", "before", "after"], rows, numbers=(1, 2))


def _told(value: Any) -> str:
    if value is None:
        return "\u2013"
    if isinstance(value, float):
        return figure(value)
    return safe(_pairs(value)) if isinstance(value, dict) else safe(str(value))


def _pairs(told: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in told.items())
