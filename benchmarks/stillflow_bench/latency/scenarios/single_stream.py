# SPDX-License-Identifier: Apache-2.0
"""One query after the other: the next begins when the one before was answered and its sample kept.

``sustained`` is the same loop for minutes, ``cold`` the same loop where a query is a process. A sample's latency is
done - issued; nothing is scheduled.
"""

from __future__ import annotations

from stillflow_bench.latency.clock import nanoseconds
from stillflow_bench.latency.sample import Phase, Sample
from stillflow_bench.latency.scenarios.asking import Asker, sweep


class SingleStream:
    """A closed loop in the caller's own thread.

    Args:
        asker: makes the queries.
        warm_up: queries before those that count.
        audit: queries with input 0 after them.
    """

    def __init__(self, asker: Asker, warm_up: int, audit: int) -> None:
        self._asker = asker
        self._warm_up = warm_up
        self._audit = audit

    def warm_up(self) -> list[Sample]:
        return self._loop("warm-up", self._warm_up)

    def measure(self, queries: int, seconds: float, round: int) -> list[Sample]:
        return self._loop("measured", queries, seconds, round)

    def audit(self) -> list[Sample]:
        return self._loop("audit", self._audit)

    def close(self) -> None:
        """Nothing is held."""

    def _loop(self, phase: Phase, queries: int, seconds: float = 0.0, round: int = 0) -> list[Sample]:
        clock, samples = self._asker.clock, list[Sample]()
        sweep()
        until = clock.now() + nanoseconds(seconds)
        asked = 0
        while asked < queries or clock.now() < until:
            samples += self._query(phase, round)
            asked += 1
        return samples

    def _query(self, phase: Phase, round: int) -> list[Sample]:
        claim = self._asker.claim(phase, round)
        return [self._asker.keep(claim, self._asker.ask(claim))]
