# SPDX-License-Identifier: Apache-2.0
"""One query: which input it is about, the two readings of the clock around it, and the sample that is kept of it."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from typing import NamedTuple

from stillflow.errors import StillflowError
from stillflow_bench.latency.clock import Clock
from stillflow_bench.latency.plan import Load
from stillflow_bench.latency.sample import Phase, Sample
from stillflow_bench.latency.scenarios.issue import order_of
from stillflow_bench.latency.scenarios.lanes import Lanes
from stillflow_bench.latency.target import Answer, Target

SIGHTS = 2
"""Times that the outputs of an input are hashed in each phase: two show that the same input gives the same outputs."""

ROOM = 2
"""Times the longest hash so far that must be left before a lane's next query; else outputs are not hashed."""


class Claim(NamedTuple):
    """A query that is to be made: its number, input, phase and round."""

    number: int
    input: int
    phase: Phase
    round: int


class Asked(NamedTuple):
    """A query that was made: readings of the clock, and what came of it."""

    issued: int
    done: int
    answer: Answer | None
    error: str


class Asker:
    """Makes queries and samples of them; lanes may share it.

    Args:
        target: is asked.
        load: says in which order.
        clock: that is read.
        origin: its reading when the run began; samples count from there.
    """

    def __init__(self, target: Target, load: Load, clock: Clock, origin: int) -> None:
        self.clock = clock
        self._query = target.query
        self._origin = origin
        # Warm-up has an order of its own, so that what is measured begins with each input once.
        self._orders = {
            "warm-up": order_of(target.inputs, load.issue, load.seed + 1),
            "measured": order_of(target.inputs, load.issue, load.seed),
            "audit": order_of(target.inputs, "same", load.seed),
        }
        self._index = 0
        self._sights: Counter[tuple[Phase, int]] = Counter()
        self._longest_hash = 0
        self._lock = threading.Lock()

    def claim(self, phase: Phase, round: int = 0) -> Claim:
        """Take the next number and input."""
        with self._lock:
            claim = Claim(self._index, next(self._orders[phase]), phase, round)
            self._index += 1
        return claim

    def ask(self, claim: Claim, lane: int = 0) -> Asked:
        """Make a query. Between both readings of the clock lies the target's own call and nothing else."""
        now, query, chosen = self.clock.now, self._query, claim.input
        issued = now()
        try:
            answer = query(chosen, lane)
        except StillflowError as error:
            return Asked(issued, now(), None, f"{error.what}: {error.why}")
        done = now()
        return Asked(issued, done, answer, "")

    def keep(
        self,
        claim: Claim,
        asked: Asked,
        lane: int = 0,
        scheduled: int | None = None,
        room: int | None = None,
    ) -> Sample:
        """Make the sample. The outputs are hashed here, when the clock has stopped and before the lane's next query.

        Args:
            claim: what was to be asked.
            asked: what came of it.
            lane: that asked.
            scheduled: when it should have been, by the clock.
            room: nanoseconds until the lane is needed again: it is not kept from that; None: it can wait.
        """
        origin = self._origin
        return Sample(
            index=claim.number,
            phase=claim.phase,
            input=claim.input,
            issued=asked.issued - origin,
            done=asked.done - origin,
            scheduled=None if scheduled is None else scheduled - origin,
            lane=lane,
            round=claim.round,
            spans=dict(asked.answer.spans) if asked.answer and asked.answer.spans else {},
            digest=self._digest(claim, asked, room),
            error=asked.error,
        )

    def _digest(self, claim: Claim, asked: Asked, room: int | None) -> str:
        if asked.answer is None or asked.answer.digest is None:
            return ""
        seen = claim.phase, claim.input
        with self._lock:
            if self._sights[seen] >= SIGHTS or (room is not None and room <= ROOM * self._longest_hash):
                return ""
            self._sights[seen] += 1
        began = self.clock.now()
        digest = asked.answer.digest()
        self._longest_hash = max(self._longest_hash, self.clock.now() - began)
        return digest


def warm_lanes(asker: Asker, lanes: Lanes, each: int) -> list[Sample]:
    """Ask ``each`` queries one after the other in every lane, all lanes at once: what a thread needs is then there."""
    samples: list[Sample] = []

    def work(lane: int) -> None:
        for _ in range(each):
            claim = asker.claim("warm-up")
            samples.append(asker.keep(claim, asker.ask(claim, lane), lane))

    lanes.run(work)
    return in_order(samples)


def in_order(samples: list[Sample]) -> list[Sample]:
    """Samples by their number: lanes hand them in as they are done."""
    return sorted(samples, key=lambda sample: sample.index)


def sweep() -> None:
    """Collect garbage before a round, so that no query pays for what came before it.

    The collector itself is left on while queries run, and nothing is frozen: a program that uses the target has it on
    too, so a pause that it makes belongs to the latency. Samples are objects that the collector does not track, so that
    keeping many of them makes no pauses.
    """
    gc.collect()
