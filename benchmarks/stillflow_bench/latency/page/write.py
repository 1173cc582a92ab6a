# SPDX-License-Identifier: Apache-2.0
"""Puts the page together, in the order in which a reader asks, and keeps it small."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stillflow.errors import StillflowError
from stillflow_bench.latency.boundary import Boundary
from stillflow_bench.latency.comparable import work_of
from stillflow_bench.latency.page import sections
from stillflow_bench.latency.page.distribution_plots import distribution
from stillflow_bench.latency.page.drawing import require
from stillflow_bench.latency.page.headline import card_words, conditions, subject_words, verdict_words
from stillflow_bench.latency.page.labels import boundary_name
from stillflow_bench.latency.page.machine_plots import machine_strip
from stillflow_bench.latency.page.main_tables import main_tables
from stillflow_bench.latency.page.material import Material, Shown, read_material
from stillflow_bench.latency.page.palette import COLOURS, WORDS
from stillflow_bench.latency.page.roofline import roofline
from stillflow_bench.latency.page.scaling_plots import LANES, SHARE, SIZE, scaling, server
from stillflow_bench.latency.page.stage_plots import has_stages, timeline
from stillflow_bench.latency.page.style import STYLE
from stillflow_bench.latency.page.time_plots import over_time, sustained
from stillflow_bench.latency.target import ROLES
from stillflow_bench.report import write_for
from stillflow_export.markup import safe

MOST_BYTES = 3_000_000
"""Of a page."""

POINTS = (800, 400, 150, 50)
"""Drawn of a block at most; fewer where the page would be too large."""

TOGETHER = 5
"""Blocks that stand alone in one plot: as many as there are kinds of lines in one colour."""


def write_page(folder: Path, out: Path | None = None) -> Path:
    """Read a run, judge it, and write its page.

    Args:
        folder: of the run.
        out: the page; None: report.html in the folder.

    Returns:
        The page's path.

    Raises:
        StillflowError: the folder holds no run, matplotlib is not installed, the page would be too large, or it
            cannot be written.
    """
    require()
    material = read_material(folder)
    path = out or folder / "report.html"
    for points in POINTS:
        text = page(material, points)
        size = len(text.encode())
        if size <= MOST_BYTES:
            write_for(path, text)
            return path
    raise StillflowError(
        f"cannot write {path}",
        f"it would have {size:,} bytes and may have {MOST_BYTES:,}, for {len(material.shown)} blocks",
        "measure fewer blocks in one run",
    )


def page(material: Material, points: int = POINTS[0]) -> str:
    """A run as HTML.

    Args:
        material: what it is made of.
        points: drawn of a block at most.
    """
    record = material.record
    title = f"Latency of stillflow on {record.host.machine}, {record.tool.date[:10]}"
    parts = [
        _head(title),
        verdict_words(material),
        card_words(material),
        subject_words(material),
        conditions(record.before, record.after),
        f"<h2>Limit, ours, peers</h2><p class=mute>Milliseconds.</p>{_colours()}",
        main_tables(material),
    ]
    parts += [f"<h2>{safe(head)}</h2>{body}" for head, body in _plots(material, points) if body]
    cold = sections.cold_tables(material)
    if cold:
        parts.append(f"<h2>Cold start by part</h2>{cold}")
    parts += [
        f"<h2>Receipts of what was measured</h2>{sections.receipts(material)}",
        f"<h2>How to repeat it</h2>{sections.repeat(material)}",
        "<h2>Checks, settings, samples, words</h2>",
        _folded(f"All {len(material.verdict.checks)} checks", sections.checks(material)),
        _folded("Every block's settings, and where each came from", sections.settings(material)),
        _folded("Where the raw samples lie", sections.raw_samples(material)),
        _folded("What the words mean", sections.definitions(material)),
    ]
    return "".join(parts) + "</body></html>\n"


def _head(title: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{safe(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{STYLE}</style></head><body><h1>{safe(title)}</h1>"
    )


def _plots(material: Material, points: int) -> Iterator[tuple[str, str]]:
    """Heads and bodies; an empty body where the run has nothing to draw."""
    groups = material.comparable()
    shared = [
        (b, members)
        for b, members in groups
        if len(members) > 1 and len({work_of(o.block) for o in members}) == 1
    ]
    beside = {one.block.name for _, members in shared for one in members}
    alone = _gathered([(b, one) for b, members in groups for one in members if one.block.name not in beside])
    yield "How long queries take", _each("share", shared, points) + _more("share-alone", alone, points)
    yield "As the run went on", _each("time", shared, points) + _more("time-alone", alone, points)
    staged = [[one for one in members if has_stages(one)] for _, members in groups]
    lines = [
        f"<h3>{boundary_name(members[0].block.target.boundary)}</h3>{timeline(f'stages-{k}', members)}"
        for k, members in enumerate(staged)
        if members
    ]
    yield "One query by stage", _first_open("More timelines", lines)
    answered = material.drawable
    yield "Under the roof", roofline("roof", answered)
    single = [
        one for one in answered if one.block.load.scenario in ("single_stream", "multi_stream", "offline")
    ]
    yield (
        "What it depends on",
        "".join(scaling(f"along-{k}", along, single) for k, along in enumerate((SIZE, SHARE, LANES))),
    )
    yield "When queries arrive by chance", server("server", answered)
    lasting = [one for one in answered if one.block.load.scenario == "sustained"]
    yield (
        "Minute by minute",
        "".join(sustained(f"minutes-{k}", one, material.telemetry) for k, one in enumerate(lasting)),
    )
    cores = material.record.host.cores
    yield "The machine meanwhile", machine_strip("machine", material.telemetry, answered, cores, points)


def _each(name: str, groups: list[tuple[Boundary, list[Shown]]], points: int) -> str:
    draw = distribution if name.startswith("share") else over_time
    return "".join(
        f"<h3>{boundary_name(boundary)}</h3>{draw(f'{name}-{k}', members, points)}"
        for k, (boundary, members) in enumerate(groups)
    )


def _gathered(alone: list[tuple[Boundary, Shown]]) -> list[tuple[Boundary, list[Shown]]]:
    """Blocks that stand alone, several of one boundary to a plot."""
    found: list[tuple[Boundary, list[Shown]]] = []
    for boundary, one in sorted(alone, key=lambda pair: pair[0]):
        if found and found[-1][0] == boundary and len(found[-1][1]) < TOGETHER:
            found[-1][1].append(one)
        else:
            found.append((boundary, [one]))
    return found


def _more(name: str, groups: list[tuple[Boundary, list[Shown]]], points: int) -> str:
    """Blocks that stand alone, folded."""
    count = sum(len(members) for _, members in groups)
    return _folded(f"{count} more, each with work of its own", _each(name, groups, points)) if groups else ""


def _first_open(title: str, plots: list[str]) -> str:
    return "".join(plots[:1]) + (_folded(title, "".join(plots[1:])) if plots[1:] else "")


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{safe(title)}</summary>{body}</details>"


def _colours() -> str:
    tags = (
        f'<span class=tag style="background:{COLOURS[role]}">{safe(role)}</span> <small>{safe(WORDS[role])}</small>'
        for role in ROLES
    )
    return f"<p class=key>{' '.join(tags)}</p>"
