# SPDX-License-Identifier: Apache-2.0
"""Was the machine left alone? Looks at it, between those that bracket the time in which a block was measured."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from stillflow_bench.latency.checks.check import Check
from stillflow_bench.latency.checks.evidence import BlockEvidence, Evidence
from stillflow_bench.latency.limits import Limits
from stillflow_bench.latency.record import Look

PERIOD = 0.1
"""Seconds of a control group's period (cpu.cfs_period_us, the kernel's and everybody's default)."""

RESOLUTION = 0.05
"""Seconds of processor time below which nothing is told: counters go in ticks of 0.01, twice for either end."""

MANY = 10
"""Processors of which at most a share may be used by others: a tenth of 64 are six at work, which take memory and
clocks from ours."""

HARMLESS = ("idle", "clocks set by an application", "clocks set for the display", "power cap")
"""What holds a GPU's clocks back and breaks nothing. Boards under full load live at their power cap: that counts where
the clock falls."""

Reading = Callable[[Look], "float | int | None"]


def check_telemetry_there(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """Somebody looked at the machine while each block was measured."""
    if evidence.looks_damage:
        yield Check(id="telemetry-there", ok=False, why=evidence.looks_damage)
        return
    for block in _measured(evidence):
        have = longest_gap(block, evidence)
        ok = True if have <= limits.looks else None
        why = f"{have:.1f} s passed at most between two looks at the machine"
        yield Check(
            id="telemetry-there",
            block=block.name,
            ok=ok,
            why=why if have < 1e6 else "nobody looked at the machine meanwhile",
            severity="warning",
            have=round(have, 3) if have < 1e6 else None,
            limit=limits.looks,
        )


def check_quiet_machine(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """Nobody else used the processors, other guests of the host did not take them, and no quota ran out."""
    cores = max(1, evidence.record.host.cores)
    for block in _measured(evidence):
        seconds = _seconds(block)
        busy = increase(block, evidence, lambda look: look.busy)
        own = increase(block, evidence, lambda look: look.own)
        if busy is None or own is None or busy < own / 2 - RESOLUTION:
            why = "the machine does not tell who used its processors"
            yield Check(id="quiet-machine", block=block.name, ok=None, why=why, limit=limits.quiet)
        else:
            others = max(0.0, busy - own - RESOLUTION)
            have = 100 * others / (seconds * min(cores, MANY))
            yield Check(
                id="quiet-machine",
                block=block.name,
                ok=have <= limits.quiet,
                why=f"others used {100 * others / (seconds * cores):.1f} % of {cores} processors"
                + (f", as much as {have:.1f} % of {MANY}" if cores > MANY else ""),
                have=round(have, 2),
                limit=limits.quiet,
            )
        steal = increase(block, evidence, lambda look: look.steal)
        if steal is not None:
            # Of what was wanted: processors that idle cannot be stolen.
            wanted = seconds * cores if busy is None else min(seconds * cores, max(0.0, busy) + steal)
            have = 100 * max(0.0, steal - RESOLUTION) / max(wanted, RESOLUTION)
            yield Check(
                id="no-steal",
                block=block.name,
                ok=have <= limits.steal,
                why=f"other guests of the host took {have:.1f} % of the processor time that was wanted",
                have=round(have, 2),
                limit=limits.steal,
            )
        held = increase(block, evidence, lambda look: look.throttled)
        if held is not None:
            have = 100 * max(0.0, held - 1) / max(1.0, seconds / PERIOD)
            yield Check(
                id="no-quota",
                block=block.name,
                ok=have <= limits.throttled,
                why=f"the control group was held back in {held:.0f} periods, {have:.1f} % of them",
                have=round(have, 2),
                limit=limits.throttled,
            )


def check_no_throttle(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """Clocks stayed up, and nothing became too hot."""
    looks = [evidence.record.before, *evidence.looks, evidence.record.after]
    on_gpu = any(_on_gpu(block) for block in evidence.blocks)
    told = any(look.mhz is not None or look.celsius is not None for look in looks)
    if not told and not (on_gpu and any(look.gpu for look in looks)):
        why = "the machine tells neither clocks nor temperatures"
        yield Check(id="no-throttle", ok=None, why=why, severity="warning")
    for block in _measured(evidence):
        seen = looks_at(block, evidence)
        faults = [
            *_fallen("processors", [look.mhz for look in seen], limits),
            *_hot("processor", [look.celsius for look in seen], limits),
        ]
        if _on_gpu(block):
            faults += _fallen("GPU", [_number(look.gpu.get("mhz")) for look in seen], limits)
            faults += sorted({f"the GPU was held back: {why}" for look in seen for why in _held_back(look)})
        if faults or told or (_on_gpu(block) and any(look.gpu for look in seen)):
            why = "; ".join(faults) or "clocks stayed up and nothing became hot"
            yield Check(id="no-throttle", block=block.name, ok=not faults, why=why, limit=limits.clock_drop)


def check_gpu_exclusive(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """No other program was on the GPU."""
    for block in _measured(evidence):
        if not _on_gpu(block):
            continue
        whole = (evidence.record.before, *looks_at(block, evidence), evidence.record.after)
        lists = [look.gpu.get("processes") for look in whole]
        known = [found for found in lists if isinstance(found, list)]
        others = sorted({_program(one) for found in known for one in found})
        why = f"other programs were on it: {', '.join(others)[:200]}" if others else "nobody else was on it"
        if not known:
            why = "nobody knows what else was on the GPU"
        yield Check(id="gpu-exclusive", block=block.name, ok=not others if known else None, why=why)


def longest_gap(block: BlockEvidence, evidence: Evidence) -> float:
    """Seconds between two looks that tell processor time, while a block was measured; infinite: none bracket it."""
    whole = (evidence.record.before, *evidence.looks, evidence.record.after)
    told = sorted(look.at for look in whole if look.busy is not None and look.own is not None)
    if not told or told[0] > block.spells[0][0] or told[-1] < block.spells[-1][1]:
        return float("inf")
    gaps = [
        later - earlier
        for earlier, later in itertools.pairwise(told)
        if any(earlier < end and begin < later for begin, end in block.spells)
    ]
    return max(gaps, default=0) / 1e9


def looks_at(block: BlockEvidence, evidence: Evidence) -> list[Look]:
    """Looks during a block's turns."""
    return [look for look in evidence.looks if any(begin <= look.at <= end for begin, end in block.spells)]


def increase(block: BlockEvidence, evidence: Evidence, reading: Reading) -> float | None:
    """By how much a counter grew while a block was measured, between looks as if it grew evenly.

    Returns:
        None where fewer than two looks tell it, or none as late as the block's end.
    """
    whole = (evidence.record.before, *evidence.looks, evidence.record.after)
    told = [(look.at, float(value)) for look in whole if (value := reading(look)) is not None]
    told.sort()
    if len(told) < 2 or told[0][0] > block.spells[0][0] or told[-1][0] < block.spells[-1][1]:
        return None
    at, values = np.array(told, float).T
    ends = np.interp(np.array(block.spells, float), at, values)
    return float((ends[:, 1] - ends[:, 0]).sum())


def _measured(evidence: Evidence) -> Iterator[BlockEvidence]:
    return (block for block in evidence.blocks if block.taken)


def _seconds(block: BlockEvidence) -> float:
    return max(1e-9, sum(end - begin for begin, end in block.spells) / 1e9)


def _fallen(what: str, clocks: Sequence[float | None], limits: Limits) -> Iterator[str]:
    """A sentence where a clock fell: the last third of looks against the fastest third."""
    known = [clock for clock in clocks if clock is not None and clock > 0]
    third = len(known) // 3
    if third < 1:
        return
    best = max(statistics.median(known[k : k + third]) for k in range(0, len(known) - third + 1, third))
    last = statistics.median(known[-third:])
    if last < best * (1 - limits.clock_drop / 100):
        yield f"the clock of the {what} fell from {best:.0f} to {last:.0f} MHz"


def _hot(what: str, degrees: Sequence[float | None], limits: Limits) -> Iterator[str]:
    most = max((value for value in degrees if value is not None), default=None)
    if most is not None and most >= limits.celsius:
        yield f"the {what} became {most:.0f} degrees Celsius hot"


def _on_gpu(block: BlockEvidence) -> bool:
    device = block.measured.facts.device or block.block.target.subject.device
    return device.lower().startswith("cuda")


def _held_back(look: Look) -> list[str]:
    reasons = look.gpu.get("held_back")
    found = reasons if isinstance(reasons, list) else []
    return [str(reason)[:80] for reason in found if reason not in HARMLESS]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and abs(value) < 1e12 else None


def _program(told: object) -> str:
    return str(told.get("program", "unknown"))[:80] if isinstance(told, dict) else "unknown"
