# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
import time

import pytest

from stillflow_bench.latency.clock import HostClock, nanoseconds

from .virtual_clock import VirtualClock


def test_the_host_is_never_early_and_seldom_late() -> None:
    clock = HostClock()
    late = []
    for _ in range(12):
        moment = clock.now() + 1_000_000
        clock.sleep_until(moment)
        late.append(clock.now() - moment)
    assert min(late) >= 0
    # A plain sleep is 60 to 150 us late each time. The best of twelve is one that no other program disturbed.
    assert min(late) < 30_000


def test_the_hosts_time_is_that_of_all_processes() -> None:
    before = time.monotonic_ns()
    assert before <= HostClock().now() <= time.monotonic_ns()


@pytest.mark.parametrize("clock", [HostClock(), VirtualClock()], ids=["host", "virtual"])
def test_what_has_passed_is_not_waited_for(clock: HostClock | VirtualClock) -> None:
    before = clock.now()
    clock.sleep_until(before - 10**9)
    assert clock.now() - before < 10**9


def test_virtual_time_passes_by_sleeping_only() -> None:
    clock = VirtualClock()
    clock.sleep_until(60 * 10**9)
    assert clock.now() == 60 * 10**9


def test_virtual_time_waits_for_every_thread() -> None:
    clock = VirtualClock()
    seen: dict[int, list[int]] = {1: [], 2: [], 3: []}

    def live(step: int) -> None:
        for turn in range(1, 5):
            clock.sleep_until(step * turn)
            seen[step].append(clock.now())
        clock.leave()

    threads = [threading.Thread(target=live, args=(step,)) for step in seen]
    clock.enter(len(threads))
    for thread in threads:
        thread.start()
    clock.leave()
    for thread in threads:
        thread.join()
    assert seen == {step: [step * turn for turn in range(1, 5)] for step in seen}
    assert clock.now() == 12


def test_seconds_are_whole_nanoseconds() -> None:
    assert nanoseconds(0.3) == 300_000_000
