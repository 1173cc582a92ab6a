# SPDX-License-Identifier: Apache-2.0
"""Memory that is kept for later comes back to who wants as much, stays within its limit, and is never lost."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow.gpu.cuda_core import open_device
from stillflow.gpu.spare import Spare, room_for
from stillflow.gpu.trouble import OutOfMemoryError


class Driver:
    """Memory by address, of which there is so much."""

    def __init__(self, size):
        self.size, self.pieces, self.next = size, {}, 1

    def make(self, size):
        if sum(self.pieces.values()) + size > self.size:
            raise OutOfMemoryError("no memory", "it is used up", "none")
        self.next += 1
        self.pieces[self.next] = size
        return self.next

    def free(self, address):
        del self.pieces[address]


@given(st.integers(1, 1 << 40))
def test_a_piece_is_an_eighth_larger_at_most_and_its_own_room(size):
    room = room_for(size)
    assert size <= room <= size + max(511, size // 8)
    assert room_for(room) == room and room % 512 == 0


@given(
    limit=st.sampled_from([0, 600, 4000, 100_000]),
    turns=st.lists(st.tuples(st.booleans(), st.integers(1, 3000)), max_size=60),
)
def test_nothing_is_lost_or_handed_out_twice(limit, turns):
    driver = Driver(50_000)
    spare = Spare(limit, driver.make, driver.free)
    out = []
    for take, number in turns:
        if take or not out:
            try:
                address, room = spare.take(number)
            except OutOfMemoryError:
                assert not spare.kept
                continue
            assert room >= number and driver.pieces[address] == room
            assert address not in [held for held, _ in out]
            out.append((address, room))
        else:
            spare.put(*out.pop(number % len(out)))
        assert spare.kept <= limit
        assert sum(driver.pieces.values()) == spare.kept + sum(room for _, room in out)
    for piece in out:
        spare.put(*piece)
    spare.clear()
    assert not driver.pieces and not spare.kept


def test_as_much_comes_back_and_the_oldest_goes():
    driver = Driver(1 << 20)
    spare = Spare(4096, driver.make, driver.free)
    first, second, third = (spare.take(size) for size in (2000, 2000, 1000))
    spare.put(*first)
    assert spare.take(1990) == first
    for piece in (first, second, third):
        spare.put(*piece)
    assert first[0] not in driver.pieces
    assert spare.take(2000) == second and spare.take(1024) == third


def test_what_is_kept_goes_before_there_is_no_memory():
    driver = Driver(10_000)
    spare = Spare(5000, driver.make, driver.free)
    for piece in [spare.take(2048) for _ in range(2)]:
        spare.put(*piece)
    assert spare.kept == 4096
    spare.take(9900)  # neither beside what was kept, nor with the room that goes with it
    assert not spare.kept
    with pytest.raises(OutOfMemoryError):
        spare.take(512)


def test_what_the_collector_gives_back_in_the_middle_of_a_call_is_kept_by_the_next():
    driver = Driver(1 << 20)
    spare = Spare(4096, driver.make, driver.free)
    first, second = spare.take(1024), spare.take(2048)
    with spare._lock:
        spare.put(*first)
        spare.put(*second)
    assert spare.take(1024) == first and spare.kept == 2048
    with spare._lock:
        spare.put(*first)
    spare.clear()
    assert not driver.pieces


@pytest.fixture
def keeping():
    device = open_device(keep=64 << 20)
    yield device
    device.close()


@pytest.mark.device
def test_the_next_photo_gets_the_memory_of_the_last(keeping):
    stream = keeping.stream()
    places = set()
    for turn in range(3):
        memory, pinned = keeping.allocate(100_000), keeping.pin(90_000)
        pinned.array[:] = turn
        keeping.upload(pinned.array, memory.address, stream)
        back = np.zeros(90_000, np.uint8)
        keeping.download(memory.address, back, stream)
        stream.synchronize()
        assert pinned.array.shape == (90_000,) and memory.size == 100_000 and (back == turn).all()
        places.add((memory.address, pinned.address))
        memory.close(), pinned.close()
        memory.close(), pinned.close()
    assert len(places) == 1
    stream.close()


@pytest.mark.device
@pytest.mark.stand_in
def test_what_is_kept_counts_as_free_and_is_given_back():
    library = ctypes.CDLL("libcuda.so.1")
    library.stand_in_used.restype = library.stand_in_held.restype = ctypes.c_long
    pieces, used = library.stand_in_held(0), library.stand_in_used()
    device = open_device(keep=64 << 20)
    free = device.memory()[0]
    for size in (100_000, 5_000_000):
        device.allocate(size).close()
        device.pin(size).close()
    assert library.stand_in_held(0) == pieces + 4 and library.stand_in_used() > used + 5_000_000
    assert device.memory()[0] == free
    device.trim()
    assert (library.stand_in_held(0), library.stand_in_used()) == (pieces, used)
    device.allocate(1000).close()
    device.close()
    assert (library.stand_in_held(0), library.stand_in_used()) == (pieces, used)
