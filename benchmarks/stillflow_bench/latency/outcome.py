# SPDX-License-Identifier: Apache-2.0
"""Where a run goes, and what is said of it at the end: a word and the first reasons."""

from __future__ import annotations

import textwrap
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from stillflow.errors import StillflowError
from stillflow_bench import machine
from stillflow_bench.latency.judge import Verdict
from stillflow_bench.latency.plan import Plan
from stillflow_bench.latency.record import Record

MOST_REASONS = 3

MOST_CHARACTERS = 160
"""Of a reason in the one line; a worker that died may say a lot."""


def own_folder(out: Path | None, into: Path | None, plan: Plan) -> Path:
    """The folder that a run is written into.

    Args:
        out: itself.
        into: folder of runs, in which it is named after the machine, the day and the plan.
        plan: that is measured.

    Raises:
        StillflowError: neither is given, or both.
    """
    if (out is None) == (into is None):
        raise StillflowError(
            "cannot tell where to write the run",
            "neither -o nor --into is given" if out is None else "-o and --into are both given",
            "name a folder: stillflow-bench run -o DIR",
        )
    if out is not None:
        return out
    assert into is not None
    name = f"{machine.slug(machine.cpu_name())}-{machine.usable_cores()}core"
    return into / f"{name}-{datetime.now(timezone.utc):%Y-%m-%d}-{plan.name}"


def summed_up(verdict: Verdict, record: Record) -> dict[str, Any]:
    """A verdict in a few words.

    Args:
        verdict: the judge's.
        record: of the same run. What is wrong with a peer is no reason against a run that has blocks of ours.

    Returns:
        "verdict"; "reasons" against it, all of them; "says": one line with the first reasons.
    """
    condemning = [check for check in verdict.checks if check.condemns]
    others = {one.block.name for one in record.measured if one.block.role != "ours"}
    if not verdict.valid and others != {one.block.name for one in record.measured}:
        condemning = [check for check in condemning if check.block not in others]
    against = [
        f"{check.id}{f' ({check.block})' if check.block else ''}: {check.why}"
        for check in condemning
        if not verdict.valid
    ]
    first = "; ".join(textwrap.shorten(reason, MOST_CHARACTERS) for reason in against[:MOST_REASONS])
    more = len(against) - MOST_REASONS
    says = verdict.verdict if verdict.valid or not first else f"{verdict.verdict}: {first}"
    if not verdict.valid and more > 0:
        says += f"; and {more} more: stillflow-bench judge DIR"
    return {"verdict": verdict.verdict, "reasons": against, "says": says}
