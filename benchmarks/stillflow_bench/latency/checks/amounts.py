# SPDX-License-Identifier: Apache-2.0
"""Was enough measured for what is claimed?"""

from __future__ import annotations

from collections.abc import Iterator

from stillflow_bench.latency.checks.check import Check
from stillflow_bench.latency.checks.evidence import BlockEvidence, Evidence
from stillflow_bench.latency.limits import Limits
from stillflow_bench.latency.percentile import CLAIMS, needed, percentile_name

TIMER = 0.01
"""Share of the seconds asked for that may be missing: they are counted from the order, not from the first query."""


def check_min_samples(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """The samples suffice for every percentile that is claimed, and what was asked for was done."""
    for block in evidence.blocks:
        if block.damage:
            continue  # samples-complete tells
        have = len(block.taken)
        for rank in block.block.claims:
            yield _claim(block, rank, have)
        need = block.load.queries * (block.load.lanes if block.load.scenario == "multi_stream" else 1)
        asked = sum(sample.phase == "measured" for sample in block.samples)
        yield Check(
            id="min-samples:queries",
            block=block.name,
            ok=asked >= need,
            why=f"{asked} queries were measured, {need} were asked for",
            need=need,
            have=asked,
        )
        if block.load.seconds > 0:
            yield _seconds(block)


def _claim(block: BlockEvidence, rank: float, have: int) -> Check:
    name = f"min-samples:{percentile_name(rank)}"
    if rank not in CLAIMS:
        return Check(id=name, block=block.name, ok=False, why=f"nobody can claim a {percentile_name(rank)}")
    need = needed(rank)
    why = f"{have} samples for a {percentile_name(rank)}, which needs {need}"
    return Check(id=name, block=block.name, ok=have >= need, why=why, need=need, have=have)


def _seconds(block: BlockEvidence) -> Check:
    have = sum(end - begin for begin, end in block.spells) / 1e9
    if block.load.scenario == "server":  # queries arrive for so long; the last gap is not waited for
        gap = 1 / block.load.rate if block.load.rate > 0 else 0.0
        have += 3 * gap * len(block.spells)
    need = block.load.seconds
    return Check(
        id="min-samples:seconds",
        block=block.name,
        ok=have >= need * (1 - TIMER),
        why=f"it was measured for {have:.1f} s, {need:g} s were asked for",
        need=need,
        have=round(have, 3),
    )
