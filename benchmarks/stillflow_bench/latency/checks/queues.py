# SPDX-License-Identifier: Apache-2.0
"""Was the load what it says: arrivals as drawn and issued when due, a queue that does not grow, all lanes at work?"""

from __future__ import annotations

import heapq
import math
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from stillflow_bench.latency.checks.check import Check
from stillflow_bench.latency.checks.evidence import BlockEvidence, Evidence
from stillflow_bench.latency.checks.windows import rank_correlation
from stillflow_bench.latency.limits import Limits
from stillflow_bench.latency.percentile import percentile
from stillflow_bench.latency.sample import Sample

SURE = 3.0
"""Standard errors: chance goes beyond them once in 370 times."""

FEW = 10
"""Arrivals of a turn, below which neither a rate nor a trend can be told."""


KNEE = 0.9
"""Of what its lanes can serve: a plan that lets so much arrive, or more, looks for where the queue runs away."""


def _servers(evidence: Evidence) -> Iterator[BlockEvidence]:
    return (block for block in evidence.blocks if block.load.scenario == "server" and block.taken)


def check_schedule_kept(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """What arrived while a lane was idle was issued at once: otherwise the generator was measured."""
    for block in _servers(evidence):
        if any(sample.scheduled is None for sample in block.taken):
            why = "queries have no time at which they arrived"
            yield Check(id="schedule-kept", block=block.name, ok=False, why=why)
            continue
        late = [late for turn in _turns(block) for late in lateness(turn, block.load.lanes)]
        have = percentile(late, 95) / 1e6
        yield Check(
            id="schedule-kept",
            block=block.name,
            ok=have <= limits.late_ms,
            why=f"95 % of {len(late)} arrivals were issued within {have:.3g} ms of when a lane was idle",
            have=round(have, 6),
            limit=limits.late_ms,
        )


def lateness(turn: Sequence[Sample], lanes: int) -> list[int]:
    """Nanoseconds from when each arrival could be issued, in the order of arrival: it had come, and a lane was idle.

    Args:
        turn: samples of one turn, failed ones among them.
        lanes: that served.
    """
    late = []
    busy: list[int] = []  # when those that end last end, one a lane
    for sample in sorted(turn, key=lambda one: (_due(one), one.issued)):
        idle = busy[0] if len(busy) >= max(1, lanes) else _due(sample)
        late.append(sample.issued - max(_due(sample), idle))
        heapq.heappush(busy, sample.done)
        if len(busy) > max(1, lanes):
            heapq.heappop(busy)
    return late


def check_arrival_rate(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """As many arrived a second as were meant to."""
    for block in _servers(evidence):
        rate = block.load.rate
        spans, count = 0, 0
        for turn in _turns(block):
            due = [_due(sample) for sample in turn]
            spans += max(due) - min(due)
            count += len(due) - 1
        if count < FEW or spans <= 0 or rate <= 0:
            why = f"{count + 1} arrivals are too few to tell a rate"
            yield Check(id="arrival-rate", block=block.name, ok=None if rate > 0 else False, why=why)
            continue
        have = 1e9 * count / spans
        off = 100 * abs(have / rate - 1)
        allowed = limits.arrival_rate + 100 * SURE / math.sqrt(count)
        yield Check(
            id="arrival-rate",
            block=block.name,
            ok=off <= allowed,
            why=f"{have:.4g} queries arrived a second, {rate:.4g} were meant to",
            need=rate,
            have=round(have, 6),
            limit=round(allowed, 3),
        )


def check_queue_stable(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """Arrivals do not wait longer and longer: above the knee a latency only says how long was measured."""
    for block in _servers(evidence):
        typical = statistics.median(sample.service for sample in block.taken)
        found = [growth(turn, typical) for turn in _turns(block) if len(turn) >= FEW and typical > 0]
        if not found:
            why = "too few arrivals in a turn to tell whether the queue grows"
            yield Check(id="queue-stable", block=block.name, ok=None, why=why)
            continue
        have, trend = max(found)
        use = block.load.rate * typical / 1e9 / max(1, block.load.lanes)
        ok = have <= limits.queue_growth or trend < 0.5
        yield Check(
            id="queue-stable",
            block=block.name,
            ok=ok,
            severity="warning" if block.load.share >= KNEE else "invalid",
            why=f"waits {'grow' if not ok else 'change'} by {have:+.2f} services over a turn; "
            f"lanes are busy {100 * use:.0f} % of the time",
            have=round(have, 3),
            limit=limits.queue_growth,
        )


def growth(turn: Sequence[Sample], typical: float) -> tuple[float, float]:
    """(Services by which waits grow from the begin to the end of a turn, rank correlation of wait and time).

    Args:
        turn: samples of one turn.
        typical: median service, ns.
    """
    ordered = sorted(turn, key=_due)
    waits = np.array([sample.issued - _due(sample) for sample in ordered], float) / typical
    due = np.array([_due(sample) for sample in ordered], float)
    due -= due.mean()
    slope = float((due * waits).sum() / (due**2).sum()) if due.any() else 0.0
    return slope * float(due[-1] - due[0]), rank_correlation(waits)


def check_lanes_used(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """Where several lanes were asked for, all worked."""
    for block in evidence.blocks:
        need = block.load.lanes
        if not block.taken or need < 2 or block.load.scenario == "server":
            continue
        used = Counter(sample.lane for sample in block.taken)
        idle = need - len(used)
        together = block.load.scenario == "multi_stream"
        uneven = together and max(used.values()) > min(used.values())
        why = f"{len(used)} of {need} lanes worked, {min(used.values())} to {max(used.values())} queries each"
        yield Check(
            id="lanes-used",
            block=block.name,
            ok=not idle and not uneven,
            why=why,
            need=need,
            have=len(used),
        )


def _turns(block: BlockEvidence) -> list[list[Sample]]:
    """Arrivals, answered or not, turn by turn."""
    turns: dict[int, list[Sample]] = {}
    for sample in block.samples:
        if sample.phase == "measured":
            turns.setdefault(sample.round, []).append(sample)
    return list(turns.values())


def _due(sample: Sample) -> int:
    return sample.issued if sample.scheduled is None else sample.scheduled
