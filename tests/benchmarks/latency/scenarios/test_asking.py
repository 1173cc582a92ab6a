# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from stillflow_bench.latency.plan import Load
from stillflow_bench.latency.scenarios.asking import Asker
from stillflow_bench.latency.target import Answer, Facts

from ..virtual_clock import VirtualClock


class Slow:
    """Takes 7 ns for a query and 100 for a hash."""

    facts = Facts()
    inputs = 2

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.hashed = 0

    def query(self, index: int, lane: int = 0) -> Answer:
        self.clock.sleep_until(self.clock.now() + 7)
        return Answer({"B0.device": 5}, self._digest)

    def close(self) -> None: ...

    def _digest(self) -> str:
        self.hashed += 1
        self.clock.sleep_until(self.clock.now() + 100)
        return "f" * 16


@pytest.fixture
def slow() -> Slow:
    return Slow(VirtualClock())


@pytest.fixture
def asker(slow: Slow) -> Asker:
    slow.clock.sleep_until(50)
    return Asker(slow, Load(issue="same"), slow.clock, origin=50)


def ask(asker: Asker, phase: Any = "measured", **more: Any) -> Any:
    claim = asker.claim(phase)
    return asker.keep(claim, asker.ask(claim), **more)


def test_the_clock_runs_around_the_query_only(asker: Asker) -> None:
    first, second = ask(asker), ask(asker)
    assert (first.issued, first.done, first.spans) == (0, 7, {"B0.device": 5})
    assert second.issued == 107  # the hash lies between both
    assert second.latency == 7


def test_outputs_are_hashed_twice_a_phase(asker: Asker) -> None:
    for phase in ("warm-up", "measured", "audit"):
        assert [bool(ask(asker, phase).digest) for _ in range(4)] == [True, True, False, False]


def test_outputs_are_not_hashed_where_the_lane_has_no_time(asker: Asker, slow: Slow) -> None:
    assert ask(asker, "warm-up").digest  # from now on it is known how long a hash takes
    assert not ask(asker, room=150).digest
    assert not ask(asker, room=-3).digest
    assert slow.hashed == 1
    assert ask(asker, room=250).digest


def test_numbers_go_on_through_all_phases(asker: Asker) -> None:
    assert [ask(asker, phase).index for phase in ("warm-up", "measured", "measured", "audit")] == [0, 1, 2, 3]
