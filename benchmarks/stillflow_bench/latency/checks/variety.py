# SPDX-License-Identifier: Apache-2.0
"""Were different photos looked at, and looked at anew each time?"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator

from stillflow_bench.latency.checks.check import Check, Severity
from stillflow_bench.latency.checks.evidence import BlockEvidence, Evidence
from stillflow_bench.latency.limits import Limits
from stillflow_bench.latency.percentile import percentile

PLAUSIBLE = 10.0
"""Percentile of the inputs' first times below which no input plausibly lies."""

SOME = 25.0
"""Percentile of the gains of inputs that came again."""

FEWEST_AGAIN = 5
"""Inputs that came again; of fewer, scatter makes the gain."""

LOOPS = 8
"""Photos whose loops ``B3.next`` needs at least: every one is kept in memory, and its frames are the inputs."""


def check_inputs_different(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """Enough different inputs of enough different photos, each about as often as any other."""
    for block in evidence.blocks:
        facts = block.measured.facts
        if not block.taken or not (block.takes_photos or facts.inputs or facts.photos):
            continue
        if block.load.issue == "same":
            yield Check(
                id="inputs-different",
                block=block.name,
                ok=None,
                severity="note",
                why="an audit with one input: no figure of what photos take",
            )
            continue
        yield _different(block, limits)


def _different(block: BlockEvidence, limits: Limits) -> Check:
    facts = block.measured.facts
    used = Counter(sample.input for sample in block.taken)
    known = [facts.inputs[index] for index in used if 0 <= index < len(facts.inputs)]
    # A cold start is about its process, and a whole job takes seconds: each query takes a photo of its own, as far as
    # there are queries.
    long = block.block.target.boundary in ("B4.job", "B5.cold")
    need = min(limits.photos, len(block.taken)) if long else limits.photos
    photos = min(LOOPS, need) if block.block.target.boundary == "B3.next" else need
    have, seen = len(set(known)), len(set(facts.photos))
    severity: Severity = "invalid"
    ok = True
    why = f"{have} different inputs of {seen} photos"
    if len(known) < len(used):
        ok, why = False, f"{len(used)} inputs were used and {len(known)} fingerprints of them are known"
    elif have < need or seen < photos:
        ok, why = False, f"{why}; {need} of {photos} are needed"
        # A peer that takes half a minute a query is told, not thrown out; a limit holds its frames in memory.
        if block.block.role == "limit" or (not block.ours and have == len(block.taken)):
            severity = "warning"
    else:
        few = min(used[index] for index in range(len(facts.inputs)))
        if max(used.values()) - few > limits.uneven:
            ok, why = False, f"inputs were measured {few} to {max(used.values())} times, which is uneven"
    return Check(
        id="inputs-different",
        block=block.name,
        ok=ok,
        why=why,
        severity=severity,
        need=need,
        have=have,
        limit=limits.photos,
    )


def check_outputs_vary(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """Different inputs give different outputs."""
    for block in evidence.blocks:
        # Where nothing moves, all frames of a loop are its photo.
        still = block.block.target.boundary == "B3.next" and block.block.target.subject.moving == 0
        if not block.taken or block.load.issue == "same" or still:
            continue
        of_input: dict[int, str] = {}
        for sample in block.samples:
            if sample.digest:
                of_input.setdefault(_shown(sample.input, block), sample.digest)
        inputs = {sample.input for sample in block.taken}
        if len(of_input) < 2:
            if len(inputs) > 1 and block.takes_photos:
                yield _untold("outputs-vary-with-inputs", block, "outputs of two inputs were not hashed")
            continue
        shared = len(of_input) - len(set(of_input.values()))
        have = 100 * shared / len(of_input)
        yield Check(
            id="outputs-vary-with-inputs",
            block=block.name,
            ok=have <= limits.same_outputs,
            why=f"{len(set(of_input.values()))} different outputs of {len(of_input)} different inputs",
            have=round(have, 2),
            limit=limits.same_outputs,
        )


def _shown(index: int, block: BlockEvidence) -> int:
    """The input, or the first one of its photo where nothing of it moves: all frames of that loop are the photo."""
    shares = block.measured.facts.notes.get("moving_share")
    if block.block.target.boundary == "B3.next" and isinstance(shares, list) and shares:
        photo = index % len(shares)  # photos in turn, see targets/next_frame.py
        return photo if shares[photo] == 0 else index
    return index


def check_outputs_repeat(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """The same input gives the same output, to the last bit."""
    for block in evidence.blocks:
        of_input: dict[int, set[str]] = {}
        seen: Counter[int] = Counter()
        for sample in block.samples:
            if sample.digest:
                of_input.setdefault(sample.input, set()).add(sample.digest)
                seen[sample.input] += 1
        again = [index for index in seen if seen[index] > 1]
        if not again:
            if block.takes_photos and block.taken:
                yield _untold("outputs-repeat", block, "no input's outputs were hashed twice")
            continue
        other = [index for index in again if len(of_input[index]) > 1]
        why = f"{len(again)} inputs were answered again with the same outputs"
        if other:
            why = f"{len(other)} of {len(again)} inputs were answered again with other outputs"
        yield Check(
            id="outputs-repeat",
            block=block.name,
            ok=not other,
            why=why,
            severity="warning",
            need=0,
            have=len(other),
        )


def check_no_caching(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """An input that is known already takes no less: not when it comes in turn again, not again and again."""
    for block in evidence.blocks:
        if not block.taken or block.load.issue == "same" or block.load.scenario == "cold":
            continue
        gains = [gain for gain in (_gain_of_audit(block), _gain_of_turns(block)) if gain]
        if not gains:
            if block.takes_photos:
                yield _untold("no-caching", block, "no input was measured again, and there was no audit")
            continue
        have, what = max(gains)
        yield Check(
            id="no-caching",
            block=block.name,
            ok=have <= limits.caching,
            why=f"{what} {abs(have):.1f} % {'faster' if have > 0 else 'slower'}",
            have=round(have, 2),
            limit=limits.caching,
        )


def _gain_of_audit(block: BlockEvidence) -> tuple[float, str] | None:
    """% by which the audit is faster than its input plausibly is.

    Of a short plan that input was measured once or twice, and a stall there is no cache. So it must also be faster than
    all but the fastest inputs were when they first came: a cache answers in next to no time, whatever was asked.
    """
    audit = [sample for sample in block.samples if sample.phase == "audit" and not sample.error]
    own = [sample.service for sample in block.taken if audit and sample.input == audit[0].input]
    if not own:
        return None
    plausible = min(*own, percentile(list(_first_times(block).values()), PLAUSIBLE))
    if plausible <= 0:
        return None
    gain = 100 * (1 - statistics.median(sample.service for sample in audit) / plausible)
    return gain, "the same input again and again is"


def _gain_of_turns(block: BlockEvidence) -> tuple[float, str] | None:
    """% by which inputs are faster when they come again: of three in four, since a cache knows them all.

    What disturbs the first pass for a while slows down some of its inputs. Inputs that the warm-up knew already tell
    nothing: their first time may be out of the cache too.
    """
    warm = {sample.input for sample in block.samples if sample.phase == "warm-up"}
    first = _first_times(block)
    later: dict[int, list[int]] = {}
    seen: set[int] = set()
    for sample in block.taken:
        if sample.input in seen:
            later.setdefault(sample.input, []).append(sample.service)
        seen.add(sample.input)
    gains = [
        100 * (1 - statistics.median(times) / first[index])
        for index, times in later.items()
        if index not in warm and first[index] > 0
    ]
    if len(gains) < FEWEST_AGAIN:
        return None
    return percentile(gains, SOME), "inputs that come in turn again are"


def _first_times(block: BlockEvidence) -> dict[int, int]:
    """Nanoseconds that each input took when it was first measured."""
    found: dict[int, int] = {}
    for sample in block.taken:
        found.setdefault(sample.input, sample.service)
    return found


def check_moving_share(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    """As much moves as was asked for."""
    for block in evidence.blocks:
        need = block.block.target.subject.moving
        if need is None or not block.block.target.boundary.startswith(("B3", "B4")):
            continue
        told = block.measured.facts.notes.get("moving_share")
        each = told if isinstance(told, list) else [told]
        shares = [share for one in each if (share := _share(one)) is not None]
        if not shares:
            if block.takes_photos:
                yield _untold("moving-share-as-asked", block, "it does not say what share moves")
            continue
        have = max(shares, key=lambda share: abs(share - need))
        yield Check(
            id="moving-share-as-asked",
            block=block.name,
            ok=100 * abs(have - need) <= limits.moving,
            why=f"{100 * have:.1f} % moves where it is farthest off, {100 * need:g} % were asked for",
            need=need,
            have=round(have, 5),
            limit=limits.moving,
        )


def _share(value: object) -> float | None:
    """A share that a target told; None for whatever else."""
    is_one = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    return float(value) if is_one else None  # type: ignore[arg-type]


def _untold(name: str, block: BlockEvidence, why: str) -> Check:
    # A load that hashing would hold up leaves hashes out: its target is hashed under another one.
    severity: Severity = "note" if block.load.scenario in ("server", "offline") else "warning"
    return Check(id=name, block=block.name, ok=None, why=why, severity=severity)
