# SPDX-License-Identifier: Apache-2.0
"""Memory that was given back and is kept for whoever wants as much next.

Photos of one size want the same pieces again and again. To pin the host's memory is work for the driver, and to give
device memory back makes it wait for all that the device does, of other photos too. What keeping them gains was not
measured: no GPU was at hand.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from stillflow.gpu.trouble import OutOfMemoryError

_LEAST = 512
"""Bytes; pieces are multiples of it."""


def room_for(size: int) -> int:
    """Bytes of the piece that a size gets: at most an eighth more, so that sizes that differ little share pieces."""
    step = max(_LEAST, 1 << max(0, size.bit_length() - 4))
    return -(-size // step) * step


class Spare:
    """Pieces of one kind of memory. Any thread may use it.

    Args:
        limit: bytes that are kept at most; 0 keeps nothing.
        make: takes so many bytes from the driver, and returns their address.
        free: gives the piece at an address back to the driver.
    """

    def __init__(self, limit: int, make: Callable[[int], int], free: Callable[[int], None]) -> None:
        self._limit = limit
        self._make, self._free = make, free
        self._lock = threading.Lock()
        self._back: deque[tuple[int, int]] = deque()
        self._by_age: dict[int, int] = {}
        self._by_room: dict[int, list[int]] = {}
        self.kept = 0

    def take(self, size: int) -> tuple[int, int]:
        """Return the address of a piece, and its bytes, which `put` wants to know.

        Raises:
            OutOfMemoryError: there are not so many, even with nothing kept.
        """
        if not self._limit:
            return self._make(size), size
        room = room_for(size)
        with self._lock:
            leaving = self._sort_in()
            address = self._pop(room)
        self._let_go(leaving)
        if address is not None:
            return address, room
        try:
            return self._make(room), room
        except OutOfMemoryError:
            self.clear()
            return self._make(size), size

    def put(self, address: int, room: int) -> None:
        """Take a piece back: nothing uses it any more.

        The collector may call this at any moment, also in a thread that is in the middle of `take`: nothing waits for
        the lock here, and what is not sorted in now is at the next call.
        """
        self._back.append((address, room))
        while self._back and self._lock.acquire(blocking=False):
            try:
                leaving = self._sort_in()
            finally:
                self._lock.release()
            self._let_go(leaving)

    def clear(self) -> None:
        """Give all that is kept back to the driver."""
        with self._lock:
            leaving = [*self._sort_in(), *self._by_age]
            self._by_age.clear()
            self._by_room.clear()
            self.kept = 0
        self._let_go(leaving)

    def _let_go(self, addresses: list[int]) -> None:
        for address in addresses:
            self._free(address)

    def _sort_in(self) -> list[int]:
        """Keep what came back, and return what is too much: what came first, or what would push out all others."""
        leaving = []
        while self._back:
            address, room = self._back.popleft()
            if room > self._limit // 2 or room != room_for(room):
                leaving.append(address)
                continue
            self._by_age[address] = room
            self._by_room.setdefault(room, []).append(address)
            self.kept += room
        while self.kept > self._limit:
            oldest = next(iter(self._by_age))
            self._forget(oldest)
            leaving.append(oldest)
        return leaving

    def _pop(self, room: int) -> int | None:
        pieces = self._by_room.get(room)
        if not pieces:
            return None
        address = pieces[-1]
        self._forget(address)
        return address

    def _forget(self, address: int) -> None:
        room = self._by_age.pop(address)
        self._by_room[room].remove(address)
        self.kept -= room
