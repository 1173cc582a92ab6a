# SPDX-License-Identifier: Apache-2.0
"""A run as Markdown, a compact table for a README and a full one, and for programs. Made of the record alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from stillflow_bench.latency.boundary import BOUNDARIES
from stillflow_bench.latency.comparable import reference
from stillflow_bench.latency.judge import Verdict, judge
from stillflow_bench.latency.page.labels import FEW_WORDS
from stillflow_bench.latency.percentile import CLAIMS, Summary, percentile_name
from stillflow_bench.latency.record import Measured, Record, read_record
from stillflow_bench.latency.target import ROLES
from stillflow_bench.tables import number

SHORT = ("p50", "p90", "p99")
"""Percentiles of the compact table."""

NONE = "\u2013"

Groups = Mapping[tuple[str, str], Sequence[Measured]]


def markdown(folder: Path) -> str:
    """The full table of a run, judged.

    Raises:
        StillflowError: the folder holds no run.
    """
    return full_table(read_record(folder), judge(folder))


def readme_table(record: Record, verdict: Verdict) -> str:
    """The compact table: limits, ours and peers side by side, and our first block of each boundary.

    Args:
        record: of the run.
        verdict: of the judge, on the same run.
    """
    first: dict[str, str] = {}
    for one in _answered(record):
        if one.block.role == "ours":
            first.setdefault(one.block.target.boundary, one.block.name)
    groups = {
        key: members
        for key, members in _groups(record).items()
        if any(one.block.role != "ours" or one.block.name == first[key[0]] for one in members)
    }
    head = ["from where to where", "what", "", *(f"{name}, ms" for name in SHORT), "to ours", "n"]
    lines = [
        _line([place, *cells])
        for (boundary, _), members in groups.items()
        for place, cells in _rows(boundary, members, _answered(record), verdict, SHORT)
    ]
    return "\n".join([_about(record, verdict), "", _line(head), _ruler(3, len(head)), *lines]) + "\n"


def full_table(record: Record, verdict: Verdict) -> str:
    """Every block with every percentile, and why the others are missing.

    Args:
        record: of the run.
        verdict: of the judge, on the same run.
    """
    names = [percentile_name(rank) for rank in CLAIMS]
    head = ["from where to where", "what", "", *(f"{name}, ms" for name in names), "slowest", "to ours", "n"]
    lines = [
        _line([place, *cells])
        for (boundary, _), members in _groups(record).items()
        for place, cells in _rows(boundary, members, _answered(record), verdict, names, slowest=True)
    ]
    missing = [
        f"- {_clean(one.block.title)}: not measured, {_clean(one.missing)}"
        for one in record.measured
        if one.missing
    ]
    table = [_about(record, verdict), "", _line(head), _ruler(3, len(head)), *lines]
    return "\n".join([*table, *([""] if missing else []), *missing]) + "\n"


def for_programs(record: Record, verdict: Verdict) -> dict[str, object]:
    """The same for programs: the verdict, and every block's summaries.

    Args:
        record: of the run.
        verdict: of the judge, on the same run.
    """
    blocks = [
        {
            "name": one.block.name,
            "title": one.block.title,
            "role": one.block.role,
            "boundary": one.block.target.boundary,
            "verdict": verdict.blocks.get(one.block.name, "MISSING"),
            "missing": one.missing,
            "summaries": msgspec.to_builtins(one.summaries),
        }
        for one in record.measured
    ]
    return {
        "verdict": verdict.verdict,
        "machine": record.host.machine,
        "commit": record.tool.commit,
        "blocks": blocks,
    }


def _about(record: Record, verdict: Verdict) -> str:
    """One line: the machine, the commit, the verdict, the command."""
    host, tool = record.host, record.tool
    machine = f"{_clean(host.cpu)}, {host.cores} usable cores, {_clean(host.system)}"
    when = f"at commit {_code(tool.commit)}, {_clean(tool.date[:10])}"
    where = f"**{verdict.verdict}** on {machine}, {when}: {_code(tool.command)}."
    return f"{where} {NONE}: too few samples for that percentile."


def _groups(record: Record) -> Groups:
    """(boundary, group) -> its blocks that were measured, by role; boundaries in their order."""
    found: dict[tuple[str, str], list[Measured]] = {}
    for one in _answered(record):
        found.setdefault((one.block.target.boundary, one.block.group or one.block.name), []).append(one)
    ordered = sorted(found.items(), key=lambda item: list(BOUNDARIES).index(item[0][0]))  # type: ignore[arg-type]
    return {key: sorted(members, key=lambda one: ROLES.index(one.block.role)) for key, members in ordered}


def _answered(record: Record) -> list[Measured]:
    return [one for one in record.measured if one.block.target.boundary in one.summaries]


def _rows(
    boundary: str,
    members: Sequence[Measured],
    answered: Sequence[Measured],
    verdict: Verdict,
    names: Sequence[str],
    *,
    slowest: bool = False,
) -> Iterable[tuple[str, list[str]]]:
    """(Boundary in the first line of a group only, the other cells)."""
    of = {one.block.name: one.summaries[one.block.target.boundary] for one in answered}
    place = f"{FEW_WORDS[boundary]} ({boundary})"
    for one in members:
        block, summary = one.block, of[one.block.name]
        ours = of.get(reference(block, "ours", [other.block for other in answered]) or "")
        refused = " (INVALID)" if verdict.blocks.get(block.name) == "INVALID" else ""
        title = _clean(block.title) + refused
        cells = [f"**{title}**" if block.role == "ours" else title, block.role]
        cells += [_value(summary.percentiles.get(name)) for name in names]
        cells += [_value(summary.most)] if slowest else []
        yield place, [*cells, _ratio(summary, ours), f"{summary.n:,}"]
        place = ""


def _ratio(summary: Summary, ours: Summary | None) -> str:
    """Median over ours; of the fastest query where there are too few for a median; a dash where ours are too few."""
    theirs = ours.percentiles.get("p50") if ours else None
    if not theirs:
        return NONE
    median = summary.percentiles.get("p50")
    if median is None:
        return f"{_value(summary.least / theirs)} × (its fastest)"
    return f"{_value(median / theirs)} ×"


def _value(value: float | None) -> str:
    return NONE if value is None else f"{value:,.0f}" if value >= 1000 else number(float(f"{value:.3g}"))


def _clean(text: str) -> str:
    """A text that is no Markdown, no HTML, and does not leave its cell."""
    line = "".join(c if c.isprintable() else " " for c in str(text))
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{c}" if c in "\\`*_[]|" else c for c in line)


def _code(text: str) -> str:
    line = "".join(c if c.isprintable() else " " for c in str(text))
    return f"`{line.replace('`', ' ').replace('|', ' ')}`"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _ruler(texts: int, cells: int) -> str:
    return "|" + "---|" * texts + "---:|" * (cells - texts)
