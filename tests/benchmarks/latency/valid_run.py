# SPDX-License-Identifier: Apache-2.0
"""A run that nothing is wrong with, made without measuring anything; tests break one thing in it at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from stillflow_bench.latency.checks.check import Check
from stillflow_bench.latency.checks.evidence import BlockEvidence, Evidence
from stillflow_bench.latency.judge import Verdict, judged
from stillflow_bench.latency.limits import Limits
from stillflow_bench.latency.plan import Block, Load, Plan
from stillflow_bench.latency.record import (
    TELEMETRY,
    Host,
    Look,
    Measured,
    Record,
    Tool,
    sample_path,
    write_record,
)
from stillflow_bench.latency.sample import Sample, write_samples
from stillflow_bench.latency.subject import Subject
from stillflow_bench.latency.summaries import summaries
from stillflow_bench.latency.target import Facts, TargetSpec

SECOND, MS = 1_000_000_000, 1_000_000
PHOTOS = 32

SUBJECT = Subject(engine="onnxruntime", precision="fp32", device="cpu")

FLOW, GENERATOR = "f" * 64, "9" * 64

FACTS = Facts(
    engine="onnxruntime",
    version="1.2",
    provider="CPUExecutionProvider",
    precision={"flow": "fp32", "generator": "fp32"},
    device="cpu",
    frames="C",
    hashes={"bundle": "b" * 64, "flow": FLOW, "generator": GENERATOR},
    receipts={
        "flow": {"gate": "A", "onnx_sha256": FLOW, "passed": True},
        "generator": {"gate": "A", "onnx_sha256": GENERATOR, "passed": True},
    },
    inputs=[hashlib.sha256(str(k).encode()).hexdigest() for k in range(PHOTOS)],
    photos=[f"photo{k}.webp" for k in range(PHOTOS)],
)

Change = Callable[[Sample], Sample]


def block(name: str = "ours", **load: Any) -> Block:
    """Ours at B2: 96 queries after 5, in 3 turns, and 8 with one input."""
    known = {"queries": 96, "warm_up": 5, "audit": 8, "rounds": 3, **load}
    return Block(
        name,
        name,
        "ours",
        TargetSpec("networks", "B2.call", SUBJECT),
        Load(**known),
        claims=(50.0, 90.0),
    )


def samples_of(one: Block, start: int, *, typical: float = 20.0, seed: int = 0) -> list[Sample]:
    """Samples of a block as its driver makes them; times scatter by 3 %.

    Args:
        one: the block.
        start: nanoseconds at which its warm-up begins.
        typical: milliseconds of a query.
        seed: of the scatter.
    """
    rng = np.random.default_rng(seed)
    load = one.load
    together = load.lanes if load.scenario == "multi_stream" else 1
    samples: list[Sample] = []
    now = start
    free = [start] * load.lanes

    def ask(phase: Any, input: int, turn: int, due: int | None, lane: int) -> None:
        nonlocal now
        service = round(typical * MS * (1 + 0.03 * float(np.clip(rng.normal(), -3, 3))))
        issued = max(free[lane], now if due is None else due)
        inner = {"B2.call": service - 20_000, "B0.device": service - 60_000}
        own = {name: span for name, span in inner.items() if name < one.target.boundary}
        samples.append(
            Sample(
                index=len(samples),
                phase=phase,
                input=input,
                issued=issued,
                done=issued + service,
                scheduled=due,
                lane=lane,
                round=turn,
                spans=own,
                digest=f"{input:016x}",
            )
        )
        free[lane] = issued + service + 1000
        now = max(now, free[lane]) if due is None and load.lanes == 1 else now

    for k in range(load.warm_up):
        ask("warm-up", k % PHOTOS, 0, None, 0)
    counter = 0
    for turn in range(load.rounds):
        now = max(free) + SECOND
        for _ in range(load.queries // load.rounds):
            if load.scenario == "server":
                now += round(rng.exponential(1 / load.rate) * SECOND)
                lane = int(np.argmin(free))
                ask("measured", counter % PHOTOS, turn, now, lane)
                counter += 1
                continue
            begin = max(free) if together > 1 else None
            for lane in range(together):
                ask("measured", counter % PHOTOS, turn, begin, lane)
                counter += 1
    now = max(free) + SECOND
    for _ in range(load.audit):
        ask("audit", 0, 0, None, 0)
        now = max(now, free[0])
    return samples


@dataclass
class Run:
    """A run in memory.

    Attributes:
        measured: blocks with all but what is counted of their samples.
        samples: of each, by name.
        looks: at the machine.
        record: what else result.json holds.
    """

    measured: list[Measured]
    samples: dict[str, list[Sample]]
    looks: list[Look]
    record: dict[str, Any] = field(default_factory=dict)

    def block(self, name: str = "ours", **changes: Any) -> None:
        """Change a block, and the plan with it; ``load`` or ``target`` may be a dictionary of changes."""
        for k, one in enumerate(self.measured):
            if one.block.name == name:
                for part in ("load", "target"):
                    if isinstance(changes.get(part), dict):
                        whole = getattr(one.block, part)
                        changes[part] = msgspec.structs.replace(whole, **changes[part])
                self.measured[k] = msgspec.structs.replace(
                    one, block=msgspec.structs.replace(one.block, **changes)
                )

    def facts(self, name: str = "ours", **changes: Any) -> None:
        """Change what a target says of itself."""
        for k, one in enumerate(self.measured):
            if one.block.name == name:
                self.measured[k] = msgspec.structs.replace(
                    one, facts=msgspec.structs.replace(one.facts, **changes)
                )

    def change(self, change: Change, name: str = "ours") -> None:
        """Change every sample of a block."""
        self.samples[name] = [change(sample) for sample in self.samples[name]]

    def slower(self, factor: Callable[[Sample], float], name: str = "ours") -> None:
        """Make measured queries slower, and move what comes after them."""
        later = 0
        changed = []
        for sample in self.samples[name]:
            more = 0
            if sample.phase == "measured":
                more = round(sample.service * (factor(sample) - 1))
            changed.append(
                msgspec.structs.replace(sample, issued=sample.issued + later, done=sample.done + later + more)
            )
            later += more
        self.samples[name] = changed
        for k, one in enumerate(self.measured):
            if one.block.name == name:
                self.measured[k] = msgspec.structs.replace(one, ended=one.ended + max(later, 0))
        self.looks = looks(max(one.ended for one in self.measured) + 2 * SECOND)

    def whole(self) -> Record:
        """result.json as a run writes it."""
        measured = tuple(
            one
            if one.missing
            else msgspec.structs.replace(
                one,
                samples=len(self.samples[one.block.name]),
                sha256=_hash(self.samples[one.block.name]),
                summaries=summaries(one.block, self.samples[one.block.name]),
            )
            for one in self.measured
        )
        known: dict[str, Any] = {
            "schema": "1.0",
            "tool": Tool("0.1.0", "0123456789ab", "stillflow-bench run", "2026-01-02T03:04:05Z"),
            "host": Host("tin-can-2core", "Tin Can", 2, 4.0, "Linux 6 x86_64", "3.11.0", {"numpy": "2.0"}),
            "plan": Plan("own", tuple(one.block for one in measured)),
            "measured": measured,
            "before": self.looks[0],
            "after": self.looks[-1],
        }
        return Record(**{**known, **self.record})

    def evidence(self) -> Evidence:
        """What the judge would read."""
        record = self.whole()
        blocks = tuple(
            BlockEvidence(one, tuple(self.samples[one.block.name]), one.sha256)
            for one in record.measured
            if not one.missing
        )
        return Evidence(record, blocks, tuple(self.looks[1:-1]))

    def judged(self, limits: Limits | None = None) -> Verdict:
        """The verdict."""
        return judged(self.evidence(), limits or Limits())

    def write(self, folder: Path) -> Path:
        """Write the run's folder."""
        record = self.whole()
        for one in record.measured:
            if not one.missing:
                write_samples(sample_path(folder, one.block.name), self.samples[one.block.name])
        lines = [msgspec.json.encode(look) for look in self.looks[1:-1]]
        (folder / TELEMETRY).write_bytes(b"\n".join(lines) + b"\n")
        write_record(folder, record)
        return folder


def looks(until: int, **changes: Any) -> list[Look]:
    """A look every half a second of a machine on which 1.2 processors work for the run, and 0.01 for others.

    Args:
        until: nanoseconds; the first look is at 0.
        changes: fields that all of them have.
    """
    return [
        Look(
            **{
                "at": at,
                "load": 1.0,
                "busy": 500 + 1.21 * at / SECOND,
                "own": 2 + 1.2 * at / SECOND,
                "steal": 3.0,
                "throttled": 7,
                "mhz": 3000.0,
                "celsius": 60.0,
                **changes,
            }
        )
        for at in range(0, until + SECOND, SECOND // 2)
    ]


def run_of(*blocks: Block, facts: Facts = FACTS, typical: float = 20.0) -> Run:
    """A run of blocks, one after the other."""
    now = 2 * SECOND
    measured, samples = [], {}
    for seed, one in enumerate(blocks):
        own = samples_of(one, now + SECOND, typical=typical, seed=seed)
        end = max(sample.done for sample in own) + SECOND
        about = Facts() if one.target.kind == "copy" else facts
        measured.append(Measured(one, about, began=now, ended=end, rss_peak=10**8, cpu_seconds=2.0))
        samples[one.name] = own
        now = end
    return Run(measured, samples, looks(now + 2 * SECOND))


def broken(verdict: Verdict) -> set[tuple[str, str]]:
    """(Block, id) of the checks that make something INVALID."""
    return {(check.block, check.id) for check in verdict.checks if check.condemns}


def found(verdict: Verdict, id: str, name: str = "ours") -> Check:
    """The one check of a block."""
    (one,) = [check for check in verdict.checks if (check.block, check.id) == (name, id)]
    return one


def _hash(samples: list[Sample]) -> str:
    return hashlib.sha256(b"".join(msgspec.json.encode(one) + b"\n" for one in samples)).hexdigest()
