# SPDX-License-Identifier: Apache-2.0
"""Rooms whose pieces lie in a store: they lie apart, are taken again, and are counted."""

from __future__ import annotations

import ctypes

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from .internals import Room, internals

MEGABYTE = 1 << 20
RESERVED = 8 * MEGABYTE + 5
HEAD = 64  # before each piece


class Calls:
    """What is tested, with its types."""

    def __init__(self, room: Room) -> None:
        self.room = room.address
        self.sizes = (ctypes.c_uint64 * 2).from_address(room.address.value)  # limit, used
        library = internals()
        for name, types, result in (
            ("sf_room_reserve", [ctypes.c_void_p, ctypes.c_uint64], None),
            ("sf_room_settle", [ctypes.c_void_p], None),
            ("sf_take", [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64], ctypes.c_void_p),
            ("sf_room_mark", [ctypes.c_void_p], ctypes.c_void_p),
            ("sf_room_rewind", [ctypes.c_void_p, ctypes.c_void_p], None),
            ("sf_room_close", [ctypes.c_void_p], None),
        ):
            call = getattr(library, name)
            call.argtypes, call.restype = types, result
            setattr(self, name.removeprefix("sf_").removeprefix("room_"), call)

    @property
    def used(self) -> int:
        return self.sizes[1]

    def piece(self, size: int) -> np.ndarray:
        address = self.take(self.room, size, 1)
        assert address % 64 == 0
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))


def test_what_is_given_back_is_taken_again():
    with Room(limit=16 * MEGABYTE) as room:
        calls = Calls(room)
        calls.reserve(calls.room, RESERVED)
        reserved = calls.used
        assert reserved in (RESERVED, 0)  # 0 where the system has none
        kept = calls.piece(MEGABYTE + 1)
        kept[:] = 7
        mark = calls.mark(calls.room)
        first = calls.piece(3 * MEGABYTE)
        address = first.ctypes.data
        calls.rewind(calls.room, mark)
        again = calls.piece(2 * MEGABYTE)
        if reserved:
            assert again.ctypes.data == address and calls.used == RESERVED
        calls.rewind(calls.room, mark)
        calls.settle(calls.room)
        held = calls.used
        assert MEGABYTE + 1 + HEAD <= held < MEGABYTE + 1 + 3 * HEAD
        calls.piece(100)
        assert calls.used == held + 100 + HEAD
        assert (kept == 7).all()
        calls.close(calls.room)
        assert calls.used == 0


def test_a_store_is_no_larger_than_the_limit():
    with Room(limit=5 * MEGABYTE) as room:
        calls = Calls(room)
        calls.reserve(calls.room, RESERVED)
        assert calls.used in (5 * MEGABYTE, 0)
        calls.piece(5 * MEGABYTE - 2 * HEAD)[:] = 1
        assert calls.used <= 5 * MEGABYTE


steps = st.lists(st.one_of(st.integers(1, 2 * MEGABYTE), st.just("mark"), st.just("rewind")), max_size=30)


@settings(max_examples=60)
@given(steps)
def test_pieces_keep_what_is_in_them(steps):
    """In the store, beyond it and after rewinding in any order."""
    with Room() as room:
        calls = Calls(room)
        calls.reserve(calls.room, RESERVED)
        pieces, marks = [], []
        for number, step in enumerate(steps):
            if step == "mark":
                marks.append((calls.mark(calls.room), len(pieces)))
            elif step == "rewind" and marks:
                mark, count = marks.pop()
                calls.rewind(calls.room, mark)
                del pieces[count:]
            elif isinstance(step, int):
                piece = calls.piece(step)
                piece[:64] = piece[-64:] = number
                pieces.append((number, piece))
        for number, piece in pieces:
            assert (piece[:64] == number).all() and (piece[-64:] == number).all()
        calls.settle(calls.room)
        assert calls.used >= sum(len(piece) + HEAD for _, piece in pieces)
        for number, piece in pieces:
            assert (piece[:64] == number).all() and (piece[-64:] == number).all()
