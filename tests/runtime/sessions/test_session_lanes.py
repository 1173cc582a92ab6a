# SPDX-License-Identifier: Apache-2.0
"""How lanes are lent, without a device: what a lane costs is counted here."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow.errors import StillflowError
from stillflow.gpu.trouble import OutOfMemoryError
from stillflow.sessions.session_lanes import SessionLanes

NO_MEMORY = ("the GPU has no memory left", "it was asked for", "use less")


class Store:
    """So many units of memory."""

    def __init__(self, units: int) -> None:
        self.units, self.lock, self.made = units, threading.Lock(), 0

    def take(self, units: int) -> None:
        with self.lock:
            if units > self.units:
                raise OutOfMemoryError(*NO_MEMORY)
            self.units -= units


class Growing:
    """A lane that holds as many units as its largest call asked for."""

    def __init__(self, store: Store) -> None:
        store.take(1)
        self.store, self.held, self.busy = store, 1, threading.Lock()
        store.made += 1

    def work(self, units: int) -> int:
        assert self.busy.acquire(blocking=False), "one call at a time"
        try:
            self.store.take(max(0, units - self.held))
            self.held = max(self.held, units)
            return units
        finally:
            self.busy.release()

    def close(self) -> None:
        with self.store.lock:
            self.store.units += self.held
        self.held = 0


def stream(handle: int) -> Any:
    return SimpleNamespace(handle=handle, synchronize=lambda: None)


@given(st.lists(st.integers(1, 8), min_size=1, max_size=12), st.integers(1, 10), st.integers(1, 4))
def test_whatever_is_asked_fails_only_where_one_lane_has_no_room(
    sizes: list[int], units: int, most: int
) -> None:
    store = Store(units)
    lanes = SessionLanes(lambda: Growing(store), most)
    for size in sizes:
        if size > units:
            with pytest.raises(OutOfMemoryError):
                lanes.lend(lambda lane: lane.work(size))
        else:
            assert lanes.lend(lambda lane: lane.work(size)) == size
    lanes.close()
    assert store.units == units


@pytest.mark.parametrize("units", [5, 7, 12, 100])
def test_threads_that_are_short_of_memory_wait_for_each_other(units: int) -> None:
    store = Store(units)
    lanes = SessionLanes(lambda: Growing(store), 3)
    barrier = threading.Barrier(6)

    def many(size: int) -> bool:
        barrier.wait()
        return all(lanes.lend(lambda lane: lane.work(size)) == size for _ in range(200))

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(many, (1, 2, 3, 4, 5, 5)))
    assert lanes.count <= 3
    lanes.close()
    assert store.units == units


def test_streams_keep_their_lanes_and_idle_ones_make_room() -> None:
    store = Store(6)
    lanes = SessionLanes(lambda: Growing(store))
    lanes.lend(lambda lane: lane.work(3))
    first = lanes.on(stream(1), lambda lane: (lane.work(3), lane)[1])
    assert lanes.on(stream(1), lambda lane: lane) is first
    assert lanes.on(stream(2), lambda lane: lane.work(3)) == 3, "the lane of the call has gone for it"
    assert lanes.count == 2
    with pytest.raises(OutOfMemoryError):
        lanes.on(stream(3), lambda lane: lane.work(1))
    lanes.release(stream(1))
    lanes.release(stream(1))
    assert lanes.on(stream(3), lambda lane: lane.work(1)) == 1
    lanes.close()
    assert store.units == 6


@pytest.mark.parametrize("on_stream", [False, True])
@pytest.mark.parametrize("most", [1, 2])
def test_what_is_kept_for_later_is_given_back_before_a_call_fails(on_stream: bool, most: int) -> None:
    """A library that takes memory by itself finds none of what the device keeps."""
    store, kept = Store(3), [4, 0]

    def trim() -> None:
        store.units, kept[0] = store.units + kept[0], 0
        kept[1] += 1

    lanes = SessionLanes(lambda: Growing(store), most, trim=trim)
    call = partial(lanes.on, stream(1)) if on_stream else lanes.lend
    assert call(lambda lane: lane.work(3)) == 3 and kept == [4, 0]
    assert call(lambda lane: lane.work(6)) == 6 and kept == [0, 1]
    with pytest.raises(OutOfMemoryError):
        call(lambda lane: lane.work(8))
    assert call(lambda lane: lane.work(7)) == 7
    lanes.close()
    assert store.units == 7


def test_an_error_gives_the_lane_back() -> None:
    store = Store(2)
    lanes = SessionLanes(lambda: Growing(store))

    def fail(lane: Growing) -> None:
        raise KeyError

    for _ in range(3):
        with pytest.raises(KeyError):
            lanes.lend(fail)
    assert (lanes.count, store.made) == (1, 1)
    broken = SessionLanes(lambda: Growing(None), 1)  # type: ignore[arg-type]
    for _ in range(2):  # the second would wait for ever if the first had kept its place
        with pytest.raises(AttributeError):
            broken.lend(lambda lane: lane.work(1))
    assert broken.count == 0


def test_closed_while_a_lane_is_lent() -> None:
    store = Store(2)
    lanes = SessionLanes(lambda: Growing(store))

    def close_meanwhile(lane: Growing) -> None:
        lanes.close()
        assert store.units == 1, "a lane in use is not taken away"

    lanes.lend(close_meanwhile)
    assert store.units == 2
    for call in (lanes.lend, lambda work: lanes.on(stream(1), work)):
        with pytest.raises(StillflowError, match="session is closed"):
            call(lambda lane: lane.work(1))
