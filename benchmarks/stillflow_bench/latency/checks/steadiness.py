# SPDX-License-Identifier: Apache-2.0
"""Was it warm, did it stay the same, and did nothing stand still?"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import numpy as np

from stillflow_bench.latency.checks.check import Check, Severity
from stillflow_bench.latency.checks.evidence import BlockEvidence, Evidence
from stillflow_bench.latency.checks.windows import (
    Floats,
    chance_excess,
    chance_spread,
    excess,
    levels,
    rank_correlation,
    shape,
    spread,
    without_inputs,
)
from stillflow_bench.latency.limits import Limits

SURE = 4.0
"""Standard errors of a rank correlation: chance goes beyond them once in 16,000 times."""


def check_warm_up_flagged(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """The warm-up comes first, is flagged, and is as long as was asked for."""
    for block in evidence.blocks:
        if not block.taken:
            continue
        need = block.load.warm_up
        flagged = [sample.index for sample in block.samples if sample.phase == "warm-up"]
        severity: Severity = "invalid"
        ok, why = True, f"{len(flagged)} queries warmed up, and are flagged"
        if flagged and flagged[-1] > block.taken[0].index:
            ok, why = False, f"query {flagged[-1]} is called warm-up and came after measured ones"
        elif len(flagged) < need:
            ok, why = False, f"{len(flagged)} queries warmed up, {need} were asked for"
        elif not flagged and block.load.scenario != "cold":
            ok, why, severity = False, "nothing warmed up: the first queries are among the figures", "warning"
        yield Check(
            id="warm-up-flagged",
            block=block.name,
            ok=ok,
            why=why,
            severity=severity,
            need=need,
            have=len(flagged),
        )


def check_warm_up_enough(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """The first part that was measured is no slower than the rest."""
    for block in evidence.blocks:
        values = _services(block)
        if len(values) < 2 * limits.windows:
            continue  # windows-stable says that they are too few
        found = levels(values, limits.windows)
        have = excess(found)
        limit = limits.warm_up_enough
        ok: bool | None = have <= limit
        why = f"the first of {limits.windows} parts is {have:+.1f} % off the others"
        if not ok:
            chance = chance_excess(values, limits.windows)
            ok = None if have <= chance else False
            why += (
                f", which chance makes of times as scattered as these (up to {chance:.0f} %): too few to tell"
                if ok is None
                else ": it was still warming up"
            )
        yield Check(id="warm-up-enough", block=block.name, ok=ok, why=why, have=round(have, 2), limit=limit)


def check_windows_stable(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """Equal parts of what was measured take the same time."""
    for block in evidence.blocks:
        if not block.taken:
            continue
        values = _services(block)
        count = limits.windows
        if len(values) < 2 * count:
            yield Check(
                id="windows-stable",
                block=block.name,
                ok=None,
                why=f"{len(values)} queries are too few to cut into {count} parts",
                need=2 * count,
                have=len(values),
                limit=limits.windows_stable,
            )
            continue
        if _still_warming_up(values, limits):
            values = values[round(len(values) / count) :]  # check_warm_up_enough has told
            count = max(2, count - 1)
        found = levels(values, count)
        have = spread(found)
        ok, why = _stable(values, found, have, limits.windows_stable)
        yield Check(
            id="windows-stable",
            block=block.name,
            ok=ok,
            why=why,
            have=round(have, 2),
            limit=limits.windows_stable,
        )


def _stable(values: Floats, found: Floats, have: float, limit: float) -> tuple[bool | None, str]:
    count = len(found)
    if have <= limit:
        return True, f"{count} equal parts differ by {have:.1f} %"
    chance = chance_spread(values, count)
    trend = abs(rank_correlation(values)) * np.sqrt(len(values) - 1)  # standard normal where there is none
    if have <= chance and trend < SURE:
        return None, (
            f"{count} equal parts differ by {have:.1f} %, which chance makes of times as scattered as these "
            f"(up to {chance:.0f} %): too few to tell"
        )
    # Times that were slower for a while late on have a trend too, and end where they began.
    ends_apart = 100 * abs(found[-1] - found[0]) > limit * found.mean()
    kind = "drift" if trend >= SURE and ends_apart else shape(found, limit)
    if kind == "drift":
        return (
            False,
            f"it drifts: {found[0]:.4g} ms in the first of {count} parts, {found[-1]:.4g} in the last",
        )
    if kind == "episode":
        odd = int(np.argmax(np.abs(found - np.median(found))))
        rest = float(np.median(np.delete(found, odd)))
        return False, (
            f"it was disturbed for a while: part {odd + 1} of {count} took {found[odd]:.4g} ms, the others {rest:.4g}"
        )
    return False, f"it wavers: {count} equal parts took {found.min():.4g} to {found.max():.4g} ms"


def check_no_stall(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """No query stood still."""
    for block in evidence.blocks:
        if not block.taken:
            continue
        values = [sample.service / 1e6 for sample in block.taken]
        typical, most = statistics.median(values), max(values)
        line = max(limits.stall * typical, typical + limits.stall_ms)
        beyond = sum(value > line for value in values)
        have = most / typical if typical > 0 else 0.0
        ok = not beyond
        why = f"the longest of {len(values)} queries took {most:.4g} ms, {have:.1f} times the median"
        if beyond == 1:
            why += ": something stood still once"
        elif beyond > 0.01 * len(values) + 2:
            why += f": {beyond} are as long, so this is a heavy tail and no accident"
        elif beyond:
            why += f": something stood still {beyond} times"
        yield Check(id="no-stall", block=block.name, ok=ok, why=why, have=round(have, 2), limit=limits.stall)


def _services(block: BlockEvidence) -> Floats:
    """Milliseconds from issue to answer, in order; what an engine does, whatever the queue before it."""
    return without_inputs(
        [sample.service / 1e6 for sample in block.taken], [sample.input for sample in block.taken]
    )


def _still_warming_up(values: Floats, limits: Limits) -> bool:
    have = excess(levels(values, limits.windows))
    return have > limits.warm_up_enough and have > chance_excess(values, limits.windows)
