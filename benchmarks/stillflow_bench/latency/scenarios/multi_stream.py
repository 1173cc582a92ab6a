# SPDX-License-Identifier: Apache-2.0
"""One query on each of N lanes at once, the next ones when all are done.

A joint query is N samples, one a lane, with the same ``scheduled``: the moment at which all lanes should begin.
Latency counts from there, so a lane whose thread begins late is seen. The spread of a joint query is that of its
samples' latencies; its own latency is their largest.
"""

from __future__ import annotations

from collections.abc import Sequence

from stillflow_bench.latency.sample import Phase, Sample
from stillflow_bench.latency.scenarios.asking import Asked, Asker, in_order
from stillflow_bench.latency.scenarios.lanes import Lanes
from stillflow_bench.latency.scenarios.single_stream import SingleStream

LEAD_NS = 500_000
"""From when the lanes are told until they begin: one wake-up in 100 takes 180 us, and then they wait together."""


class MultiStream(SingleStream):
    """Joint queries, one after the other.

    Args:
        asker: makes the queries.
        lanes: in which; they are closed with the driver.
        warm_up: joint queries before those that count.
        audit: joint queries with input 0 after them.
    """

    def __init__(self, asker: Asker, lanes: Lanes, warm_up: int, audit: int) -> None:
        super().__init__(asker, warm_up, audit)
        self._lanes = lanes

    def close(self) -> None:
        self._lanes.close()

    def _query(self, phase: Phase, round: int) -> list[Sample]:
        asker = self._asker
        answers: list[tuple[int, Asked]] = []
        claims = [asker.claim(phase, round) for _ in range(len(self._lanes))]
        begin = asker.clock.now() + LEAD_NS

        def work(lane: int) -> None:
            asker.clock.sleep_until(begin)
            answers.append((lane, asker.ask(claims[lane], lane)))

        self._lanes.run(work)
        # Hashed when all are done: a lane that hashes would take a core from one that still works.
        return in_order([asker.keep(claims[lane], asked, lane, begin) for lane, asked in answers])


def joint_latencies(samples: Sequence[Sample]) -> list[int]:
    """Nanoseconds of each joint query: those of its slowest lane.

    Args:
        samples: of one block, measured.
    """
    latest: dict[int | None, int] = {}
    for sample in samples:
        latest[sample.scheduled] = max(sample.latency, latest.get(sample.scheduled, 0))
    return list(latest.values())
