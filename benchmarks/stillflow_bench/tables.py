# SPDX-License-Identifier: Apache-2.0
"""Rows of a report as Markdown: a table a suite, under what made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

REACHED = {None: "", True: "yes", False: "**no**"}

IN_SHORT = (
    "moving share",
    "detail, least",
    "detail, most",
    "flicker along the path",
    "uncovered, most",
    "PSNR where it truly moves",
    "SSIM where it truly moves",
    "endpoint error",
    "angular error",
    "matte IoU",
)
"""Figures of loops that tell most: columns of the table with a line a photo and every method in a cell."""

WORTH_A_TABLE = 4
"""Of them; with fewer the long table alone is short enough."""

Rows = Sequence[Mapping[str, Any]]
"""Rows as ``report.as_json`` makes them; those of an older file lack ``part``, ``baselines``, ``aim``, ``missing``."""


def markdown(rows: Rows) -> str:
    """Return rows as Markdown: a table for each run of a suite, under what made it.

    Rows whose parameters name a photo and a method share one line of a wider table. Rows of a part of a suite
    stand beside their baselines; those whose parameters name the photo of each sample are columns of a table with
    a line a photo besides, and those marked "by photo only" are nothing else.
    """
    if not rows:
        return "Nothing was measured.\n"
    first = rows[0]
    machine = f"{first['cpu']}, {first['cores']} usable cores, {first['memory_gib']:g} GiB, {first['system']}"
    lines = [
        f"# {first['machine']}, {first['date'][:10]}",
        "",
        f"{machine}, Python {first['python']}. The .json beside this file holds every sample.",
    ]
    for suite in dict.fromkeys(row["suite"] for row in rows):
        lines += ["", f"## {suite}"]
        own = [row for row in rows if row["suite"] == suite]
        for run in dict.fromkeys(_run_of(row) for row in own):
            lines += ["", run, *_tables([row for row in own if _run_of(row) == run])]
    return "\n".join(lines) + "\n"


def _run_of(row: Mapping[str, Any]) -> str:
    """What made a row, as a sentence."""
    versions = ", ".join(f"{name} {version}" for name, version in row["versions"].items())
    when = f"at commit {row['commit']}, {row['date']}, load average {row['load']:g}"
    return f"`{row['command']}` {when}; {versions}."


def _tables(rows: Rows) -> list[str]:
    """Every table that one run needs, an empty line before each."""
    figures = [row for row in rows if row.get("part")]
    photos = [row for row in rows if "method" in row["parameters"] and not row.get("part")]
    plain = [row for row in rows if "method" not in row["parameters"] and not row.get("part")]
    lines = []
    summed = [row for row in figures if not row["parameters"].get("by photo only")]
    for found, table in ((plain, _by_row), (photos, _in_short), (photos, _by_photo), (summed, _by_figure)):
        made = table(found) if found else []
        lines += ["", *made] if made else []
    columns = [row for row in figures if "photos" in row["parameters"]]
    return [*lines, "", *_by_sample(columns)] if columns else lines


def _by_figure(rows: Rows) -> list[str]:
    """Return a table with a line for each figure, its baselines beside it."""
    heads = [
        "part",
        "figure",
        "stillflow",
        "baselines",
        "to reach",
        "reached",
        "is the",
        "smallest",
        "largest",
    ]
    return [_cells(heads), "|---|---|---:|---|---|---|---|---:|---:|", *(_figure(row) for row in rows)]


def _figure(row: Mapping[str, Any]) -> str:
    samples = row["samples"]
    if not samples:
        limit, reached = ("", "") if row["limit"] is None else (_limit(row), "not run")
        return _cells([row["part"], row["name"], "not measured", row["missing"], limit, reached, *[""] * 3])
    others = "; ".join(f"{name}: {number(value)}" for name, value in row["baselines"].items())
    several = len(samples) > 1 or "photos" in row["parameters"]
    said = f"{row['summary']} of {len(samples)}" if several else ""
    limit = _limit(row) + (f" ({row['aim']})" if row["aim"] else "")
    value = number(row["value"]) + _unit(row)
    spread = [number(min(samples)), number(max(samples))] if len(samples) > 1 else ["", ""]
    return _cells([row["part"], row["name"], value, others, limit, REACHED[row["holds"]], said, *spread])


def _by_sample(rows: Rows) -> list[str]:
    """Return a table with a line for each photo, by the first figure from its worst photo on."""
    values = [dict(zip(row["parameters"]["photos"], row["samples"], strict=True)) for row in rows]
    worst_is_low = rows[0]["side"] == "at least"
    ranked = sorted(values[0], key=lambda name: values[0][name] if worst_is_low else -values[0][name])
    names = list(dict.fromkeys([*ranked, *(name for column in values for name in column)]))
    return [
        _cells(["photo", *(row["name"] + (f", {row['unit']}" if row["unit"] else "") for row in rows)]),
        _cells(["---", *("---:" for _ in rows)]),
        *(_cells([name, *(number(c[name]) if name in c else "" for c in values)]) for name in names),
    ]


def _by_row(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a table with a line for each row."""
    head = ["what", "median", "smallest", "largest", "samples", "to reach", "reached"]
    return [_cells(head), "|---|---:|---:|---:|---:|---|---|", *(_line(row) for row in rows)]


def _by_photo(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a table with a line for each photo and method, and a column for each quantity."""
    names = list(dict.fromkeys(row["name"] for row in rows))
    units = {row["name"]: row["unit"] for row in rows}
    limits = {
        row["name"]: f"{row['side']} {number(row['limit'])}" for row in rows if row["limit"] is not None
    }
    heads = [name + (f", {units[name]}" if units[name] else "") for name in names]
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        value = number(row["value"])
        line = cells.setdefault((row["parameters"]["photo"], row["parameters"]["method"]), {})
        line[row["name"]] = f"**{value}**" if row["holds"] is False else value
    return [
        _cells(["photo", "method", *heads]),
        _cells(["---", "---", *("---:" for _ in names)]),
        _cells(["", "to reach", *(limits.get(name, "") for name in names)]),
        *(_cells([*key, *(line.get(name, "") for name in names)]) for key, line in cells.items()),
    ]


def _in_short(rows: Rows) -> list[str]:
    """Return a table with a line for each photo and all methods in a cell.

    There is none where one method stands alone or too few of the figures were measured.
    """
    methods = list(dict.fromkeys(row["parameters"]["method"] for row in rows))
    units = {row["name"]: row["unit"] for row in rows}
    names = [name for name in IN_SHORT if name in units]
    if len(methods) < 2 or len(names) < WORTH_A_TABLE:
        return []
    values: dict[str, dict[tuple[str, str], str]] = {}
    for row in rows:
        about = row["parameters"]
        values.setdefault(about["photo"], {})[row["name"], about["method"]] = number(row["value"])
    heads = [name + (f", {units[name]}" if units[name] else "") for name in names]
    lines = []
    for photo, found in values.items():
        cells = [[found.get((name, method), "-") for method in methods] for name in names]
        lines.append(_cells([photo, *(" / ".join(cell) if set(cell) != {"-"} else "" for cell in cells)]))
    return [
        f"In each cell: {' / '.join(methods)}.",
        "",
        _cells(["photo", *heads]),
        _cells(["---", *("---:" for _ in heads)]),
        *lines,
    ]


def _cells(texts: Sequence[str]) -> str:
    return "| " + " | ".join(texts) + " |"


def number(value: float) -> str:
    """Write a figure with four significant digits, never with an exponent."""
    if value == 0:
        return "0"
    digits = max(0, 3 - int(f"{value:e}".split("e")[1]))
    text = f"{value:.{min(digits, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _line(row: Mapping[str, Any]) -> str:
    samples = row["samples"]
    value = number(row["value"]) + _unit(row)
    values = [value, number(min(samples)), number(max(samples)), str(len(samples))]
    return _cells([row["name"], *values, _limit(row), REACHED[row["holds"]]])


def _unit(row: Mapping[str, Any]) -> str:
    return f" {row['unit']}" if row["unit"] else ""


def _limit(row: Mapping[str, Any]) -> str:
    return "" if row["limit"] is None else f"{row['side']} {number(row['limit'])}{_unit(row)}"
