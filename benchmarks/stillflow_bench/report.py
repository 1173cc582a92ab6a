# SPDX-License-Identifier: Apache-2.0
"""Rows of figures: kept raw in JSON, summed up in a Markdown table, each with where it comes from.

Nothing is trimmed: a row keeps every sample in the order it was taken, and the summary is the median with the
smallest and the largest. Rows from an earlier run of another suite on the same day stay in the file.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from stillflow_bench.machine import Provenance

SCHEMA = "1.0"
"""Of the JSON file: a reader of 1.x may meet new fields, never a changed meaning of an old one."""


@dataclass(frozen=True)
class Row:
    """One measured quantity.

    Attributes:
        suite: "kernels", "encode", "startup" or "quality".
        name: what was measured, in words.
        unit: "s", "ms", "MB", "ratio", "levels"...
        samples: every value that was taken, in order.
        parameters: what else a reader needs to repeat it.
        limit: the figure to reach, None when there is none.
        side: whether the limit is an upper or a lower one.
    """

    suite: str
    name: str
    unit: str
    samples: tuple[float, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    limit: float | None = None
    side: Literal["at most", "at least"] = "at most"

    def __post_init__(self) -> None:
        if not self.samples:
            raise ValueError(f"the row '{self.name}' of the suite {self.suite} has no samples")

    @property
    def value(self) -> float:
        """The median of the samples."""
        return statistics.median(self.samples)

    @property
    def holds(self) -> bool | None:
        """Whether the median keeps the limit; None without one."""
        if self.limit is None:
            return None
        return self.value <= self.limit if self.side == "at most" else self.value >= self.limit


def as_json(rows: Iterable[Row], provenance: Provenance) -> list[dict[str, Any]]:
    """Return rows as plain objects, each with its summary and its provenance."""
    about = asdict(provenance)
    return [
        {
            **asdict(row),
            "samples": tuple(float(f"{sample:.7g}") for sample in row.samples),  # more digits are noise
            "parameters": dict(row.parameters),
            "value": row.value,
            "holds": row.holds,
            **about,
        }
        for row in rows
    ]


def write_report(folder: Path, rows: Sequence[Row], provenance: Provenance) -> tuple[Path, Path]:
    """Write ``<machine>-<date>.json`` and ``.md``; suites measured now replace their older rows of that day.

    Args:
        folder: is made when missing.
        rows: what was measured.
        provenance: of these rows.

    Returns:
        Both paths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{provenance.machine}-{provenance.date[:10]}.json"
    measured = {row.suite for row in rows}
    kept: list[dict[str, Any]] = []
    if path.is_file():
        old = json.loads(path.read_text(encoding="utf-8"))
        kept = [row for row in old["rows"] if row["suite"] not in measured]
    every = kept + as_json(rows, provenance)
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in every)
    _replace(path, f'{{"schema": "{SCHEMA}", "rows": [\n{lines}\n]}}\n')
    table = path.with_suffix(".md")
    _replace(table, markdown(every))
    return path, table


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows (as ``as_json`` makes them) as Markdown: a table a suite, under what made it.

    Rows whose parameters name a photo and a method share one line of a wider table.
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
        own = [row for row in rows if row["suite"] == suite]
        head = own[0]
        versions = ", ".join(f"{name} {version}" for name, version in head["versions"].items())
        when = f"at commit {head['commit']}, {head['date']}, load average {head['load']:g}"
        lines += ["", f"## {suite}", "", f"`{head['command']}` {when}; {versions}.", ""]
        lines += _by_photo(own) if "method" in head["parameters"] else _by_row(own)
    return "\n".join(lines) + "\n"


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
    unit = f" {row['unit']}" if row["unit"] else ""
    limit = "" if row["limit"] is None else f"{row['side']} {number(row['limit'])}{unit}"
    reached = {None: "", True: "yes", False: "**no**"}[row["holds"]]
    samples = row["samples"]
    values = [number(row["value"]) + unit, number(min(samples)), number(max(samples)), str(len(samples))]
    return _cells([row["name"], *values, limit, reached])


def _replace(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
