# SPDX-License-Identifier: Apache-2.0
"""Queries arrive by chance, and are served in the order they arrive by whichever lane is free.

Arrivals are a Poisson process: the gaps between them are exponential and drawn from the seed, whatever the target does.
They are those that MLPerf's LoadGen draws from the same seed, so that both can be compared under the very same load.
A sample is ``scheduled`` when it arrived, ``issued`` when a lane began with it, ``done`` when that had the answer.
Latency counts from the arrival, so what queued behind a slow query shows that it did (no coordinated omission). Where a
lane was idle, issued - scheduled is the generator's own lateness: ``checks.queues`` looks at it.

A lane that is free takes the next arrival and waits for it itself. That serves in order, as one row before all lanes
does, and hands nothing from thread to thread while the clock runs.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

import numpy as np

from stillflow_bench.latency.clock import nanoseconds
from stillflow_bench.latency.sample import Phase, Sample
from stillflow_bench.latency.scenarios.asking import Asker, in_order, sweep, warm_lanes
from stillflow_bench.latency.scenarios.lanes import Lanes

LEAD_NS = 5_000_000
"""Before the first arrival may come: the lanes are told and wake up meanwhile."""


class Server:
    """An open loop.

    Args:
        asker: makes the queries.
        lanes: that serve; they are closed with the driver.
        warm_up: queries in every lane, one after the other, before those that count.
        audit: arrivals with input 0 after them.
        rate: arrivals a second, on average.
        seed: of the arrivals.
    """

    def __init__(self, asker: Asker, lanes: Lanes, warm_up: int, audit: int, rate: float, seed: int) -> None:
        self._asker = asker
        self._lanes = lanes
        self._warm_up = warm_up
        self._audit = audit
        self._rate = rate
        self._seed = seed
        self._turns = 0

    def warm_up(self) -> list[Sample]:
        return warm_lanes(self._asker, self._lanes, self._warm_up)

    def measure(self, queries: int, seconds: float, round: int) -> list[Sample]:
        return self._serve("measured", queries, seconds, round)

    def audit(self) -> list[Sample]:
        return self._serve("audit", self._audit)

    def close(self) -> None:
        self._lanes.close()

    def _serve(self, phase: Phase, queries: int, seconds: float = 0.0, round: int = 0) -> list[Sample]:
        asker, clock = self._asker, self._asker.clock
        samples: list[Sample] = []
        if not queries and not seconds:
            return samples
        gaps = poisson_gaps(self._rate, arrival_seed(self._seed, self._turns))
        self._turns += 1
        offsets = arrivals(gaps, queries, nanoseconds(seconds))
        claims = [asker.claim(phase, round) for _ in offsets]
        places, lock = iter(range(len(offsets))), threading.Lock()
        sweep()
        begin = clock.now() + LEAD_NS

        def take() -> int | None:
            with lock:
                return next(places, None)

        def work(lane: int) -> None:
            place = take()
            while place is not None:
                arrival = begin + offsets[place]
                clock.sleep_until(arrival)
                asked = asker.ask(claims[place], lane)
                following = take()
                room = None if following is None else begin + offsets[following] - clock.now()
                samples.append(asker.keep(claims[place], asked, lane, arrival, room))
                place = following

        self._lanes.run(work)
        return in_order(samples)


def arrival_seed(seed: int, turn: int) -> int:
    """Seed of the arrivals of one turn: every turn has others."""
    return (seed * 1_000_003 + turn) % 2**32


def poisson_gaps(rate: float, seed: int) -> Iterator[int]:
    """Yield nanoseconds from one arrival to the next, without end.

    They are what C++'s std::exponential_distribution makes of std::mt19937 in GNU's library, of which LoadGen takes
    them: two words of 32 bits make a share u of 64, and the gap is -log(1 - u) / rate. NumPy's RandomState is the same
    generator, seeded in the same way, and promises to stay so.

    Args:
        rate: arrivals a second, on average, above 0.
        seed: 0..2**32-1; the same one gives the same arrivals.
    """
    dice = np.random.RandomState(seed)
    while True:
        words = dice.randint(0, 2**32, (256, 2), dtype=np.uint32).astype(float)
        for low, high in words.tolist():
            yield int(-math.log1p(-(low + high * 2.0**32) / 2.0**64) / rate * 1e9)


def arrivals(gaps: Iterator[int], queries: int, ns: int) -> list[int]:
    """Nanoseconds of arrivals since the first one: at least so many, and for at least so long."""
    moments = [0]
    while len(moments) < queries or moments[-1] < ns:
        moments.append(moments[-1] + next(gaps))
    return moments
