# SPDX-License-Identifier: Apache-2.0
"""Rows of figures: kept raw in JSON, summed up in a Markdown table, each with where it comes from.

Nothing is trimmed: a row keeps every sample in the order it was taken, and the summary (the median where nothing else
is said) stands with the smallest and the largest. Rows from an earlier run of another suite, or of another part of the
same suite, on the same day stay in the file. What a run shares, its machine, versions, commit and command, stands once
in the file's ``runs``; a row's ``run`` counts them from 0. What a row has no word on is as ``Row`` has it by default.
"""

from __future__ import annotations

import json
import math
import os
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from stillflow.errors import StillflowError
from stillflow_bench.machine import Provenance
from stillflow_bench.tables import markdown

SCHEMA = "2.0"
"""Of the JSON file: a reader of 2.x may meet new fields, never a changed meaning of an old one. In 1.x every row held
what ``runs`` holds now."""


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
    every = joined(read_report(path) if path.is_file() else [], as_json(rows, provenance))
    replace_file(path, file_text(every))
    table = path.with_suffix(".md")
    replace_file(table, markdown(every))
    return path, table


DEFAULTS: Mapping[str, Any] = {
    "parameters": {}, "limit": None, "side": "at most", "part": "", "summary": "median", "baselines": {},
    "aim": "", "missing": "", "holds": None,
}  # fmt: skip
"""What a row of a file is where it says nothing; ``holds`` follows from the limit."""


def read_report(path: Path) -> list[dict[str, Any]]:
    """Read a report of this schema or of an older one: its rows as ``as_json`` makes them."""
    told = json.loads(path.read_text(encoding="utf-8"))
    runs = told.get("runs", [])
    rows = []
    for row in told["rows"]:
        about = runs[row["run"]] if "run" in row else {}
        rows.append({**DEFAULTS, **{name: value for name, value in row.items() if name != "run"}, **about})
    return rows


def joined(old: Iterable[Mapping[str, Any]], new: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Put new rows in the place of all old ones of the same parts of suites; both as ``as_json`` makes them."""
    new = list(new)
    measured = {(row["suite"], row.get("part", "")) for row in new}
    return [*(row for row in old if (row["suite"], row.get("part", "")) not in measured), *new]


def file_text(rows: Iterable[Mapping[str, Any]], more: Mapping[str, Any] | None = None) -> str:
    """Write rows as the JSON file: a line a run, then a line a row.

    Args:
        rows: as ``as_json`` makes them.
        more: entries of the file before the rows.
    """
    shared = [entry.name for entry in fields(Provenance)]
    runs: list[str] = []
    lines = []
    for row in rows:
        about = _line({name: row[name] for name in shared})
        if about not in runs:
            runs.append(about)
        said = (
            name
            for name in row
            if name not in shared and (name not in DEFAULTS or row[name] != DEFAULTS[name])
        )
        own = {name: row[name] for name in sorted(said, key=DEFAULTS.__contains__)}
        lines.append(_line({"run": runs.index(about), **own}))
    told = (f'"{name}": [\n{_lines(entries)}\n]' for name, entries in (("runs", runs), ("rows", lines)))
    ahead = "".join(f'"{name}": {_line(value)},\n' for name, value in (more or {}).items())
    return f'{{"schema": "{SCHEMA}", {ahead}{", ".join(told)}}}\n'


def _lines(entries: Iterable[str]) -> str:
    return ",\n".join(entries)


def _line(entry: Any) -> str:
    return json.dumps(entry, ensure_ascii=False)


def write_for(path: Path, text: str) -> None:
    """Write a file where a user wants it; its folder is made when missing.

    Raises:
        StillflowError: it cannot be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text)
    except OSError as error:
        raise StillflowError(
            f"cannot write {path}",
            error.strerror or str(error),
            "name another place with -o, or free disk space",
        ) from error


def replace_file(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
