# SPDX-License-Identifier: Apache-2.0
"""The CUDA kernels give the reference's bits, in whatever order threads run."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillflow.errors import StillflowError
from stillflow.kernels import splat_reference as ref
from stillflow.kernels.cuda_splat import CudaSplat, euler, padded, source_at, symmetric_splat
from stillflow.kernels.splat_source import SplatSource, Window, layered_source

from .splats import hostile_displacement, random_displacement, random_source

pytestmark = pytest.mark.device

seeds = st.integers(0, 100_000)
sides = st.integers(1, 24)


def same(a, b):
    return all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))


within_module = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@within_module
@given(
    seed=seeds,
    height=sides,
    width=sides,
    channels=st.integers(1, 20),
    share=st.floats(0.01, 1),
    hostile=st.booleans(),
)
def test_it_is_the_reference_to_the_bit(cuda_device, seed, height, width, channels, share, hostile):
    rng = np.random.default_rng(seed)
    source = random_source(rng, height, width, channels)
    make = hostile_displacement if hostile else random_displacement
    f, b = make(rng, height, width), make(rng, height, width)
    made = symmetric_splat(cuda_device, source, [(f, share), (b, 1.0 - share)])
    assert same(made, ref.symmetric_splat(source, f, b, share))


@within_module
@given(seed=seeds, data=st.data())
def test_windows_and_parts_are_crops(cuda_device, seed, data):
    rng = np.random.default_rng(seed)
    source = random_source(rng, 17, 15)
    f, b = random_displacement(rng, 17, 15), hostile_displacement(rng, 17, 15)
    y0, x0 = data.draw(st.integers(0, 16)), data.draw(st.integers(0, 14))
    window = Window(y0, data.draw(st.integers(y0 + 1, 17)), x0, data.draw(st.integers(x0 + 1, 15)))
    expected = ref.symmetric_splat(source, f, b, 0.3, window)
    assert same(symmetric_splat(cuda_device, source, [(f, 0.3), (b, 0.7)], window), expected)
    part = SplatSource(np.ascontiguousarray(source.values[2:9, 3:14]), source.ends, (17, 15), (2, 3))
    d = np.ascontiguousarray(f[2:9, 3:14])
    expected = ref.divided(ref.splat(part, d, 1.0, window), part.ends)
    assert same(symmetric_splat(cuda_device, part, [(d, 1.0)], window), expected)


def test_layers_and_a_picture_of_many_runs_agree(cuda_device):
    rng = np.random.default_rng(4)
    # More cells than 256²: the sums before each cell take three levels.
    height, width = 260, 261
    features = rng.standard_normal((2, height, width)).astype(np.float32)
    z, af, ab = (rng.uniform(-5, 3, (height, width)).astype(np.float32) for _ in range(3))
    source = layered_source(features, z, af, ab)
    f, b = random_displacement(rng, height, width), random_displacement(rng, height, width, 40)
    made = symmetric_splat(cuda_device, source, [(f, 0.6), (b, 0.4)])
    assert same(made, ref.symmetric_splat(source, f, b, 0.6))


def test_a_picture_thrown_onto_one_pixel_is_added_up_in_order(cuda_device):
    rng = np.random.default_rng(6)
    source = random_source(rng, 21, 30)
    y, x = np.mgrid[0:21, 0:30].astype(np.float32)
    d = np.stack([7.25 - x, 11.5 - y], -1)
    made = symmetric_splat(cuda_device, source, [(d, 1.0)])
    assert same(made, ref.divided(ref.splat(source, d), source.ends)) and made[1].sum() == 4


class Thrown:
    """A source on the device, and what becomes of a frame of it."""

    def __init__(self, device, source, window=None, still=0):
        self.device, self.source, self.stream = device, source, device.stream()
        self.memories = []
        self.splat = CudaSplat(source_at(self.put(padded(source)), source), device, window, still)

    def put(self, array):
        self.memories.append(self.device.allocate(array.nbytes))
        self.device.upload(array, self.memories[-1].address, self.stream)
        return self.memories[-1].address

    def aim(self, *displacements, shares):
        self.splat.aim([self.put(d) for d in displacements], shares, self.stream)

    def land(self, window):
        shape = window.y1 - window.y0, window.x1 - window.x0
        made = [
            np.full((self.source.outputs, *shape), np.nan, np.float32),
            np.full(shape, np.nan, np.float32),
        ]
        places = [self.put(array) for array in made]
        self.splat.land(*places, self.stream, window)
        for place, array in zip(places, made, strict=True):
            self.device.download(place, array, self.stream)
        self.stream.synchronize()
        return made

    def close(self):
        self.stream.synchronize()
        self.splat.close()
        for memory in self.memories:
            memory.close()
        self.stream.close()


def test_one_object_serves_frame_after_frame_and_tile_after_tile(cuda_device):
    rng = np.random.default_rng(3)
    source = random_source(rng, 31, 43)
    whole = Window(3, 30, 2, 43)
    thrown = Thrown(cuda_device, source, whole)
    for share in (0.25, 0.5):
        f, b = random_displacement(rng, 31, 43), random_displacement(rng, 31, 43)
        thrown.aim(f, b, shares=(share, 1 - share))
        for window in (whole, Window(4, 12, 5, 25), Window(29, 30, 42, 43), Window(8, 9, 8, 30)):
            assert same(thrown.land(window), ref.symmetric_splat(source, f, b, share, window))
    with pytest.raises(StillflowError, match="aimed at"):
        thrown.land(Window(2, 12, 5, 25))
    thrown.close()


def test_what_never_moves_needs_less_room(cuda_device):
    rng = np.random.default_rng(4)
    source = random_source(rng, 20, 30)
    f, b = random_displacement(rng, 20, 30), random_displacement(rng, 20, 30)
    moves = np.zeros((20, 30), bool)
    moves[4:11, 8:20] = True
    f[~moves] = b[~moves] = 0
    thrown = Thrown(cuda_device, source, still=int((~moves).sum()))
    thrown.aim(f, b, shares=(0.5, 0.5))
    whole = Window(0, 20, 0, 30)
    # The guard behind each piece of memory is looked at when it is given back.
    assert same(thrown.land(whole), ref.symmetric_splat(source, f, b, 0.5, whole))
    thrown.close()


def test_what_cannot_be_thrown_is_refused(cuda_device):
    rng = np.random.default_rng(1)
    source, d = random_source(rng, 4, 5), np.zeros((4, 5, 2), np.float32)
    with pytest.raises(StillflowError, match="no weights"):
        symmetric_splat(cuda_device, SplatSource(np.ones((4, 5, 4), np.float32), (), (4, 5)), [(d, 1.0)])
    for throws in ([], [(d, 1.0)] * 3, [(d, np.nan)], [(d[:3], 1.0)], [(d.astype(float), 1.0)]):
        with pytest.raises(StillflowError):
            symmetric_splat(cuda_device, source, throws)
    with pytest.raises(StillflowError, match="window"):
        symmetric_splat(cuda_device, source, [(d, 1.0)], Window(0, 5, 0, 5))
    thrown = Thrown(cuda_device, source)
    with pytest.raises(StillflowError, match="nothing was thrown"):
        thrown.land(Window(0, 4, 0, 5))
    thrown.close()


@within_module
@given(seed=seeds, height=sides, width=sides, steps=st.integers(0, 5))
def test_euler_is_the_reference_to_the_bit(cuda_device, seed, height, width, steps):
    rng = np.random.default_rng(seed)
    velocity = rng.uniform(-2, 2, (height, width, 2)).astype(np.float32)
    velocity = np.where(velocity > 1.8, hostile_displacement(rng, height, width), velocity)
    assert same([euler(cuda_device, velocity, steps)], [ref.euler(velocity, steps)])


def test_a_large_picture_gives_the_same_bits_every_time(cuda_device):
    rng = np.random.default_rng(7)
    features = rng.standard_normal((64, 90, 160)).astype(np.float32)
    source = layered_source(features, *(rng.uniform(-9, 3, (90, 160)).astype(np.float32) for _ in range(3)))
    velocity = rng.uniform(-1, 1, (90, 160, 2)).astype(np.float32)
    f, b = euler(cuda_device, velocity, 9), euler(cuda_device, -velocity, 21)
    assert same([f, b], [ref.euler(velocity, 9), ref.euler(-velocity, 21)])
    expected = ref.symmetric_splat(source, f, b, 0.7)
    for _ in range(3):
        assert same(symmetric_splat(cuda_device, source, [(f, 0.7), (b, 1.0 - 0.7)]), expected)
