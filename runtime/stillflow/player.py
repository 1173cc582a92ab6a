# SPDX-License-Identifier: Apache-2.0
"""Frames in order, computed ahead by threads while the consumer works on earlier ones.

Lanes are whole frames, not row bands of one frame: every lane renders its own frame. Bands need a
meeting point after each frame, and the fields of a frame (trace and statistics) are not split by
rows. 120 frames of 720p (``stillflow-bench encode``, two cores that did other work as
well): 0.68 s in lanes of frames, 0.81 s in bands, 0.90 s in one lane; processor time 0.61, 0.68 and 0.62 s.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

ByteArray = npt.NDArray[np.uint8]
T = TypeVar("T")

MAX_LANES = 8
"""More would only add buffers: the encoder needs cores too."""


class PlayableScene(Protocol):
    """What the player needs of a scene. ``frame_rows`` is called from several threads at once."""

    @property
    def frames(self) -> int:
        """Frames in one loop."""

    @property
    def fps(self) -> float:
        """Frames a second."""

    @property
    def height(self) -> int:
        """Rows of a frame."""

    @property
    def width(self) -> int:
        """Columns of a frame."""

    def frame_rows(self, t: float, y0: int, y1: int, out: ByteArray) -> None:
        """Render rows y0..y1-1 of the frame at time t (in frames) into out, (y1 - y0, W, 3) uint8."""


@runtime_checkable
class BufferedScene(PlayableScene, Protocol):
    """A scene that brings the arrays for its frames, because it fills some faster than others."""

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Shape of a frame, uint8; not (H, W, 3) where frames are NV12."""

    @property
    def threads(self) -> int:
        """Threads that keep it busy. They wait most of the time, so the cores do not bound them."""

    def frame_buffer(self) -> ByteArray:
        """A new array of ``frame_shape`` that frames arrive in without a detour; whoever holds it owns it."""


@runtime_checkable
class Nv12Scene(PlayableScene, Protocol):
    """A scene that also gives its frames as NV12, in less time than they would take to convert."""

    def nv12(self) -> PlayableScene:
        """The same loop with NV12 frames."""


def usable_cores() -> int:
    """Return how many cores this process may run on (a container or taskset may allow fewer than exist)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Player:
    """Plays one loop of a scene.

    Args:
        scene: what renders the frames.
        lanes: threads that render, each a frame of its own; None means one a usable core, at most 8, and no
            fewer than a ``BufferedScene`` asks for.
        queue: frames that may be computed and not yet consumed, at least as many as lanes; this
            bounds the memory to (queue + 1) frames.

    Raises:
        ValueError: lanes or queue below 1.
    """

    def __init__(self, scene: PlayableScene, *, lanes: int | None = None, queue: int = 4) -> None:
        if (lanes is not None and lanes < 1) or queue < 1:
            raise ValueError(f"lanes and queue must be at least 1, not {lanes} and {queue}")
        self.scene = scene
        busy = scene.threads if isinstance(scene, BufferedScene) else 1
        wanted = lanes if lanes is not None else max(busy, min(usable_cores(), MAX_LANES))
        self.lanes = max(1, min(wanted, scene.frames))
        self.queue = max(queue, self.lanes)

    def frames(self, *, reuse: bool = False) -> Generator[tuple[int, ByteArray], None, None]:
        """Yield (index, frame) in order.

        Args:
            reuse: hand out the same few buffers again and again. A frame is then valid only until
                the next one is asked for. Saves the page faults of a fresh array a frame.

        Yields:
            The frame's index 0..N-1 and the frame, (H, W, 3) uint8 or as the scene's ``frame_shape`` says.
            Without ``reuse`` the consumer owns the array.

        Raises:
            Exception: whatever a lane raised; frames before the failed one are delivered first.
        """
        # A consumer may keep every frame it owns; what a scene brings is too dear for that.
        pool = _Pool(self.scene, own=reuse)
        last: ByteArray | None = None
        for index, frame in _play(self, pool, lambda _, frame: frame):
            if reuse and last is not None:
                pool.give(last)
            last = frame
            yield index, frame

    def each(self, finish: Callable[[int, ByteArray], T]) -> Generator[tuple[int, T], None, None]:
        """Yield (index, finish(index, frame)) in order, with ``finish`` called in the lanes.

        Work that depends on one frame only (colour conversion, compression) so runs in parallel.
        Frame 0 is finished before any other is begun.

        Args:
            finish: called from several threads at once; must not keep the frame, its buffer is reused.
        """
        pool = _Pool(self.scene, own=True)

        def finish_and_free(index: int, frame: ByteArray) -> T:
            try:
                return finish(index, frame)
            finally:
                pool.give(frame)

        return _play(self, pool, finish_and_free)


class _Pool:
    """Frame buffers that nobody holds at the moment.

    Args:
        scene: whose frames they are for.
        own: take new ones from the scene, where it brings some.
    """

    def __init__(self, scene: PlayableScene, *, own: bool) -> None:
        self._free: list[ByteArray] = []
        self._shape: tuple[int, ...] = (scene.height, scene.width, 3)
        self._make: Callable[[], ByteArray] = self._plain
        if isinstance(scene, BufferedScene):
            self._shape = scene.frame_shape
            self._make = scene.frame_buffer if own else self._plain

    def _plain(self) -> ByteArray:
        return np.empty(self._shape, np.uint8)

    def take(self) -> ByteArray:
        # list.pop and list.append are atomic, so lanes need no lock of their own here.
        try:
            return self._free.pop()
        except IndexError:
            return self._make()

    def give(self, buffer: ByteArray) -> None:
        self._free.append(buffer)


def _play(
    player: Player, pool: _Pool, finish: Callable[[int, ByteArray], T]
) -> Generator[tuple[int, T], None, None]:
    """Run the lanes and yield their results in order; stops and joins them when it is closed."""
    scene, total = player.scene, player.scene.frames
    changed = threading.Condition()
    done: dict[int, T] = {}
    failed: dict[int, BaseException] = {}
    started = 0
    ready = 1  # frame 0 goes alone: what is made from it (a palette, a cache) is there for the others
    stopping = False

    def next_index() -> int | None:
        nonlocal started
        with changed:
            # A failure ends the run at its own frame, so nothing beyond it is worth starting.
            changed.wait_for(lambda: stopping or failed or started >= total or started < ready)
            if stopping or failed or started >= total:
                return None
            started += 1
            return started - 1

    def lane() -> None:
        nonlocal ready
        while (index := next_index()) is not None:
            try:
                buffer = pool.take()
                scene.frame_rows(float(index), 0, scene.height, buffer)
                result = finish(index, buffer)
            except BaseException as error:  # handed to the consumer, whatever it is
                with changed:
                    failed[index] = error
                    changed.notify_all()
                return
            with changed:
                done[index] = result
                ready = max(ready, player.queue)
                changed.notify_all()
            del result, buffer  # while this lane waits, the consumer alone decides how long they live

    threads = [
        threading.Thread(target=lane, name=f"stillflow-player-{k}", daemon=True) for k in range(player.lanes)
    ]
    try:
        for thread in threads:
            thread.start()
        for index in range(total):
            with changed:
                changed.wait_for(lambda index=index: index in done or index in failed)  # type: ignore[misc]
                if index in failed:
                    raise failed[index]
                result = done.pop(index)
                # The frame being handed out does not count: the lanes fill its place meanwhile.
                ready = index + 1 + player.queue
                changed.notify_all()
            yield index, result
            del result
    finally:
        with changed:
            stopping = True
            changed.notify_all()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
        done.clear()
