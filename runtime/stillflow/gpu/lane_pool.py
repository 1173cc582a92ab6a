# SPDX-License-Identifier: Apache-2.0
"""The lanes of one scene: made when they are wanted, fewer where the device's memory is short."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stillflow.gpu.lane import Lane, Output
from stillflow.gpu.trouble import OutOfMemoryError

log = logging.getLogger(__name__)


class LanePool:
    """Lends lanes to threads; who finds none free waits for one.

    Args:
        make: makes a lane.
        most: lanes that threads may hold at a time.
        finish: called once, after the pool was closed and the last lane came back: what lanes read may go then.
    """

    def __init__(self, make: Callable[[], Lane], most: int, finish: Callable[[], None]) -> None:
        self._make = make
        self._most = most
        self._finish = finish
        self._made = 0
        self._lent = 0
        self._free: list[Lane] = []
        self._changed = threading.Condition()
        self._making = threading.Lock()
        self._closed = False

    @property
    def most(self) -> int:
        """Lanes that threads may hold at a time; falls when memory is short."""
        return self._most

    @contextmanager
    def lane(self, output: Output) -> Iterator[Lane]:
        """Lend a lane with a frame for this output, for a block.

        Raises:
            OutOfMemoryError: there is no memory for a single lane.
            ValueError: the pool is closed.
        """
        self._lend()
        try:
            lane = self._take(output)
            try:
                yield lane
            finally:
                self._give(lane)
        finally:
            self._take_back()

    @contextmanager
    def apart(self, count: int, output: Output) -> Iterator[list[Lane]]:
        """Lend lanes that do not count: whoever holds them may ask for others without waiting for itself.

        Args:
            count: wanted; fewer where memory is short, but one at least.
            output: that they make.

        Raises:
            OutOfMemoryError: there is no memory for a single lane.
            ValueError: the pool is closed.
        """
        lanes: list[Lane] = []
        self._lend()
        try:
            while len(lanes) < count:
                try:
                    lanes.append(self._idle() or self._make())
                    lanes[-1].prepare(output)
                except OutOfMemoryError as error:
                    if lanes and output not in lanes[-1].frames:
                        lanes.pop().close()
                    if not lanes:
                        raise _no_memory(error) from error
                    log.warning("the GPU's memory holds %d lanes of %d", len(lanes), count)
                    break
            yield list(lanes)
        finally:
            with self._changed:
                while lanes and not self._closed and self._made < self._most:
                    self._free.append(lanes.pop())
                    self._made += 1
                self._changed.notify_all()
            for lane in lanes:
                lane.close()
            self._take_back()

    def close(self) -> None:
        """Give all lanes back, those in use when their block ends; harmless twice."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._lent += 1
            free, self._free = self._free, []
            self._changed.notify_all()
        for lane in free:
            lane.close()
        self._take_back()

    def _take(self, output: Output) -> Lane:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._free or self._made < self._most)
                self._check_open()
                lane = self._free.pop() if self._free else None
                if lane is None:
                    self._made += 1
            try:
                # One at a time: two that are made at once could each take the memory that the other lacks.
                with self._making:
                    lane = lane or self._make()
                    lane.prepare(output)
                return lane
            except BaseException as error:
                if lane is not None:
                    lane.close()
                with self._changed:
                    self._made -= 1
                    self._changed.notify_all()
                    if not isinstance(error, OutOfMemoryError):
                        raise
                    if self._made == 0:
                        raise _no_memory(error) from error
                    if self._made < self._most:
                        log.warning("the GPU's memory holds %d lanes of %d", self._made, self._most)
                        self._most = self._made

    def _idle(self) -> Lane | None:
        """A free lane, which no longer counts."""
        with self._changed:
            self._check_open()
            if not self._free:
                return None
            self._made -= 1
            return self._free.pop()

    def _give(self, lane: Lane) -> None:
        with self._changed:
            closed = self._closed
            if not closed:
                self._free.append(lane)
                self._changed.notify()
        if closed:
            lane.close()

    def _lend(self) -> None:
        with self._changed:
            self._check_open()
            self._lent += 1

    def _take_back(self) -> None:
        with self._changed:
            self._lent -= 1
            last = self._closed and self._lent == 0
        if last:
            self._finish()

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("this scene is closed")


def _no_memory(error: OutOfMemoryError) -> OutOfMemoryError:
    return OutOfMemoryError(
        "cannot play this loop on the GPU",
        f"its memory does not hold a single frame's work: {error.why}",
        "make it smaller with --size, end other programs on the GPU, or use --device cpu",
    )
