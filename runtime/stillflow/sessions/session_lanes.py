# SPDX-License-Identifier: Apache-2.0
"""The lanes of one session: memory and an execution state, which one call at a time may use.

A lane is made when a call needs one, so a session that is used by one thread holds one. Where the device's memory ends
there are fewer lanes, and calls wait for each other; a call fails when a single new lane has no memory for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from stillflow.errors import StillflowError
from stillflow.gpu.layer import Stream
from stillflow.gpu.trouble import OutOfMemoryError

MOST_LANES = 2
"""Lanes that calls from several threads share: one copies while the other computes. More would share the same
multiprocessors, and take their memory each."""


class Lane(Protocol):
    """What a session has several of."""

    def close(self) -> None:
        """Give its memory back; its work is done."""


AnyLane = TypeVar("AnyLane", bound=Lane)
Result = TypeVar("Result")


@dataclass(eq=False)
class _Held(Generic[AnyLane]):
    """A lane.

    Attributes:
        lane: itself.
        used: it has served a call; then its memory may be of another size than the next call needs.
    """

    lane: AnyLane
    used: bool = False


class SessionLanes(Generic[AnyLane]):
    """Lanes that are lent for a call, and lanes that belong to a stream.

    Args:
        make: a new lane; raises OutOfMemoryError where there is no memory for it.
        most: lanes that are lent at a time.
        make_for_stream: the same for a lane that belongs to a stream; ``make`` without.
        trim: gives the driver what the device keeps for later; where memory ends that is tried before a call fails, as
            libraries take memory of their own.
    """

    def __init__(
        self,
        make: Callable[[], AnyLane],
        most: int = MOST_LANES,
        make_for_stream: Callable[[], AnyLane] | None = None,
        trim: Callable[[], None] | None = None,
    ) -> None:
        self._trim = trim
        self._make, self._make_for_stream = make, make_for_stream or make
        self._most = most
        self._count = 0
        self._free: list[_Held[AnyLane]] = []
        self._streams: dict[int, _Held[AnyLane]] = {}
        self._changed = threading.Condition()
        self._closed = False

    @property
    def count(self) -> int:
        """Lanes that there are now, those of streams included."""
        return self._count + len(self._streams)

    def lend(self, call: Callable[[AnyLane], Result]) -> Result:
        """Do a call on a free lane; where memory ends, again with fewer lanes.

        Raises:
            OutOfMemoryError: one new lane alone has not enough.
            StillflowError: the session is closed.
        """
        trimmed = self._trim is None
        while True:
            held, alone = self._take()
            fresh = held is None or not held.used
            try:
                held = held or _Held(self._make())
                result = call(held.lane)
            except OutOfMemoryError:
                try:
                    if held is not None:
                        held.lane.close()
                finally:  # or who waits for it would wait for ever
                    self._fewer()
                if alone and fresh and trimmed:
                    raise
                trimmed = self._trimmed()
            except BaseException:
                self._give(held)
                raise
            else:
                held.used = True
                self._give(held)
                return result

    def _take(self) -> tuple[_Held[AnyLane] | None, bool]:
        """Wait for a free lane, None where one more may be made; and whether no other is lent meanwhile."""
        with self._changed:
            while not self._closed and not self._free and self._count >= self._most:
                self._changed.wait()
            self._check_open()
            if self._free:
                return self._free.pop(), self._most == 1
            self._count += 1
            return None, self._most == 1

    def _give(self, held: _Held[AnyLane] | None) -> None:
        """Take a lane back; None: it was not made."""
        with self._changed:
            if held is None or self._closed:
                self._count -= 1
            else:
                self._free.append(held)
            self._changed.notify_all()
        if held is not None and self._closed:
            held.lane.close()

    def _fewer(self) -> None:
        """Count one lane less, and lend no more of them at a time than are left."""
        with self._changed:
            self._count -= 1
            self._most = max(1, self._count)
            self._changed.notify_all()

    def on(self, stream: Stream, call: Callable[[AnyLane], Result]) -> Result:
        """Do a call on the lane of a stream; where memory ends, lanes that lie idle make room for it.

        Raises:
            OutOfMemoryError: a new lane has not enough beside those of other streams and of calls.
            StillflowError: the session is closed.
        """
        trimmed = self._trim is None
        while True:
            with self._changed:
                self._check_open()
                held = self._streams.get(stream.handle)
            fresh = held is None or not held.used
            try:
                if held is None:
                    held = _Held(self._make_for_stream())
                    with self._changed:
                        self._streams[stream.handle] = held
                result = call(held.lane)
            except OutOfMemoryError:
                idle = self._close_idle()
                if not idle:
                    self.release(stream)
                    if fresh and trimmed:
                        raise
                trimmed = self._trimmed()
            else:
                held.used = True
                return result

    def _trimmed(self) -> bool:
        """Give the driver what is kept for later: True, it need not be tried again."""
        if self._trim is not None:
            self._trim()
        return True

    def _close_idle(self) -> bool:
        """Close lanes that nobody uses; say whether there were any."""
        with self._changed:
            idle, self._free = self._free, []
            self._count -= len(idle)
        for held in idle:
            held.lane.close()
        return bool(idle)

    def release(self, stream: Stream) -> None:
        """Close the lane of a stream, if there is one, once the stream's work is done."""
        if stream.handle not in self._streams:
            return
        stream.synchronize()  # before it is taken out: if this fails, closing the session still finds it
        with self._changed:
            held = self._streams.pop(stream.handle, None)
        if held is not None:
            held.lane.close()

    def close(self) -> None:
        """Close all lanes: those that are lent when they come back. The work of the streams is done."""
        with self._changed:
            rest = [*self._free, *self._streams.values()]
            self._closed, self._free, self._streams = True, [], {}
            self._changed.notify_all()
        for held in rest:
            with suppress(StillflowError):  # a device that is lost takes nothing back, and the rest must go
                held.lane.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StillflowError("cannot run a graph", "its session is closed", "open it again")
