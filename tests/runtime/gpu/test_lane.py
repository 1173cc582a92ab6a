# SPDX-License-Identifier: Apache-2.0
"""A lane plays what its maker enqueues, through a checked graph or without, and never reads or writes too early."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import pytest

from stillflow.gpu.lane import Lane
from stillflow.gpu.layer import CudaDevice
from stillflow.gpu.trouble import OutOfMemoryError

from .clocks import Clock, fail, held

pytestmark = pytest.mark.device

SIZE = 64
CHECK = (2.5, 7.25)


@pytest.fixture
def make(cuda_device: CudaDevice) -> Iterator:
    made = []

    def lane(trouble: str = "", moves: bool = True) -> Lane:
        clock = Clock(cuda_device, trouble)
        made.append(Lane(cuda_device, clock, {"rgb": SIZE, "nv12": SIZE // 2}, check=CHECK, moves=moves))
        made.append(clock)
        return made[-2]

    yield lane
    for one in made:
        one.close()


def shown(lane: Lane, t: float, output="rgb") -> float:
    lane.draw(t, output)
    out = np.zeros(8, np.uint8)
    lane.fetch(output, out)
    return float(out.view(np.float64)[0])


def test_frames_of_their_times(make) -> None:
    lane = make()
    assert [shown(lane, t) for t in (0.0, 1.5, -3.0, 1e9)] == [0.0, 1.5, -3.0, 1e9]


def test_what_never_moves_is_written_once(make, cuda_device: CudaDevice) -> None:
    lane = make()
    for t in (1.0, 2.0, 3.0, 4.0):
        lane.draw(t, "rgb")
        out = np.ones(16, np.uint8)
        lane.fetch("rgb", out)
        assert out.view(np.float64).tolist() == [t, 0.0]
        cuda_device.clear(lane.prepare("rgb"), 8, lane.stream)
    other = cuda_device.allocate(16)
    lane.draw_at(5.0, "rgb", other.address)
    cuda_device.download(other.address, out, lane.stream)
    lane.stream.synchronize()
    assert out.view(np.float64).tolist() == [5.0, 0.0]
    other.close()


def test_a_graph_from_the_second_frame_on(make, cuda_device: CudaDevice) -> None:
    lane = make()
    shown(lane, 1.0)
    assert lane.graphs == set()
    shown(lane, 2.0)
    assert lane.graphs == {"rgb"}
    before = lane._maker.launches
    assert [shown(lane, t) for t in (5.0, 6.0)] == [5.0, 6.0]
    assert lane._maker.launches == before, "the graph plays"
    assert shown(lane, 8.0, "nv12") == shown(lane, 8.0, "nv12") == 8.0
    assert lane.graphs == {"rgb", "nv12"}
    assert shown(lane, 9.0, "rgb") == 9.0


@pytest.mark.parametrize("trouble", ["waits", "stale", "still"])
def test_a_graph_that_is_not_right_is_dropped(make, trouble: str, caplog: pytest.LogCaptureFixture) -> None:
    lane = make(trouble)
    with caplog.at_level(logging.WARNING):
        found = [shown(lane, t) for t in (1.0, 2.0, 3.0)]
    assert lane.graphs == set()
    assert len(caplog.messages) == 1 and "launched one by one" in caplog.messages[0]
    if trouble == "waits":
        assert found == [1.0, 2.0, 3.0]


@pytest.mark.stand_in
@pytest.mark.parametrize("spoils", [1, 2, 3])
def test_a_recording_that_others_spoil_is_tried_again(
    cuda_device: CudaDevice, spoils: int, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock(cuda_device, spoils=spoils)
    lane = Lane(cuda_device, clock, {"rgb": SIZE}, check=CHECK, moves=True)
    assert [shown(lane, t) for t in (1.0, 2.0, 3.0, 4.0, 5.0)] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert lane.graphs == ({"rgb"} if spoils < 3 else set())
    assert len(caplog.messages) == (spoils == 3)
    for one in (lane, clock):
        one.close()


@pytest.mark.stand_in
@pytest.mark.parametrize("status", [2, 801])
def test_a_graph_that_does_not_start_is_dropped(make, status: int, caplog: pytest.LogCaptureFixture) -> None:
    lane = make()
    fail("cuGraphLaunch", 1, status)
    assert [shown(lane, t) for t in (1.0, 2.0, 3.0)] == [1.0, 2.0, 3.0]
    assert lane.graphs == set()
    assert len(caplog.messages) == 1 and "cuGraphLaunch" in caplog.messages[0]
    fail("cuGraphLaunch", 0, 0)


def test_nothing_moves(make, caplog: pytest.LogCaptureFixture) -> None:
    lane = make("still", moves=False)
    assert [shown(lane, t) for t in (1.0, 2.0, 3.0)] == [99.0] * 3
    assert lane.graphs == {"rgb"} and not caplog.messages


def test_lanes_of_a_scene_warn_once(cuda_device: CudaDevice, caplog: pytest.LogCaptureFixture) -> None:
    clock, untrusted = Clock(cuda_device, "waits"), set()
    lanes = [Lane(cuda_device, clock, {"rgb": SIZE}, moves=True, untrusted=untrusted) for _ in range(2)]
    assert [[shown(lane, t) for t in (1.0, 2.0)] for lane in lanes] == [[1.0, 2.0]] * 2
    assert len(caplog.messages) == 1
    for one in (*lanes, clock):
        one.close()


@pytest.mark.parametrize("frames", [1, 2, 9])
def test_the_time_waits_for_the_one_before(make, cuda_device: CudaDevice, frames: int) -> None:
    """Frames that nobody waits for in between: each keeps its time, though all use the same pinned slot."""
    lane = make()
    kept = cuda_device.allocate(8 * frames)
    for k in range(frames):
        address = lane.draw(k + 0.5, "rgb")
        cuda_device.copy(address, kept.address + 8 * k, 8, lane.stream)
    out = np.zeros(frames)
    cuda_device.download(kept.address, out, lane.stream)
    lane.stream.synchronize()
    kept.close()
    assert out.tolist() == [k + 0.5 for k in range(frames)]


def test_fetched_into_pinned_memory(make, cuda_device: CudaDevice) -> None:
    lane = make()
    pinned = cuda_device.pin(SIZE)
    pinned.array[:] = 7
    for t in (3.0, 4.0, 5.0):
        lane.draw(t, "rgb")
        lane.fetch("rgb", pinned.array)
        assert pinned.array[:8].view(np.float64)[0] == t
    pinned.close()


def test_written_where_it_is_wanted(make, cuda_device: CudaDevice) -> None:
    lane = make()
    pinned = cuda_device.pin(SIZE)
    assert pinned.device_address is not None
    for t in (3.0, 4.0):
        lane.draw_at(t, "rgb", pinned.device_address)
        lane.wait()
        assert pinned.array[:8].view(np.float64)[0] == t
    pinned.close()


def test_part_of_a_frame(make) -> None:
    lane = make()
    lane.draw(2.0, "rgb")
    out = np.zeros(4, np.uint8)
    lane.fetch("rgb", out, 4)
    assert out.tobytes() == np.array([2.0]).tobytes()[4:]


def test_another_stream_waits_for_the_frame(make, cuda_device: CudaDevice) -> None:
    lane, other = make(), cuda_device.stream()
    address = lane.draw(6.0, "rgb")
    lane.ready(other)
    pinned = cuda_device.pin(8)
    cuda_device.download(address, pinned.array, other)
    other.synchronize()
    assert pinned.array.view(np.float64)[0] == 6.0
    pinned.close()
    other.close()


@pytest.mark.stand_in
def test_everything_is_given_back(cuda_device: CudaDevice) -> None:
    before = held()
    for _ in range(3):
        clock = Clock(cuda_device)
        lane = Lane(cuda_device, clock, {"rgb": SIZE, "nv12": SIZE}, check=CHECK, moves=True)
        for output in ("rgb", "nv12"):
            shown(lane, 1.0, output)
            lane.draw(2.0, output)
        lane.close()
        lane.close()
        clock.close()
    assert held() == before


@pytest.mark.stand_in
@pytest.mark.parametrize("function", ["cuMemAlloc_v2", "cuMemHostAlloc", "cuStreamCreate", "cuEventCreate"])
def test_a_lane_that_does_not_come_about(cuda_device: CudaDevice, function: str) -> None:
    clock = Clock(cuda_device)
    before = held()
    for number in (1, 2):
        fail(function, number, 2)
        lanes = []
        try:
            lanes.append(Lane(cuda_device, clock, {"rgb": SIZE}))
        except OutOfMemoryError:
            assert held() == before
        fail(function, 0, 0)
        for lane in lanes:
            lane.close()
        assert held() == before
    clock.close()


@pytest.mark.stand_in
def test_a_frame_takes_the_place_of_another_kind(cuda_device: CudaDevice) -> None:
    clock = Clock(cuda_device)
    lane = Lane(cuda_device, clock, {"rgb": SIZE, "nv12": SIZE}, check=CHECK, moves=True)
    shown(lane, 1.0)
    shown(lane, 2.0)
    fail("cuMemAlloc_v2", 1, 2)
    assert shown(lane, 3.0, "nv12") == 3.0
    assert lane.frames == {"nv12"} and lane.graphs == set()
    lane.draw(4.0, "rgb")
    fresh = np.ones(16, np.uint8)
    lane.fetch("rgb", fresh)
    assert fresh.view(np.float64).tolist() == [4.0, 0.0], "what never moves is written again"
    assert shown(lane, 5.0) == 5.0
    lane.close()
    clock.close()
