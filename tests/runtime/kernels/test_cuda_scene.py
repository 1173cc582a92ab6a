# SPDX-License-Identifier: Apache-2.0
"""A scene on a GPU gives the reference's frames to one grey level, at any time, and computes what moves only."""

from __future__ import annotations

import ctypes
import dataclasses
import re
from contextlib import ExitStack, closing

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillflow.errors import StillflowError
from stillflow.gpu.trouble import OutOfMemoryError
from stillflow.kernels import cuda_nv12, moving
from stillflow.kernels import reference as ref
from stillflow.kernels.arrays import FIELD_OFFSET, FIELD_SCALE
from stillflow.kernels.cuda_material import Materials, Sizes
from stillflow.kernels.cuda_scene import COMPOSE, FIELDS, CudaScene, bytes_moved
from stillflow.video.colour import nv12

from ..scenes import random_arrays
from .cross_fades import random_cross_fade, reference_frame

seeds = st.integers(0, 100_000)
sides = st.integers(1, 60)
# Any time: within loops, many loops away on both sides, and exactly where a loop or a cycle ends.
times = st.one_of(st.floats(-3, 3), st.floats(-1e12, 1e12), st.integers(-4, 4).map(lambda k: k / 2))

within_module = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Player:
    """A scene with one lane, and frames fetched from guarded memory."""

    GUARD, FILL = 64, 201

    def __init__(self, device, arrays):
        self.device, self.arrays = device, arrays
        self._held = ExitStack()
        self.scene = self._hold(CudaScene(arrays, device))
        self.stream = self._hold(device.stream())
        self.scratch = self._hold(self.scene.scratch())
        self.time = self._hold(device.allocate(8))
        self.sizes = {"rgb": self.scene.rgb_bytes, "nv12": self.scene.nv12_bytes}
        self.targets = {
            kind: self._hold(device.allocate(size + self.GUARD)) for kind, size in self.sizes.items()
        }
        for kind, target in self.targets.items():
            full = np.full(self.sizes[kind] + self.GUARD, self.FILL, np.uint8)
            device.upload(full, target.address, self.stream)

    def _hold(self, thing):
        return self._held.enter_context(closing(thing))

    def set(self, t):
        self.device.upload(np.array([t], np.float64), self.time.address, self.stream)

    def enqueue(self, *kinds, still=True):
        where = {kind: self.targets[kind].address for kind in kinds}
        self.scene.enqueue(self.time.address, self.scratch, self.stream, **where, still=still)

    def fetch(self, kind):
        found = np.empty(self.sizes[kind] + self.GUARD, np.uint8)
        self.device.download(self.targets[kind].address, found, self.stream)
        self.stream.synchronize()
        assert (found[self.sizes[kind] :] == self.FILL).all()
        found = found[: self.sizes[kind]]
        even = self.arrays.width + self.arrays.width % 2
        return found.reshape(self.arrays.photo.shape if kind == "rgb" else (-1, even))

    def frame(self, t, kind="rgb", still=True):
        self.set(t)
        self.enqueue(kind, still=still)
        return self.fetch(kind)

    def close(self):
        self.stream.synchronize()
        self._held.close()


def far(a, b):
    return int(np.abs(a.astype(int) - b).max())


@pytest.mark.device
@within_module
@given(seed=seeds, height=sides, width=sides, moving=st.floats(0.02, 1), loops=times)
def test_it_agrees_with_the_reference(cuda_device, seed, height, width, moving, loops):
    arrays = random_cross_fade(np.random.default_rng(seed), height, width, moving=moving)
    t = loops * arrays.frames
    with closing(Player(cuda_device, arrays)) as player:
        frame = player.frame(t)
        assert far(frame, reference_frame(arrays, t)) <= 1
        still = arrays.matte == 0
        assert np.array_equal(frame[still], arrays.photo[still])


@pytest.mark.device
@within_module
@given(seed=seeds, scale=st.floats(5, 300), share=st.floats(0.05, 0.95))
def test_far_traces_agree_too(cuda_device, seed, scale, share):
    arrays = random_cross_fade(np.random.default_rng(seed), 48, 60, moving=0.4)
    velocity = np.full_like(arrays.velocity, scale / arrays.frames)
    arrays = dataclasses.replace(arrays, velocity=velocity, flow=np.minimum(arrays.flow, 1))
    with closing(Player(cuda_device, arrays)) as player:
        assert far(player.frame(share * arrays.frames), reference_frame(arrays, share * arrays.frames)) <= 1


@pytest.mark.device
@within_module
@given(seed=seeds, height=sides, width=sides, cycle=st.integers(-3, 3))
def test_where_a_cycle_begins_it_is_the_photo(cuda_device, seed, height, width, cycle):
    rng = np.random.default_rng(seed)
    arrays = random_arrays(rng, height, width, harmonics=0, blend=True, lights=0)
    with closing(Player(cuda_device, arrays)) as player:
        assert np.array_equal(player.frame(cycle * arrays.frames), arrays.photo)
    swaying = random_arrays(rng, height, width, harmonics=2, blend=False, lights=2)
    with closing(Player(cuda_device, swaying)) as player:
        assert np.array_equal(player.frame(0.0), swaying.photo)


@pytest.mark.device
@within_module
@given(seed=seeds, height=sides, width=sides, moving=st.floats(0.02, 1), share=st.floats(-1, 2))
def test_nv12_is_that_of_the_frame(cuda_device, seed, height, width, moving, share):
    arrays = random_cross_fade(np.random.default_rng(seed), height, width, moving=moving)
    t = share * arrays.frames
    with closing(Player(cuda_device, arrays)) as player:
        frame = player.frame(t)
        assert far(player.frame(t, "nv12"), nv12(frame)) <= 1
        player.enqueue("rgb", "nv12")
        assert np.array_equal(player.fetch("rgb"), frame)
        assert far(player.fetch("nv12"), nv12(frame)) <= 1


@pytest.mark.device
@pytest.mark.parametrize("kind", ["rgb", "nv12"])
def test_one_graph_plays_any_time(cuda_device, kind):
    if not cuda_device.graphs:
        pytest.skip("this provider has no graphs")
    arrays = random_cross_fade(np.random.default_rng(11), 57, 83, moving=0.5)
    with closing(Player(cuda_device, arrays)) as player:
        player.set(0.0)
        with cuda_device.capture(player.stream) as recording:
            player.enqueue(kind)
        with closing(recording.graph) as graph:
            for t in (0.0, 0.31 * arrays.frames, -7.5, 2e9 + 0.25, arrays.frames, 0.31 * arrays.frames):
                player.set(t)
                graph.launch(player.stream)
                found = player.fetch(kind)
                expected = reference_frame(arrays, t)
                assert far(found, expected if kind == "rgb" else nv12(expected)) <= 2 - (kind == "rgb")
                player.enqueue(kind)
                assert np.array_equal(player.fetch(kind), found)


@pytest.mark.device
@pytest.mark.parametrize("kind", ["rgb", "nv12"])
def test_what_stands_still_may_be_left(cuda_device, kind):
    arrays = random_cross_fade(np.random.default_rng(12), 45, 64, moving=0.3)
    with closing(Player(cuda_device, arrays)) as player:
        frames = [player.frame(t, kind) for t in (3.3, 8.8)]
        for t, frame in zip((3.3, 8.8), frames, strict=True):
            assert np.array_equal(player.frame(t, kind, still=False), frame)
        assert not np.array_equal(*frames)
        clear = player.targets[kind].address, player.sizes[kind]
        cuda_device.clear(*clear, player.stream)
        left = player.frame(3.3, kind, still=False)
        moved = left != 0
        assert np.array_equal(left[moved], frames[0][moved]) and 0.05 < moved.mean() < 0.5


@pytest.mark.device
def test_lanes_do_not_meet(cuda_device):
    arrays = random_cross_fade(np.random.default_rng(13), 40, 52, moving=0.6)
    with ExitStack() as held:
        hold = held.enter_context
        scene = hold(closing(CudaScene(arrays, cuda_device)))
        lanes = [
            (
                hold(closing(cuda_device.stream())),
                hold(closing(scene.scratch(nv12=False))),
                hold(closing(cuda_device.allocate(8))),
                hold(closing(cuda_device.allocate(scene.rgb_bytes))),
            )
            for _ in range(3)
        ]
        for k, (stream, scratch, time, frame) in enumerate(lanes):
            cuda_device.upload(np.array([2.5 * k]), time.address, stream)
            scene.enqueue(time.address, scratch, stream, rgb=frame.address)
        for k, (stream, _, _, frame) in reversed(list(enumerate(lanes))):
            found = np.empty_like(arrays.photo)
            cuda_device.download(frame.address, found, stream)
            stream.synchronize()
            assert far(found, reference_frame(arrays, 2.5 * k)) <= 1


@pytest.mark.device
def test_a_very_wide_picture_is_played(cuda_device):
    arrays = random_cross_fade(np.random.default_rng(14), 6, 65535, moving=1.0)
    matte = np.zeros_like(arrays.matte)
    matte[:, ::977] = 255
    matte[:, -300:] = 255
    arrays = dataclasses.replace(arrays, matte=matte)
    with closing(Player(cuda_device, arrays)) as player:
        assert far(player.frame(4.4), reference_frame(arrays, 4.4)) <= 1


@pytest.mark.device
@pytest.mark.parametrize("t", [np.nan, np.inf, -1e308])
def test_a_time_that_is_none_harms_nothing(cuda_device, t):
    arrays = random_cross_fade(np.random.default_rng(15), 30, 34, moving=0.5)
    with closing(Player(cuda_device, arrays)) as player:
        still = arrays.matte == 0
        assert np.array_equal(player.frame(t)[still], arrays.photo[still])
        assert far(player.frame(5.5), reference_frame(arrays, 5.5)) <= 1


@pytest.mark.device
def test_nv12_alone_needs_room(cuda_device):
    arrays = random_cross_fade(np.random.default_rng(16), 20, 20)
    with closing(Player(cuda_device, arrays)) as player:
        with (
            closing(player.scene.scratch(nv12=False)) as small,
            pytest.raises(StillflowError, match="NV12"),
        ):
            player.scene.enqueue(
                player.time.address, small, player.stream, nv12=player.targets["nv12"].address
            )
        assert small.size < player.scratch.size


@pytest.mark.device
def test_bytes_moved_grow_with_what_moves(cuda_device):
    counts = []
    for share in (0.0, 0.1, 1.0):
        arrays = random_arrays(np.random.default_rng(3), 96, 128, harmonics=0, blend=False)
        matte = np.zeros_like(arrays.matte)
        matte[: round(96 * share)] = 255
        arrays = dataclasses.replace(arrays, matte=matte)
        with closing(CudaScene(arrays, cuda_device)) as scene:
            counts.append(bytes_moved(scene))
            assert bytes_moved(scene, still=False)["copy"] == 0
            assert bytes_moved(scene, nv12=True)["sf_nv12"] == 9 * 32 * scene.moving.converted.size // 2
    pixels = 96 * 128
    assert sum(counts[0].values()) == counts[0]["copy"] == 6 * pixels
    assert counts[2]["copy"] == 0
    # The bound is 34 bytes a pixel: the frame itself, all of it moving, is within half of it.
    assert 14 * pixels < counts[2]["sf_compose"] < 18 * pixels
    assert counts[1]["sf_compose"] < 0.2 * counts[2]["sf_compose"]


@pytest.mark.device
@pytest.mark.stand_in
@pytest.mark.parametrize(
    "function", ["cuMemAlloc_v2", "cuMemcpyHtoDAsync_v2", "cuLaunchKernel", "cuStreamCreate"]
)
def test_what_is_refused_halfway_is_given_back(cuda_device, function):
    driver = ctypes.CDLL("libcuda.so.1")
    arrays = random_cross_fade(np.random.default_rng(17), 20, 30)
    CudaScene(arrays, cuda_device).close()  # kernels are loaded once and stay
    before = [driver.stand_in_held(kind) for kind in range(5)]
    failed = 0
    for k in range(1, 9):
        driver.stand_in_fail(function.encode(), k, 2)
        try:
            with closing(CudaScene(arrays, cuda_device)) as scene, closing(scene.scratch()):
                pass
        except OutOfMemoryError:
            failed += 1
        driver.stand_in_fail(function.encode(), 0, 0)
        assert [driver.stand_in_held(kind) for kind in range(5)] == before
    assert failed >= 2


def members(text, structure):
    body = re.search(rf"struct (?:alignas\(\d+\) )?{structure} {{(.*?)}};", text, re.DOTALL)
    assert body is not None
    return re.findall(r"\w+(?=[,;])", re.sub(r"//.*", "", body[1]))


def test_constants_and_shapes_are_those_of_the_sources():
    shared = FIELDS.with_name("scene.cuh").read_text(encoding="utf-8")
    text = {path.stem: path.read_text(encoding="utf-8") for path in (FIELDS, COMPOSE, cuda_nv12.SOURCE)}
    assert members(shared, "Sizes") == [name for name, _ in Sizes._fields_]
    assert members(text["fields"], "Materials") == [name for name, _ in Materials._fields_]
    assert ctypes.sizeof(Materials) == 56
    defined = dict(re.findall(r"#define (\w+) ([\d.]+)f?\n", shared + text["fields"]))
    expected = {
        "FIELD_SCALE": FIELD_SCALE,
        "FIELD_OFFSET": FIELD_OFFSET,
        "TILE_WIDTH": moving.TILE_WIDTH,
        "TILE_HEIGHT": moving.TILE_HEIGHT,
        "UNIT_WIDTH": moving.UNIT_WIDTH,
        "UNIT_HEIGHT": moving.UNIT_HEIGHT,
        "UNIT_SHIFT": moving.UNIT_SHIFT,
        "DOUBLINGS": ref.DOUBLINGS,
        "RADIUS": ref.STATISTICS_RADIUS,
        "EDGE_RAMP": ref.EDGE_RAMP,
        "CONFIDENCE_FLOOR": ref.CONFIDENCE_FLOOR,
        "VARIANCE_FLOOR": ref.VARIANCE_FLOOR,
        "LIGHT_LIMIT": ref.LIGHT_LIMIT,
    }
    assert {name: float(defined[name]) for name in expected} == expected
    lumas = [np.float32(defined[f"LUMA_{channel}"]) for channel in "RGB"]
    assert lumas == list(ref.LUMA)
    assert (cuda_nv12.UNIT_WIDTH, cuda_nv12.UNIT_HEIGHT) == (moving.UNIT_WIDTH, moving.UNIT_HEIGHT)
    assert f"#define SWAYS {int(moving.SWAYS):#x}u\n" in shared
    # The weights are written out for this parameter.
    assert "with a = -1," in text["compose"] and ref.CUBIC_A == -1.0


def test_no_thread_waits_for_another():
    for path in (FIELDS, COMPOSE, cuda_nv12.SOURCE):
        assert not re.search(r"__sync|__shared__|atomic[A-Z]|__shfl", path.read_text(encoding="utf-8"))
