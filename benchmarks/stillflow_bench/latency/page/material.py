# SPDX-License-Identifier: Apache-2.0
"""What a page is made of: a run's record, its samples as arrays, its telemetry, and the judge's verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stillflow_bench.latency.boundary import BOUNDARIES, Boundary
from stillflow_bench.latency.checks.evidence import read_evidence
from stillflow_bench.latency.comparable import reference
from stillflow_bench.latency.judge import Verdict, judged, keep
from stillflow_bench.latency.limits import Limits
from stillflow_bench.latency.percentile import Summary, summarise
from stillflow_bench.latency.plan import Block
from stillflow_bench.latency.record import Look, Measured, Record
from stillflow_bench.latency.sample import Sample
from stillflow_bench.latency.target import Role

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Shown:
    """A block with every sample of its.

    Attributes:
        measured: as in the record.
        samples: by index, warm-up and audit among them.
        damage: why they cannot be read; "" where they can.
    """

    measured: Measured
    samples: Sequence[Sample]
    damage: str = ""

    @property
    def block(self) -> Block:
        """As planned."""
        return self.measured.block

    @cached_property
    def good(self) -> list[Sample]:
        """Measured and answered, in the order in which they began."""
        found = [s for s in self.samples if s.phase == "measured" and not s.error]
        return sorted(found, key=lambda sample: sample.issued)

    @cached_property
    def turns(self) -> dict[int, list[Sample]]:
        """``good`` by round."""
        found: dict[int, list[Sample]] = {}
        for sample in self.good:
            found.setdefault(sample.round, []).append(sample)
        return found

    @cached_property
    def failed(self) -> int:
        """Measured queries without an answer."""
        return sum(bool(s.error) for s in self.samples if s.phase == "measured")

    @cached_property
    def latencies(self) -> Values:
        """Milliseconds of ``good``; by the target's own clock where that measures the boundary (events on a GPU)."""
        own = self.block.target.boundary
        return np.asarray([sample.spans.get(own, sample.latency) for sample in self.good], float) / 1e6

    @cached_property
    def spans(self) -> dict[str, Values]:
        """Name -> milliseconds inside those queries that have it, in the order in which names are first seen."""
        found: dict[str, list[int]] = {}
        for sample in self.good:
            for name, spent in sample.spans.items():
                found.setdefault(name, []).append(spent)
        return {name: np.asarray(spent, float) / 1e6 for name, spent in found.items()}

    @cached_property
    def summary(self) -> Summary | None:
        """Of the block's own boundary, from the samples, not from the record; None: no query was answered."""
        return summarise(self.latencies.tolist()) if len(self.latencies) else None

    @cached_property
    def inner(self) -> dict[str, Summary]:
        """Boundaries inside the queries."""
        own = self.block.target.boundary
        return {
            name: summarise(spent.tolist())
            for name, spent in self.spans.items()
            if name in BOUNDARIES and name != own
        }

    @property
    def median(self) -> float:
        """Milliseconds, by nearest rank, however few the samples are; NaN without any."""
        return (
            float(np.sort(self.latencies)[(len(self.latencies) - 1) // 2]) if len(self.latencies) else np.nan
        )


@dataclass(frozen=True)
class Material:
    """A run, read.

    Attributes:
        folder: where it lies.
        record: result.json.
        shown: a block each, in the plan's order.
        telemetry: looks at the machine, in their order.
        verdict: the judge's.
    """

    folder: Path
    record: Record
    shown: tuple[Shown, ...]
    telemetry: Sequence[Look]
    verdict: Verdict

    @cached_property
    def answered(self) -> list[Shown]:
        """Blocks with at least one measured query."""
        return [one for one in self.shown if len(one.latencies)]

    @cached_property
    def drawable(self) -> list[Shown]:
        """Those of them that fit a logarithmic axis: a query that takes no time is none, and the judge says so."""
        return [one for one in self.answered if one.latencies.min() > 0]

    @cached_property
    def against(self) -> dict[str, list[str]]:
        """Block's name -> why the judge refuses it; only those that he refuses."""
        found: dict[str, list[str]] = {}
        for check in self.verdict.checks:
            if check.condemns and check.block:
                found.setdefault(check.block, []).append(check.why)
        return found

    @cached_property
    def reasons(self) -> list[str]:
        """Why the run is INVALID, as the judge sees it: what is wrong with it as a whole, and with blocks of ours."""
        titles = {one.block.name: f"{one.block.title} ({one.block.name})" for one in self.shown}
        others = {one.block.name for one in self.shown if one.block.role != "ours"}
        found = [check for check in self.verdict.checks if check.condemns and check.block not in others]
        return [f"{titles[c.block]}: {c.why}" if c.block in titles else c.why for c in found]

    def reference(self, one: Shown, role: Role) -> Shown | None:
        """The block of a role that another one is compared with."""
        name = reference(one.block, role, [other.block for other in self.answered])
        return next((other for other in self.answered if other.block.name == name), None)

    def comparable(self) -> list[tuple[Boundary, list[Shown]]]:
        """Drawable blocks that do comparable work, with their boundary: of one group, or alone; in the plan's order."""
        found: dict[tuple[Boundary, str], list[Shown]] = {}
        for one in self.drawable:
            block = one.block
            found.setdefault((block.target.boundary, block.group or block.name), []).append(one)
        return [(boundary, members) for (boundary, _), members in found.items()]


def read_material(folder: Path) -> Material:
    """Read a run and judge it. Damaged samples are no error: their block says so, and the judge refuses it.

    Raises:
        StillflowError: there is no result.json that can be read.
    """
    evidence = read_evidence(folder)
    found = {one.name: one for one in evidence.blocks}
    shown = []
    for measured in evidence.record.measured:
        one = found.get(measured.block.name)
        shown.append(Shown(measured, one.samples, one.damage) if one else Shown(measured, ()))
    verdict = keep(folder, judged(evidence, Limits()))
    return Material(folder, evidence.record, tuple(shown), evidence.looks, verdict)
