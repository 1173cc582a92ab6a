# SPDX-License-Identifier: Apache-2.0
"""What is said of a run at its end: a word and the first reasons."""

from __future__ import annotations

import textwrap
from typing import Any

from stillflow_bench.latency.judge import Verdict
from stillflow_bench.latency.record import Record

MOST_REASONS = 3

MOST_CHARACTERS = 160
"""Of a reason in the one line; a worker that died may say a lot."""


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
