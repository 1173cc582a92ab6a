# SPDX-License-Identifier: Apache-2.0
"""The player: order, bounds, errors and threads that end."""

from __future__ import annotations

import gc
import threading
import time

import numpy as np
import pytest

from stillflow.kernels.arrays import ByteArray
from stillflow.player import Player


class Clock:
    """A scene whose frame t is filled with t; it counts what is asked of it."""

    fps = 30.0
    height, width = 6, 8

    def __init__(self, frames: int, seconds: float = 0.0, broken: int | None = None) -> None:
        self.frames = frames
        self.seconds = seconds
        self.broken = broken
        self.asked: list[int] = []
        self.lock = threading.Lock()

    def frame_rows(self, t: float, y0: int, y1: int, out: ByteArray) -> None:
        index = int(t)
        with self.lock:
            self.asked.append(index)
        # Later frames of a pair are quicker, so that lanes overtake each other.
        time.sleep(self.seconds * (2 - index % 2))
        if index == self.broken:
            raise RuntimeError(f"frame {index} is broken")
        out[:] = index


def lanes_alive() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("stillflow-player")]


@pytest.mark.parametrize("lanes", [1, 2, 5])
@pytest.mark.parametrize("queue", [1, 4])
@pytest.mark.parametrize("frames", [1, 2, 23])
def test_every_frame_once_and_in_order(lanes: int, queue: int, frames: int) -> None:
    scene = Clock(frames, seconds=0.0005)
    seen = list(Player(scene, lanes=lanes, queue=queue).frames())
    assert [index for index, _ in seen] == list(range(frames))
    assert all((frame == index).all() and frame.shape == (6, 8, 3) for index, frame in seen)
    assert sorted(scene.asked) == list(range(frames))
    assert not lanes_alive()


def test_frames_are_the_consumers_own() -> None:
    frames = [frame for _, frame in Player(Clock(12), lanes=3).frames()]
    assert len({frame.ctypes.data for frame in frames}) == 12


def test_reused_frame_is_valid_until_the_next() -> None:
    addresses = set()
    for index, frame in Player(Clock(60, 0.0002), lanes=3, queue=3).frames(reuse=True):
        addresses.add(frame.ctypes.data)
        time.sleep(0.0005)  # the lanes run ahead meanwhile
        assert (frame == index).all()
    # Three in the queue, one with the consumer, and one given back while its successor is rendered.
    assert len(addresses) <= 5


def test_work_ahead_is_bounded() -> None:
    scene = Clock(50)
    player = Player(scene, lanes=2, queue=3)
    for index, _ in player.frames():
        time.sleep(0.002)
        assert max(scene.asked) <= index + 3
        if index == 10:
            break
    assert max(scene.asked) <= 13


def test_the_lanes_work_ahead() -> None:
    scene = Clock(20)
    frames = Player(scene, lanes=2, queue=4).frames()
    next(frames)
    deadline = time.monotonic() + 5
    while len(scene.asked) < 5 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert len(scene.asked) == 5  # the one handed out and the four of the queue
    frames.close()


def test_error_of_a_lane_reaches_the_consumer() -> None:
    seen: list[int] = []
    played = Player(Clock(20, 0.0005, broken=7), lanes=3).frames()
    with pytest.raises(RuntimeError, match="frame 7 is broken"):
        seen.extend(index for index, _ in played)
    assert seen == list(range(7))
    assert not lanes_alive()


@pytest.mark.parametrize("broken", [0, 5])
def test_error_while_finishing(broken: int) -> None:
    def finish(index: int, frame: ByteArray) -> int:
        if index == broken:
            raise OSError("no")
        return int(frame[0, 0, 0])

    seen: list[tuple[int, int]] = []
    played = Player(Clock(20), lanes=3).each(finish)
    with pytest.raises(OSError, match="no"):
        seen.extend(played)
    assert seen == [(k, k) for k in range(broken)]
    assert not lanes_alive()


def test_first_frame_is_finished_before_any_other_begins() -> None:
    first_done = threading.Event()
    early = []

    def finish(index: int, frame: ByteArray) -> None:
        if index == 0:
            time.sleep(0.02)
            first_done.set()
        elif not first_done.is_set():
            early.append(index)

    assert len(list(Player(Clock(8), lanes=4).each(finish))) == 8
    assert not early


def test_leaving_early_stops_the_lanes() -> None:
    frames = Player(Clock(1000, 0.001), lanes=3).frames()
    next(frames)
    assert len(lanes_alive()) == 3
    frames.close()
    assert not lanes_alive()


def test_forgetting_the_player_stops_the_lanes() -> None:
    frames = Player(Clock(1000, 0.001), lanes=2).frames()
    next(frames)
    del frames
    gc.collect()
    assert not lanes_alive()


def test_nothing_starts_before_the_first_frame_is_asked_for() -> None:
    scene = Clock(5)
    frames = Player(scene).frames()
    assert not lanes_alive()
    assert not scene.asked
    frames.close()


def test_no_more_lanes_than_frames() -> None:
    assert Player(Clock(2), lanes=8).lanes == 2


@pytest.mark.parametrize(("lanes", "queue"), [(0, 4), (2, 0)])
def test_refuses_zero(lanes: int, queue: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Player(Clock(2), lanes=lanes, queue=queue)


def test_two_plays_at_once_and_bit_identical() -> None:
    class Noise(Clock):
        def frame_rows(self, t: float, y0: int, y1: int, out: ByteArray) -> None:
            out[:] = np.random.default_rng(int(t)).integers(0, 256, out.shape, np.uint8)

    one = [frame for _, frame in Player(Noise(20), lanes=1).frames()]
    pairs = zip(Player(Noise(20), lanes=3).frames(), Player(Noise(20), lanes=2).frames(), strict=True)
    for index, ((_, a), (_, b)) in enumerate(pairs):
        assert (a == one[index]).all() and (b == one[index]).all()


class Flat(Clock):
    """Frames of a shape of their own, in arrays that the scene brings."""

    frame_shape = (9, 8)
    threads = 5

    def __init__(self, frames: int) -> None:
        super().__init__(frames)
        self.brought: list[ByteArray] = []

    def frame_buffer(self) -> ByteArray:
        self.brought.append(np.empty(self.frame_shape, np.uint8))
        return self.brought[-1]


def test_a_scene_may_bring_its_arrays() -> None:
    scene = Flat(20)
    for index, frame in Player(scene, lanes=2).frames(reuse=True):
        assert frame.shape == (9, 8) and (frame == index).all()
    assert 1 <= len(scene.brought) <= 7
    before = len(scene.brought)
    kept = [frame for _, frame in Player(scene, lanes=2).frames()]
    assert len(scene.brought) == before, (
        "a consumer may keep what it owns: the scene's arrays are too dear for that"
    )
    assert all(frame.shape == (9, 8) and (frame == index).all() for index, frame in enumerate(kept))
    addresses = {address for _, address in Player(scene).each(lambda _, frame: frame.ctypes.data)}
    assert addresses <= {array.ctypes.data for array in scene.brought}


def test_a_scene_may_want_more_threads_than_there_are_cores() -> None:
    assert Player(Flat(20)).lanes >= 5
    assert Player(Flat(20), lanes=1).lanes == 1
    assert Player(Flat(3)).lanes == 3
