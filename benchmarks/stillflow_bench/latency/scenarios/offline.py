# SPDX-License-Identifier: Apache-2.0
"""All lanes as busy as they can be: each takes the next query as soon as it has answered one.

A sample's latency is done - issued in its lane; nothing is scheduled. The figure of this scenario is the throughput:
samples of a round over the time from its first ``issued`` to its last ``done``.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from stillflow_bench.latency.clock import nanoseconds
from stillflow_bench.latency.sample import Phase, Sample
from stillflow_bench.latency.scenarios.asking import Asker, Claim, in_order, sweep, warm_lanes
from stillflow_bench.latency.scenarios.lanes import Lanes


class Offline:
    """Closed loops in all lanes that share one row of queries.

    Args:
        asker: makes the queries.
        lanes: in which; they are closed with the driver.
        warm_up: queries in every lane before those that count.
        audit: queries with input 0 after them, in all.
    """

    def __init__(self, asker: Asker, lanes: Lanes, warm_up: int, audit: int) -> None:
        self._asker = asker
        self._lanes = lanes
        self._warm_up = warm_up
        self._audit = audit

    def warm_up(self) -> list[Sample]:
        return warm_lanes(self._asker, self._lanes, self._warm_up)

    def measure(self, queries: int, seconds: float, round: int) -> list[Sample]:
        return self._loop("measured", queries, seconds, round)

    def audit(self) -> list[Sample]:
        return self._loop("audit", self._audit)

    def close(self) -> None:
        self._lanes.close()

    def _loop(self, phase: Phase, queries: int, seconds: float = 0.0, round: int = 0) -> list[Sample]:
        asker, clock = self._asker, self._asker.clock
        samples: list[Sample] = []
        lock = threading.Lock()
        taken = 0
        sweep()
        until = clock.now() + nanoseconds(seconds)

        def take() -> Claim | None:
            nonlocal taken
            with lock:
                if taken >= queries and clock.now() >= until:
                    return None
                taken += 1
                return asker.claim(phase, round)

        def work(lane: int) -> None:
            claim = take()
            while claim is not None:
                asked = asker.ask(claim, lane)
                following = take()
                # A hash would keep the lane from its next query, so only its last one is hashed.
                room = None if following is None or phase == "audit" else 0
                samples.append(asker.keep(claim, asked, lane, room=room))
                claim = following

        self._lanes.run(work)
        return in_order(samples)


def throughput(samples: Sequence[Sample]) -> float:
    """Queries a second: the samples of each round over its time from first issued to last done.

    Args:
        samples: of one block, measured, at least one.
    """
    busy = 0
    for number in {sample.round for sample in samples}:
        own = [sample for sample in samples if sample.round == number]
        busy += max(sample.done for sample in own) - min(sample.issued for sample in own)
    return len(samples) / busy * 1e9 if busy else 0.0
