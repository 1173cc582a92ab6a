# SPDX-License-Identifier: Apache-2.0
"""VALID or INVALID, and why: from the files of a run alone, so that anybody can judge it again, by other limits too."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from stillflow.errors import StillflowError
from stillflow_bench.latency.checks import CHECKS
from stillflow_bench.latency.checks.check import Check
from stillflow_bench.latency.checks.evidence import Evidence, read_evidence
from stillflow_bench.latency.limits import Limits
from stillflow_bench.report import replace_file

VERDICT = "verdict.json"

SCHEMA = "1.0"
"""Of that file; as ``record.SCHEMA``."""

Word = Literal["VALID", "INVALID"]

BlockWord = Literal["VALID", "INVALID", "MISSING"]


class Verdict(msgspec.Struct, frozen=True):
    """What a judge says.

    Attributes:
        schema: of verdict.json.
        verdict: of the run: INVALID where the run as a whole is, or a block of ours; where there is none of ours, any.
        blocks: of each block by itself; "MISSING" where it was not measured.
        checks: all that was looked at.
        limits: that were used.
    """

    schema: str
    verdict: Word
    blocks: dict[str, BlockWord]
    checks: tuple[Check, ...]
    limits: Limits

    @property
    def valid(self) -> bool:
        """Whether the figures may be believed."""
        return self.verdict == "VALID"


def judge(folder: Path, limits: Limits | None = None) -> Verdict:
    """Judge a run, and write verdict.json into its folder where that can be written.

    Args:
        folder: of the run.
        limits: where to draw the lines; None: the defaults.

    Raises:
        StillflowError: there is no result.json that can be read.
    """
    return keep(folder, judged(read_evidence(folder), limits or Limits()))


def keep(folder: Path, verdict: Verdict) -> Verdict:
    """Write verdict.json where that can be written; returns the verdict."""
    try:
        text = msgspec.json.format(msgspec.json.encode(verdict), indent=1).decode()
        replace_file(folder / VERDICT, text + "\n")
    except (OSError, StillflowError):
        pass  # a published folder is often read-only; the verdict is returned all the same
    return verdict


def judged(evidence: Evidence, limits: Limits) -> Verdict:
    """Judge what was read."""
    checks = tuple(check for look in CHECKS for check in look(evidence, limits))
    condemned = {check.block for check in checks if check.condemns}
    blocks: dict[str, BlockWord] = {}
    for one in evidence.record.measured:
        name = one.block.name
        blocks[name] = "MISSING" if one.missing else "INVALID" if name in condemned else "VALID"
    # Blocks that only the plan knows count as ours, and so do all blocks of a run that has none of ours.
    roles = {one.block.name: one.block.role for one in evidence.record.measured}
    others = {name for name, role in roles.items() if role != "ours" and "ours" in roles.values()}
    invalid = bool(condemned - others)
    return Verdict(SCHEMA, "INVALID" if invalid else "VALID", blocks, checks, limits)


def told(verdict: Verdict, *, everything: bool = False) -> str:
    """A verdict in plain words: first the word, then the reasons by block.

    Args:
        verdict: to tell.
        everything: also what holds.
    """
    lines: list[str] = [verdict.verdict]
    for name in ["", *verdict.blocks, *sorted({c.block for c in verdict.checks} - {"", *verdict.blocks})]:
        own = [check for check in verdict.checks if check.block == name]
        shown = own if everything else [check for check in own if check.condemns or check.warns]
        if not everything and verdict.blocks.get(name) == "MISSING":
            shown = [check for check in own if check.id == "plan-kept"]
        if shown:
            title = f"{name}: {verdict.blocks.get(name, 'INVALID')}" if name else "the whole run"
            lines += ["", title, *(f"  {_mark(check):8} {check.id}: {check.why}" for check in shown)]
    warned = sum(check.warns for check in verdict.checks)
    lines += ["", f"{len(verdict.checks)} checks, {_count(verdict)} broken, {warned} warnings"]
    return "\n".join(lines)


def _count(verdict: Verdict) -> int:
    return sum(check.condemns for check in verdict.checks)


def _mark(check: Check) -> str:
    if check.condemns:
        return "INVALID"
    if check.warns:
        return "warning"
    return "ok" if check.ok else "note"
