# SPDX-License-Identifier: Apache-2.0
"""The one clock that everything is timed by.

Times are nanoseconds of ``time.monotonic_ns``: on Linux CLOCK_MONOTONIC, the same for all processes of a machine, so
that a parent and its workers can be compared. It never runs backwards.
"""

from __future__ import annotations

import select
import time
from typing import Protocol

SPIN_NS = 200_000
"""The last part of a wait, in which the clock is read again and again.

``time.sleep`` returns late: 85 us at the median, 180 us in one of 100 sleeps of 2 ms (an idle virtual machine of two
cores, Linux, timer slack 50 us). A query issued 85 us late is an error of 4 % for an engine that takes 2 ms. So the
sleep ends 200 us early and the rest is spun, which leaves about a microsecond. It costs 200 us of one core for each
wait: 2 % of a core at 100 arrivals a second. Where even the early sleep ends late, the lateness stands in the sample
(``issued`` - ``scheduled``).
"""


class Clock(Protocol):
    """Tells the time and waits for it. A clock that jumps has to know which threads live by it; the host's need not."""

    def now(self) -> int:
        """Nanoseconds since whenever."""
        ...

    def sleep_until(self, ns: int) -> None:
        """Return when it is ``ns``, at once where that has passed."""
        ...

    def enter(self, threads: int = 1) -> None:
        """So many threads begin, or begin again, to live by this clock."""
        ...

    def leave(self) -> None:
        """The calling thread no longer does: it ends, or waits for other threads."""
        ...


class HostClock:
    """The machine's own."""

    # The function itself: a method around it would double what reading the clock costs.
    now = staticmethod(time.monotonic_ns)

    def sleep_until(self, ns: int) -> None:
        now = self.now
        rest = ns - now() - SPIN_NS
        if rest > 0:
            time.sleep(rest / 1e9)
        # A wait for no file and for no time gives other lanes the interpreter lock and returns within a microsecond.
        # Without it they would wait 5 ms for it (sys.getswitchinterval). time.sleep(0) is a sleep of 85 us.
        while now() < ns:
            select.select((), (), (), 0)

    def enter(self, threads: int = 1) -> None:
        """Nothing to do: this clock runs by itself."""

    def leave(self) -> None:
        """Nothing to do."""


def nanoseconds(seconds: float) -> int:
    """Seconds as whole nanoseconds."""
    return round(seconds * 1e9)
