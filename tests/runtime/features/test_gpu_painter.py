# SPDX-License-Identifier: Apache-2.0
"""A painter waits for nothing, keeps to its lanes, and finds its way where memory is short."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

torch = pytest.importorskip(
    "torch", reason="the generators here run in torch: pip install 'stillflow[export]'"
)

from stillflow.features.feature_scene import build_feature_scene, plan_feature_scene  # noqa: E402
from stillflow.features.gpu_painter import GpuPainter  # noqa: E402
from stillflow.gpu.trouble import OutOfMemoryError  # noqa: E402
from stillflow.photo import Photo  # noqa: E402

from ..scenes import textured  # noqa: E402
from .device_sessions import copying, on_device, plain_networks  # noqa: E402
from .generators import Generator  # noqa: E402
from .test_feature_scene import wandering  # noqa: E402

pytestmark = pytest.mark.device

HEIGHT, WIDTH = 60, 420


class Lane:
    """A stream, a time and a frame, without any of the player's."""

    def __init__(self, painter, nv12=False):
        self.painter, self.device = painter, painter.device
        self.stream, self.scratch = self.device.stream(), painter.scratch(nv12=nv12)
        self.time, self.rgb = self.device.allocate(8), self.device.allocate(HEIGHT * WIDTH * 3)
        self.frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)

    def draw(self, t, *, still=True):
        self.device.upload(np.array([t], np.float64), self.time.address, self.stream)
        self.painter.enqueue(self.time.address, self.scratch, self.stream, rgb=self.rgb.address, still=still)
        self.device.download(self.rgb.address, self.frame, self.stream)

    def done(self):
        self.stream.synchronize()
        return self.frame.copy()

    def close(self):
        self.stream.synchronize()
        self.scratch.close()
        for thing in (self.time, self.rgb, self.stream):
            thing.close()


@pytest.fixture(scope="module")
def networks():
    return Generator().networks()


@pytest.fixture(scope="module")
def scenery():
    velocity = wandering(HEIGHT, WIDTH)
    velocity[:, :50] = 0
    return Photo.from_array(textured(HEIGHT, WIDTH)), velocity


@pytest.fixture(scope="module")
def expected(networks, scenery):
    return build_feature_scene(*scenery, networks, seconds=2, fps=30)


@pytest.fixture
def sessions(networks, cuda_device):
    made = on_device(networks, cuda_device)
    yield made
    for session in made.values():
        session.close()


@pytest.fixture
def painter(networks, scenery, sessions, cuda_device):
    with closing(
        GpuPainter(plan_feature_scene(*scenery, networks, 60), networks, sessions, cuda_device)
    ) as made:
        yield made


def near(found, wanted):
    return int(np.abs(found.astype(int) - wanted).max()) <= 1


def test_lanes_side_by_side_do_not_disturb_each_other(painter, expected):
    with closing(Lane(painter)) as a, closing(Lane(painter, nv12=True)) as b:
        for t in (3, 30):
            a.draw(t)
            b.draw(59 - t)
            assert near(b.done(), expected.frame(59 - t)) and near(a.done(), expected.frame(t))
        # Without what is still, the frame before is drawn over.
        a.draw(40, still=False)
        assert near(a.done(), expected.frame(40))


def test_a_network_that_finds_no_memory_gets_smaller_tiles(painter, sessions, expected):
    run, room = sessions["decoder"].run, 16_000

    def scarce(inputs):
        if inputs["mask"].size > room:
            raise OutOfMemoryError("cannot run", "there is none", "free some")
        return run(inputs)

    sessions["decoder"].run = scarce
    with closing(Lane(painter)) as lane:
        for t in (0, 20):
            lane.draw(t)
            assert near(lane.done(), expected.frame(t))
        # Found once, kept: the second frame did not try larger ones again.
        sizes = sessions["decoder"].sizes
        tiles = len(lane.scratch.tiles)
        assert tiles > 1 and set(sizes[-2 * tiles :]) == {sizes[-1]} and sizes[-1] <= room
        room = 10
        with pytest.raises(OutOfMemoryError, match="single tile"):
            lane.draw(1)
        room = 12_000
        lane.draw(2)
        assert near(lane.done(), expected.frame(2)), "another time there may be some"


class Scarce:
    """A device on which some of the memory is somebody else's."""

    def __init__(self, device):
        self._device, self.refused = device, set()

    def __getattr__(self, name):
        return getattr(self._device, name)

    def allocate(self, size):
        if size in self.refused:
            raise OutOfMemoryError("cannot take memory", "there is none", "free some")
        return self._device.allocate(size)


def test_a_lane_without_room_has_smaller_tiles_but_not_at_the_cost_of_another(
    networks, scenery, cuda_device, expected
):
    device = Scarce(cuda_device)
    sessions = on_device(networks, device)
    plan = plan_feature_scene(*scenery, networks, 60)
    with closing(GpuPainter(plan, networks, sessions, device)) as painter:
        with closing(Lane(painter)) as lane:
            channels, large = painter.photo.source.outputs, lane.scratch.tiles[0].pixels
            device.refused.add(4 * channels * large)
            with pytest.raises(OutOfMemoryError):
                painter.scratch()
        with closing(Lane(painter)) as lane:
            small = lane.scratch.tiles[0].pixels
            assert small < large
            lane.draw(12)
            assert near(lane.done(), expected.frame(12))
        device.refused |= {4 * channels * pixels for pixels in range(small + 1)}
        with pytest.raises(OutOfMemoryError, match="single tile"):
            painter.scratch()
    for session in sessions.values():
        session.close()


def test_memory_that_a_graph_may_use_is_not_given_back(cuda_device, scenery):
    networks = plain_networks()
    sessions = copying(cuda_device)
    scene = build_feature_scene(*scenery, networks, seconds=2, fps=30)
    plan = plan_feature_scene(*scenery, networks, 60)
    with closing(GpuPainter(plan, networks, sessions, cuda_device)) as painter:
        assert painter.recordable
        with closing(Lane(painter)) as lane, closing(painter.scratch(nv12=True)) as other:
            lane.draw(3)
            lane.done()
            run, sessions["decoder"].run_on = sessions["decoder"].run_on, no_memory
            other.used_with(lane.stream)
            with pytest.raises(OutOfMemoryError, match="there is none"):
                painter.enqueue(lane.time.address, other, lane.stream, nv12=lane.rgb.address)
            sessions["decoder"].run_on = run
            assert sessions["decoder"].lanes, "the first frame's graph may write there"
            lane.draw(9)
            assert near(lane.done(), scene.frame(9))
    for session in sessions.values():
        session.close()


def no_memory(inputs, stream):
    raise OutOfMemoryError("cannot run", "there is none", "free some")
