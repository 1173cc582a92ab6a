# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from stillflow_bench.latency.clock import HostClock
from stillflow_bench.latency.scenarios.lanes import Lanes

from ..virtual_clock import VirtualClock


def test_every_lane_works_in_a_thread_of_its_own_that_is_kept() -> None:
    lanes = Lanes(3, VirtualClock())
    seen: list[dict[int, int]] = []
    for _ in range(2):
        own: dict[int, int] = {}
        together = threading.Barrier(3, timeout=10)

        def work(lane: int, own: dict[int, int] = own, together: threading.Barrier = together) -> None:
            together.wait()  # passes only where all three work at the same time
            own[lane] = threading.get_ident()

        lanes.run(work)
        seen.append(own)
    lanes.close()
    assert seen[0] == seen[1]
    assert len(set(seen[0].values())) == 3
    assert threading.get_ident() not in seen[0].values()


def test_what_a_lane_raises_comes_out_when_all_have_ended() -> None:
    lanes = Lanes(2, VirtualClock())
    ended = []

    def work(lane: int) -> None:
        if lane == 0:
            raise KeyError("broken")
        ended.append(lane)

    with pytest.raises(KeyError, match="broken"):
        lanes.run(work)
    assert ended == [1]
    lanes.run(ended.append)
    assert sorted(ended[1:]) == [0, 1]
    lanes.close()
    lanes.close()


def test_who_is_interrupted_need_not_wait_for_the_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    lanes = Lanes(1, HostClock())
    may_end = threading.Event()

    def interrupted() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(lanes, "_ends", SimpleNamespace(get=interrupted, put=lambda _: None))
        with pytest.raises(KeyboardInterrupt):
            lanes.run(lambda _: may_end.wait(10) and None)
        lanes.close()
    may_end.set()
