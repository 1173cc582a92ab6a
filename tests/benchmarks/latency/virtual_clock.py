# SPDX-License-Identifier: Apache-2.0
"""A clock that only fakes obey."""

from __future__ import annotations

import heapq
import threading


class VirtualClock:
    """A number that sleeping advances: minutes of a fake pass in no time, and to the nanosecond.

    It jumps to the next moment that a thread waits for as soon as all threads that live by it wait. It therefore has
    to know how many there are; ``scenarios.lanes`` tells it.
    """

    def __init__(self) -> None:
        self._now = 0
        self._awake = 1  # the thread that made it
        self._alarms: list[int] = []
        self._turned = threading.Condition()

    def now(self) -> int:
        return self._now

    def sleep_until(self, ns: int) -> None:
        with self._turned:
            if ns <= self._now:
                return
            heapq.heappush(self._alarms, ns)
            self._awake -= 1
            self._advance()
            while self._now < ns:
                self._turned.wait()

    def enter(self, threads: int = 1) -> None:
        with self._turned:
            self._awake += threads

    def leave(self) -> None:
        with self._turned:
            self._awake -= 1
            self._advance()

    def _advance(self) -> None:
        if self._awake or not self._alarms:
            return
        self._now = self._alarms[0]
        while self._alarms and self._alarms[0] <= self._now:
            heapq.heappop(self._alarms)
            self._awake += 1  # counted here, so that the clock waits for those who have yet to notice
        self._turned.notify_all()
