# SPDX-License-Identifier: Apache-2.0
"""Threads that work at the same time. They are started before anything is timed, and are the same ones throughout."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from stillflow_bench.latency.clock import Clock

Work = Callable[[int], None]
"""What one lane does, given its number."""


class Lanes:
    """A thread a lane. Each waits for work in a queue of its own.

    Python's interpreter lock stays as any program has it (``sys.getswitchinterval``): a target that computes in Python
    holds up the other lanes here as it would there.

    Args:
        count: how many, >= 1.
        clock: that the lanes live by.
    """

    def __init__(self, count: int, clock: Clock) -> None:
        self._clock = clock
        self._orders: list[SimpleQueue[Work | None]] = [SimpleQueue() for _ in range(count)]
        self._ends: SimpleQueue[BaseException | None] = SimpleQueue()
        # Daemons: an interrupted run ends although a lane is within a long query.
        self._threads = [
            threading.Thread(target=self._live, args=(lane,), name=f"lane {lane}", daemon=True)
            for lane in range(count)
        ]
        self._working = False
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        return len(self._threads)

    def run(self, work: Work) -> None:
        """Do ``work`` in every lane at once, and return when all have done it.

        Raises:
            BaseException: what a lane raised, the first one, when all have ended.
        """
        self._working = True
        self._clock.enter(len(self))
        for orders in self._orders:
            orders.put(work)
        self._clock.leave()
        ends = [self._ends.get() for _ in self._threads]
        self._clock.enter()
        self._working = False
        for error in ends:
            if error is not None:
                raise error

    def close(self) -> None:
        """End the threads; harmless twice. Lanes whose run was interrupted end when they have done their work."""
        for orders in self._orders:
            orders.put(None)
        for thread in () if self._working else self._threads:
            thread.join()

    def _live(self, lane: int) -> None:
        while (work := self._orders[lane].get()) is not None:
            raised: BaseException | None = None
            try:
                work(lane)
            except BaseException as error:
                raised = error
            self._clock.leave()
            self._ends.put(raised)
