# SPDX-License-Identifier: Apache-2.0
"""Is A faster than B? Pairs of fresh processes, one of each, in an order drawn for every pair.

A process has luck of its own that lasts as long as it does: where its memory lies, which cores its threads begin on.
Many queries of one process do not even it out, many processes do. So pairs count: one ratio of medians each.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from stillflow.errors import StillflowError
from stillflow_bench.latency.block_run import Announce
from stillflow_bench.latency.boundary import Boundary
from stillflow_bench.latency.checks import amounts, identity, nesting, surroundings, wholeness
from stillflow_bench.latency.checks.evidence import BlockEvidence, Evidence, read_evidence
from stillflow_bench.latency.limits import Limits
from stillflow_bench.latency.percentile import ratio_interval
from stillflow_bench.latency.plan import Block, Load, Plan
from stillflow_bench.latency.run import run
from stillflow_bench.latency.subject import Subject, parse_subject
from stillflow_bench.latency.summaries import times
from stillflow_bench.latency.target import KINDS, TargetSpec
from stillflow_bench.latency.worker_process import COMMAND, WorkerProcess
from stillflow_bench.report import replace_file

FILE = "comparison.json"

SCHEMA = "1.0"
"""Of that file; as ``record.SCHEMA``."""

FEWEST_PAIRS = 5
"""For any claim."""

CLAIM = 0.99
"""Confidence at which 1 must lie outside the interval for a difference to be claimed: of a hundred comparisons of a
thing with itself, one claims it. The interval that is printed is the usual one, 95 %."""

WARM_UP = 5

Compared = Literal["networks", "frame", "next", "job"]
"""What is compared: kinds of targets, whose boundary both sides have."""

NECESSARY = (
    wholeness.check_samples_complete,
    wholeness.check_no_errors,
    amounts.check_min_samples,
    nesting.check_clock_order,
    identity.check_provider,
    identity.check_precision,
)
"""Checks without which a ratio means nothing. What pairs even out, such as a machine that is not quiet, is not here."""


@dataclass(frozen=True)
class Side:
    """One of the two.

    Attributes:
        text: as it was asked for.
        target: what is opened.
        python: interpreter of the installation that it runs in; "": this one.
    """

    text: str
    target: TargetSpec
    python: str = ""

    def start(self, block: Block) -> WorkerProcess:
        """Start the worker of one of its blocks."""
        command = (self.python, *COMMAND[1:]) if self.python else COMMAND
        return WorkerProcess(block.name, threads=self.target.subject.threads, command=command)


def parse_side(text: str, work: Compared, photos: str = "") -> Side:
    """Read a side.

    Args:
        text: words of a subject, and ``target=KIND`` or ``python=PATH`` among them.
        work: what is compared.
        photos: folder of photos; "": those of the package.

    Raises:
        StillflowError: as ``parse_subject``; there is no such target or interpreter.
    """
    parts = [part.strip() for part in text.split(",")]
    own = dict(part.split("=", 1) for part in parts if part.startswith(("target=", "python=")))
    rest = [part for part in parts if not part.startswith(("target=", "python="))]
    kind, python = own.get("target", work), own.get("python", "")
    if kind not in KINDS:
        raise StillflowError(
            f"cannot compare '{text}'", f"there is no target '{kind}'", f"use one of {', '.join(KINDS)}"
        )
    if python and not Path(python).is_file():
        raise StillflowError(
            f"cannot compare '{text}'",
            f"there is no interpreter {python}",
            "name one, such as python=other/.venv/bin/python",
        )
    subject = parse_subject(",".join(rest), Subject())
    return Side(text or "the defaults", TargetSpec(kind, KINDS[work].boundary, subject, photos), python)


class Pair(msgspec.Struct, frozen=True):
    """Medians of two processes, one after the other, in milliseconds."""

    first: Literal["a", "b"]
    a: float
    b: float

    @property
    def ratio(self) -> float:
        """Of A to B."""
        return self.a / self.b


class Comparison(msgspec.Struct, frozen=True):
    """What pairs say.

    Attributes:
        schema: of comparison.json.
        a: the one side.
        b: the other.
        boundary: of a query.
        queries: measured in each process.
        pairs: all of them, none left out.
        ratio: geometric mean of the pairs' ratios, A to B.
        interval: of it, 95 %.
        claim_interval: of it, 99 %: where 1 lies outside, a difference is claimed.
        differs: whether it is.
        sentence: the same in words.
        disturbed: what a reader should know of the machine; "" where it was quiet. Pairs even out what disturbs both
            sides alike; an engine that suffers more from a busy machine than another does looks slower than it is.
    """

    schema: str
    a: str
    b: str
    boundary: Boundary
    queries: int
    pairs: tuple[Pair, ...]
    ratio: float
    interval: tuple[float, float]
    claim_interval: tuple[float, float]
    differs: bool
    sentence: str
    disturbed: str = ""


def compare(
    a: Side,
    b: Side,
    folder: Path,
    *,
    pairs: int = 7,
    queries: int = 20,
    seed: int = 0,
    announce: Announce,
    overwrite: bool = False,
) -> Comparison:
    """Measure pairs and say what they show. The folder is one of a run, with comparison.json besides.

    Args:
        a: the one side.
        b: the other.
        folder: to write into.
        pairs: of processes.
        queries: measured in each.
        seed: of the order within pairs and of the inputs.
        announce: is told how far it is.
        overwrite: a run that is there already goes.

    Raises:
        StillflowError: a side could not be measured, it was not what was asked for, or the two did different work.
        KeyboardInterrupt: Ctrl-C; what was measured so far is in the folder.
    """
    sides = {"a": a, "b": b}
    plan = plan_of(a, b, pairs=pairs, queries=queries, seed=seed)
    record = run(
        plan,
        folder,
        announce=announce,
        overwrite=overwrite,
        start=lambda block: sides[block.name[0]].start(block),
        strict=True,  # a pair of which one is missing says nothing
    )
    if record.interrupted:
        raise KeyboardInterrupt
    found = compared(read_evidence(folder), a.text, b.text)
    text = msgspec.json.format(msgspec.json.encode(found), indent=1).decode()
    replace_file(folder / FILE, text + "\n")
    return found


def plan_of(a: Side, b: Side, *, pairs: int, queries: int, seed: int) -> Plan:
    """Blocks "a-01", "b-01"... in the order of measuring: each side comes first in half of the pairs, drawn which."""
    dice = random.Random(seed)
    a_first = [number % 2 == 0 for number in range(pairs)]
    dice.shuffle(a_first)
    blocks = []
    for number, first in enumerate(a_first, 1):
        load = Load(queries=queries, warm_up=WARM_UP, seed=seed + number)
        for name, side in (("a", a), ("b", b)) if first else (("b", b), ("a", a)):
            title = f"{name.upper()}: {side.text}, pair {number}"
            blocks.append(Block(f"{name}-{number:02d}", title, "peer", side.target, load))
    return Plan("compare", tuple(blocks), seed)


def compared(evidence: Evidence, a: str, b: str) -> Comparison:
    """What the files of a comparison show.

    Args:
        evidence: of its folder.
        a: what the one side is called.
        b: the other.

    Raises:
        StillflowError: as ``compare``.
    """
    _refuse_missing(evidence)
    _refuse_broken(evidence)
    order = [block.name for block in evidence.blocks]
    blocks = {block.name: block for block in evidence.blocks}
    found = []
    for name in sorted(name for name in order if name.startswith("a-")):
        one, other = blocks[name], blocks[f"b-{name[2:]}"]
        _refuse_other_work(one, other)
        first: Literal["a", "b"] = "a" if order.index(one.name) < order.index(other.name) else "b"
        found.append(Pair(first, _median(one), _median(other)))
    block = evidence.blocks[0]
    whole = concluded(a, b, block.block.target.boundary, block.load.queries, found)
    return msgspec.structs.replace(whole, disturbed=_disturbed(evidence))


def concluded(a: str, b: str, boundary: Boundary, queries: int, pairs: Sequence[Pair]) -> Comparison:
    """What pairs show."""
    ratios = [pair.ratio for pair in pairs]
    ratio, low, high = ratio_interval(ratios)
    _, least, most = ratio_interval(ratios, confidence=CLAIM)
    enough = len(pairs) >= FEWEST_PAIRS
    differs = enough and not least <= 1 <= most
    figures = f"(95 %: {low:.3f} to {high:.3f}, {len(pairs)} pairs)"
    if differs:
        sentence = f"A takes {ratio:.3f} x the time of B {figures}"
    elif enough:
        sentence = f"no difference is shown: A takes {ratio:.3f} x the time of B {figures}"
    else:
        sentence = f"{len(pairs)} pairs show nothing; {FEWEST_PAIRS} or more are needed"
    return Comparison(
        SCHEMA,
        a,
        b,
        boundary,
        queries,
        tuple(pairs),
        ratio,
        (low, high),
        (least, most),
        differs,
        sentence,
    )


def _median(block: BlockEvidence) -> float:
    return statistics.median(times(block.block, block.samples)[block.block.target.boundary])


def _disturbed(evidence: Evidence) -> str:
    broken = [check for check in surroundings.check_quiet_machine(evidence, Limits()) if check.condemns]
    if not broken:
        return ""
    processes = len({check.block for check in broken})
    return (
        f"{processes} of {len(evidence.blocks)} processes were disturbed, such as {broken[0].block}: {broken[0].why}; "
        "compare again when nothing else runs"
    )


def _refuse_missing(evidence: Evidence) -> None:
    if evidence.record.interrupted:
        raise _refused("it ended before it was done", "compare again")
    for one in evidence.record.measured:
        if one.missing:
            raise _refused(f"{one.block.title}: {one.missing}", "put that right, then compare again")
    if not evidence.blocks:
        raise _refused("there are no pairs", "compare again")


def _refuse_broken(evidence: Evidence) -> None:
    for look in NECESSARY:
        for check in look(evidence, Limits()):
            if check.condemns:
                why = f"{check.block}: {check.id}: {check.why}"
                raise _refused(why, "put that right, then compare again")


def _refuse_other_work(one: BlockEvidence, other: BlockEvidence) -> None:
    """Ratios of different work mean nothing."""
    mine, yours = one.measured.facts, other.measured.facts
    if one.block.target.boundary != other.block.target.boundary:
        raise _refused("their times begin and end elsewhere", "compare targets of one boundary")
    if mine.inputs != yours.inputs:
        why = f"the inputs of {one.name} and {other.name} are not the same to the last bit"
        raise _refused(why, "compare at one size, with the same photos and networks of the same inputs")
    if [sample.input for sample in one.taken] != [sample.input for sample in other.taken]:
        raise _refused("they were given inputs in different orders", "compare again")


def _refused(why: str, fix: str) -> StillflowError:
    return StillflowError("A and B cannot be compared", why, fix)
