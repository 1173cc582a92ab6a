# SPDX-License-Identifier: Apache-2.0
"""Rows of figures: kept raw in JSON, summed up in a Markdown table, each with where it comes from.

Nothing is trimmed: a row keeps every sample in the order it was taken, and the summary (the median where nothing else
is said) stands with the smallest and the largest. Rows from an earlier run of another suite, or of another part of the
same suite, on the same day stay in the file.
"""

from __future__ import annotations

import json
import math
import os
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from stillflow_bench.machine import Provenance
from stillflow_bench.tables import markdown

SCHEMA = "1.1"
"""Of the JSON file: a reader of 1.x may meet new fields, never a changed meaning of an old one."""


Summary = Literal["median", "mean", "smallest", "largest"]

SUMMARIES: Mapping[Summary, Callable[[Sequence[float]], float]] = {
    "median": statistics.median,
    "mean": statistics.fmean,
    "smallest": min,
    "largest": max,
}


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
        part: of the suite; measuring one part again leaves the others' rows in the report.
        summary: how samples become the row's one value.
        baselines: name -> the same figure of something that anybody could do instead.
        aim: how the limit came about, where it is not a plain number ("20 % below rbf").
        missing: why it could not be measured; such a row has no samples.
    """

    suite: str
    name: str
    unit: str
    samples: tuple[float, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    limit: float | None = None
    side: Literal["at most", "at least"] = "at most"
    part: str = ""
    summary: Summary = "median"
    baselines: Mapping[str, float] = field(default_factory=dict)
    aim: str = ""
    missing: str = ""

    def __post_init__(self) -> None:
        if not self.samples and not self.missing:
            raise ValueError(f"the row '{self.name}' of the suite {self.suite} has no samples")

    @property
    def value(self) -> float:
        """The samples' summary; NaN where nothing was measured."""
        return SUMMARIES[self.summary](self.samples) if self.samples else math.nan

    @property
    def holds(self) -> bool | None:
        """Whether the value keeps the limit; None without one, and where nothing was measured."""
        if self.limit is None or not self.samples:
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
            "value": row.value if row.samples else None,
            "holds": row.holds,
            **about,
        }
        for row in rows
    ]


def write_report(folder: Path, rows: Sequence[Row], provenance: Provenance) -> tuple[Path, Path]:
    """Write ``<machine>-<date>.json`` and ``.md``; parts of suites measured now replace their rows of that day.

    Args:
        folder: is made when missing.
        rows: what was measured.
        provenance: of these rows.

    Returns:
        Both paths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{provenance.machine}-{provenance.date[:10]}.json"
    measured = {(row.suite, row.part) for row in rows}
    kept: list[dict[str, Any]] = []
    if path.is_file():
        old = json.loads(path.read_text(encoding="utf-8"))
        kept = [row for row in old["rows"] if (row["suite"], row.get("part", "")) not in measured]
    every = kept + as_json(rows, provenance)
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in every)
    _replace(path, f'{{"schema": "{SCHEMA}", "rows": [\n{lines}\n]}}\n')
    table = path.with_suffix(".md")
    _replace(table, markdown(every))
    return path, table


def _replace(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
