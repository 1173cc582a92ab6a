# SPDX-License-Identifier: Apache-2.0
"""Lanes are lent to threads, fewer where memory is short, and all are given back when the last one returns."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from stillflow.gpu.lane import Lane
from stillflow.gpu.lane_pool import LanePool
from stillflow.gpu.layer import CudaDevice
from stillflow.gpu.trouble import LostDeviceError, OutOfMemoryError

from .clocks import Clock, fail, held, stand_in

pytestmark = pytest.mark.device

BIG = 1 << 20


@pytest.fixture
def pool_of(cuda_device: CudaDevice) -> Iterator[Callable[..., LanePool]]:
    pools = []

    def make(most: int = 2, size: int = 64) -> LanePool:
        clock = Clock(cuda_device)
        sizes = {"rgb": size, "nv12": size // 2}
        pools.append(
            LanePool(lambda: Lane(cuda_device, clock, sizes, check=(1.5, 2.5), moves=True), most, clock.close)
        )
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


def shown(lane: Lane, t: float) -> float:
    lane.draw(t, "rgb")
    out = np.zeros(8, np.uint8)
    lane.fetch("rgb", out)
    return float(out.view(np.float64)[0])


def test_lanes_are_made_when_they_are_wanted_and_used_again(pool_of: Callable[..., LanePool]) -> None:
    pool = pool_of(most=2)
    with pool.lane("rgb") as first:
        pass
    with pool.lane("rgb") as again:
        assert again is first
        with pool.lane("rgb") as second:
            assert second is not first


def test_who_finds_none_free_waits(pool_of: Callable[..., LanePool]) -> None:
    pool, seen, lock = pool_of(most=2), [], threading.Lock()
    busy = most = 0

    def work(k: int) -> None:
        nonlocal busy, most
        with pool.lane("rgb") as lane:
            with lock:
                busy += 1
                most = max(most, busy)
            time = shown(lane, k + 0.5)
            with lock:
                busy -= 1
                seen.append(time)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [k + 0.5 for k in range(12)] and most <= 2


def test_lanes_apart_leave_the_others_alone(pool_of: Callable[..., LanePool]) -> None:
    pool = pool_of(most=1)
    with pool.lane("rgb") as first:
        pass
    with pool.apart(2, "rgb") as lanes:
        assert lanes[0] is first and len(lanes) == 2
        with pool.lane("rgb") as other:  # though one is the most
            assert other not in lanes
    with pool.lane("rgb") as other:
        pass


def test_closed_while_lanes_are_out(pool_of: Callable[..., LanePool]) -> None:
    pool = pool_of(most=2)
    with pool.apart(1, "rgb") as (lane,):
        pool.close()
        assert shown(lane, 3.0) == 3.0, "what is out plays on"
        with pytest.raises(ValueError, match="closed"), pool.lane("rgb"):
            pass
    for borrow in (lambda: pool.lane("rgb"), lambda: pool.apart(1, "rgb")):
        with pytest.raises(ValueError, match="closed"), borrow():
            pass


def test_a_closed_pool_wakes_who_waits(pool_of: Callable[..., LanePool]) -> None:
    pool, told = pool_of(most=1), []

    def wait() -> None:
        try:
            with pool.lane("rgb"):
                told.append("lane")
        except ValueError:
            told.append("closed")

    with pool.lane("rgb"):
        thread = threading.Thread(target=wait)
        thread.start()
        pool.close()
        thread.join(10)
        assert told == ["closed"]


@pytest.mark.stand_in
def test_everything_is_given_back_when_the_last_lane_returns(cuda_device: CudaDevice) -> None:
    before = held()
    clock = Clock(cuda_device)
    pool = LanePool(lambda: Lane(cuda_device, clock, {"rgb": 64}), 3, clock.close)
    with pool.lane("rgb"), pool.lane("rgb"), pool.apart(2, "rgb"):
        pool.close()
        assert held() != before
    pool.close()
    assert held() == before


@pytest.mark.stand_in
def test_fewer_lanes_where_memory_is_short(
    pool_of: Callable[..., LanePool], caplog: pytest.LogCaptureFixture
) -> None:
    pool, library = pool_of(most=3, size=BIG), stand_in()
    library.stand_in_memory(library.stand_in_used() + 5 * BIG // 2)
    try:
        with caplog.at_level(logging.WARNING), pool.lane("rgb"), pool.lane("rgb") as second:
            thread_saw = []
            thread = threading.Thread(target=lambda: thread_saw.append(_played(pool)))
            thread.start()
            while pool.most == 3:
                assert thread.is_alive()
            assert shown(second, 2.0) == 2.0
        thread.join(10)
        assert thread_saw == [4.0] and pool.most == 2
        assert caplog.messages == ["the GPU's memory holds 2 lanes of 3"]
        with pool.apart(2, "rgb") as lanes:
            assert len(lanes) == 2
            with pytest.raises(OutOfMemoryError, match="--size"), pool.lane("rgb"):
                pass
    finally:
        library.stand_in_memory(1 << 33)


def _played(pool: LanePool) -> float:
    with pool.lane("rgb") as lane:
        return shown(lane, 4.0)


@pytest.mark.stand_in
@pytest.mark.parametrize("apart", [False, True])
def test_not_even_one_lane(pool_of: Callable[..., LanePool], apart: bool) -> None:
    pool = pool_of(most=2)
    fail("cuMemAlloc_v2", 1, 2)
    with (
        pytest.raises(OutOfMemoryError, match="--size") as caught,
        pool.apart(2, "rgb") if apart else pool.lane("rgb"),
    ):
        pass
    assert "--device cpu" in caught.value.fix
    with pool.lane("rgb") as lane:  # there is memory again
        assert shown(lane, 1.0) == 1.0


@pytest.mark.stand_in
def test_a_lost_device(cuda_device: CudaDevice) -> None:
    before = held()
    clock = Clock(cuda_device)
    pool = LanePool(lambda: Lane(cuda_device, clock, {"rgb": 64}), 2, clock.close)
    with pool.lane("rgb") as lane:
        assert shown(lane, 1.0) == 1.0
    stand_in().stand_in_lose(700)
    try:
        with pytest.raises(LostDeviceError), pool.lane("rgb") as lane:
            shown(lane, 2.0)
    finally:
        stand_in().stand_in_lose(0)
    pool.close()
    assert held() == before
