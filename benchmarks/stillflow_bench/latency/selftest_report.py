# SPDX-License-Identifier: Apache-2.0
"""The self test as a table for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from stillflow_bench.latency import loadgen
from stillflow_bench.latency.selftest import MOST_COST_US, MOST_READING_US, WITHIN, Finding, Selftest
from stillflow_bench.machine import Provenance
from stillflow_bench.report import write_for
from stillflow_bench.tables import number

SCHEMA = "1.0"

FILE = "selftest.json"

_OFF = "  <- off"


def told(result: Selftest, about: Provenance) -> str:
    """A line for each figure, and what it comes to."""
    lines = [
        *_table(
            ["scenario", "delays", "figure", "true", "recovered", "error %", "of what it took %", "attempts"],
            [_finding(finding) for finding in result.findings],
            [finding.holds for finding in result.findings],
        ),
        "",
        *_table(
            ["driver of", "in a latency, us", "between queries, us"],
            [[cost.scenario, number(cost.reading), number(cost.between)] for cost in result.costs],
            [cost.holds for cost in result.costs],
        ),
    ]
    if result.agreements:
        lines += ["", *_table(
            ["scenario", "figure", "queries", "ours, ms", "LoadGen, ms", "difference %"],
            [
                [a.scenario, a.figure, str(a.queries), number(a.ours), number(a.loadgen), f"{a.error:+.2f}"]
                for a in result.agreements
            ],
            [a.holds for a in result.agreements],
        )]  # fmt: skip
    return "\n".join([*lines, "", *_sum(result), "", *_after(result, about)]).rstrip()


def _finding(found: Finding) -> list[str]:
    return [
        found.scenario,
        found.delays,
        found.figure,
        f"{number(found.true)} {found.unit}",
        f"{number(found.recovered)} {found.unit}",
        f"{found.error:+.2f}",
        f"{found.own_error:+.2f}",
        str(found.attempts),
    ]


def _sum(result: Selftest) -> list[str]:
    findings = result.findings
    good = sum(finding.holds for finding in findings)
    lines = [f"{good} of {len(findings)} figures recovered within {WITHIN:g} %."]
    for scenario, group in groupby(findings, lambda finding: finding.scenario):
        lines.append(f"  {scenario}: worst {max(abs(finding.error) for finding in group):.2f} %")
    lines.append(
        f"Drivers may cost {MOST_READING_US:g} us in a latency and {MOST_COST_US:g} us between queries."
    )
    if result.agreements:
        agreeing = sum(one.holds for one in result.agreements)
        lines.append(
            f"{agreeing} of {len(result.agreements)} figures agree with LoadGen within {loadgen.WITHIN:g} %."
        )
    return lines


def _after(result: Selftest, about: Provenance) -> list[str]:
    if result.holds:
        return []
    findings = result.findings
    own = sum(abs(finding.own_error) <= WITHIN for finding in findings)
    return [
        f"The load average was {about.load:g} on {about.cores} cores when it began. A fake that other programs hold up",
        f"takes longer than it was told: of what it took by its own clock, {own} of {len(findings)} figures were",
        f"recovered within {WITHIN:g} %. If there were other programs, run it again without them.",
    ]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], hold: Iterable[bool]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = ["  ".join(head.ljust(width) for head, width in zip(heads, widths, strict=True)).rstrip()]
    for row, holds in zip(rows, hold, strict=True):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        lines.append(line + ("" if holds else _OFF))
    return lines


def write(folder: Path, result: Selftest, about: Provenance) -> Path:
    """Write selftest.json: every figure, what made it, and whether it holds.

    Args:
        folder: is made when missing.
        result: to be kept.
        about: machine, commit and command.

    Raises:
        StillflowError: it cannot be written there.
    """
    whole: dict[str, Any] = {
        "schema": SCHEMA,
        "run": asdict(about),
        "holds": result.holds,
        "findings": [
            {
                **msgspec.to_builtins(f),
                "unit": f.unit,
                "error_percent": round(f.error, 4),
                "own_error_percent": round(f.own_error, 4),
                "holds": f.holds,
            }
            for f in result.findings
        ],
        "costs": [{**msgspec.to_builtins(cost), "holds": cost.holds} for cost in result.costs],
        "agreements": [
            {**msgspec.to_builtins(a), "difference_percent": round(a.error, 4), "holds": a.holds}
            for a in result.agreements
        ],
    }
    path = folder / FILE
    write_for(path, msgspec.json.format(msgspec.json.encode(whole), indent=1).decode() + "\n")
    return path
