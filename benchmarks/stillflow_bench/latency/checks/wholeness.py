# SPDX-License-Identifier: Apache-2.0
"""Is everything there that was planned, and everything as it was written?"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from stillflow_bench.latency.checks.check import Check, Severity
from stillflow_bench.latency.checks.evidence import BlockEvidence, Evidence
from stillflow_bench.latency.limits import Limits
from stillflow_bench.latency.percentile import Summary
from stillflow_bench.latency.summaries import summaries

ROUNDING = 1e-9
"""Share by which a summary may differ from one made anew: sums of floats in another order."""

ROOM_NS = 1_000_000_000
"""That a sample may lie outside its block's window. The window is read in the run's process, around the orders."""


def check_plan_kept(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """Every planned block is there, as it was planned; one that could not be measured has a reason."""
    record = evidence.record
    planned = {block.name: block for block in record.plan.blocks}
    found = {one.block.name: one for one in record.measured}
    if not evidence.blocks:
        yield Check(id="plan-kept", ok=False, why="nothing was measured", need=len(planned), have=0)
    if record.interrupted:
        yield Check(id="plan-kept", ok=False, why="somebody ended the run before it was done")
    for name in sorted(set(planned) | set(found)):
        if name not in found or name not in planned:
            why = "it was planned and is not there" if name in planned else "nobody planned it"
            yield Check(id="plan-kept", block=name, ok=False, why=why)
        elif found[name].missing:
            severity: Severity = "invalid" if planned[name].role == "ours" else "note"
            why = f"not measured: {found[name].missing}"
            yield Check(id="plan-kept", block=name, ok=False, why=why, severity=severity)
        elif found[name].block != planned[name]:
            yield Check(id="plan-kept", block=name, ok=False, why="something else was measured than planned")
        else:
            yield Check(id="plan-kept", block=name, ok=True, why="measured as planned")


def check_unedited(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """The record and the looks at the machine are what the run wrote."""
    why = evidence.edited or "result.json and telemetry.jsonl are what the run wrote"
    yield Check(id="unedited", ok=not evidence.edited, why=why)


def check_samples_complete(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """Every line is there and is what was written; nobody trimmed, and the summaries are those of the samples."""
    for block in evidence.blocks:
        fault = next(_faults(block), "")
        yield Check(
            id="samples-complete",
            block=block.name,
            ok=not fault,
            why=fault or f"all {len(block.samples)} samples are there, and sum up to what result.json says",
            need=block.measured.samples,
            have=len(block.samples),
        )


def _faults(block: BlockEvidence) -> Iterator[str]:
    """What does not hold together, the worst first."""
    measured, samples = block.measured, block.samples
    if block.damage:
        yield block.damage
        return
    if len(samples) != measured.samples:
        yield f"the file holds {len(samples)} samples, {measured.samples} were recorded"
    if [sample.index for sample in samples] != list(range(len(samples))):
        yield "samples were dropped, doubled or numbered anew"
    if block.sha256 != measured.sha256:
        yield "the samples are not those that were recorded: their SHA-256 differs"
    if not block.taken:
        yield "no query was measured and answered"
        return
    yield from _clock_faults(block)
    made = summaries(block.block, samples)
    if set(made) != set(measured.summaries):
        yield "result.json sums up other boundaries than the samples have"
    for name in sorted(set(made) & set(measured.summaries)):
        if not same(made[name], measured.summaries[name]):
            yield f"the summary of {name} in result.json is not that of the samples"


def _clock_faults(block: BlockEvidence) -> Iterator[str]:
    """Times that no clock shows."""
    free: dict[int, int] = {}
    turn = 0
    began, ended = block.measured.began - ROOM_NS, block.measured.ended + ROOM_NS
    for sample in block.samples:
        if sample.phase == "measured" and sample.round < turn:
            yield f"query {sample.index} belongs to a turn that was over"
        turn = sample.round if sample.phase == "measured" else turn
    for sample in sorted(block.samples, key=lambda one: (one.issued, one.done)):
        if sample.done < sample.issued:
            yield f"query {sample.index} was done before it was issued"
        elif sample.scheduled is not None and sample.issued < sample.scheduled:
            yield f"query {sample.index} was issued before it was due"
        elif sample.issued < free.get(sample.lane, sample.issued):
            yield f"query {sample.index} was issued while its lane was busy"
        elif not began <= sample.issued <= sample.done <= ended:
            yield f"query {sample.index} lies outside the time in which its block was measured"
        elif not 0 <= sample.lane < max(1, block.load.lanes):
            yield f"query {sample.index} was on lane {sample.lane} of {block.load.lanes}"
        free[sample.lane] = sample.done


def same(one: Summary, other: Summary) -> bool:
    """Whether two summaries say the same."""
    return _alike(msgspec.to_builtins(one), msgspec.to_builtins(other))


def _alike(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return set(one) == set(other) and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) <= ROUNDING * max(abs(one), abs(other), 1e-6)
    return one == other


def check_no_errors(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """Every query was answered."""
    for block in evidence.blocks:
        failed = [sample for sample in block.samples if sample.error]
        why = f"{len(failed)} of {len(block.samples)} queries failed"
        if failed:
            why += f": {failed[0].error[:200]}"
        yield Check(
            id="no-errors", block=block.name, ok=not failed, why=why, need=0, have=len(failed), limit=0
        )
