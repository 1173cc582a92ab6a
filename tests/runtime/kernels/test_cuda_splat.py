# SPDX-License-Identifier: Apache-2.0
"""The CUDA kernels give the reference's bits: on a CPU, in scrambled order, and on a GPU where there is one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillflow.errors import StillflowError
from stillflow.kernels import splat_reference as ref
from stillflow.kernels.cuda_device import CudaDevice
from stillflow.kernels.cuda_splat import CudaSplat, euler
from stillflow.kernels.splat_source import SplatSource, Window, layered_source

from .splats import hostile_displacement, random_displacement, random_source

seeds = st.integers(0, 100_000)
sides = st.integers(1, 24)


@pytest.fixture(scope="module")
def device(host_driver):
    made = CudaDevice(driver=host_driver, code=b"of no use to a CPU")
    yield made
    made.close()
    # Also says that nothing was written behind any piece of memory: giving it back would have failed.
    assert made._driver.host_held() == 0


def on_device(device, source, throws, window=None):
    splat = CudaSplat(source, device)
    try:
        splat.aim(throws, window)
        return splat.land()
    finally:
        splat.close()


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
def test_it_is_the_reference_to_the_bit(device, seed, height, width, channels, share, hostile):
    rng = np.random.default_rng(seed)
    source = random_source(rng, height, width, channels)
    make = hostile_displacement if hostile else random_displacement
    f, b = make(rng, height, width), make(rng, height, width)
    made = on_device(device, source, [(f, share), (b, 1.0 - share)])
    assert same(made, ref.symmetric_splat(source, f, b, share))


@within_module
@given(seed=seeds, data=st.data())
def test_windows_and_parts_are_crops(device, seed, data):
    rng = np.random.default_rng(seed)
    source = random_source(rng, 17, 15)
    f, b = random_displacement(rng, 17, 15), hostile_displacement(rng, 17, 15)
    y0, x0 = data.draw(st.integers(0, 16)), data.draw(st.integers(0, 14))
    window = Window(y0, data.draw(st.integers(y0 + 1, 17)), x0, data.draw(st.integers(x0 + 1, 15)))
    expected = ref.symmetric_splat(source, f, b, 0.3, window)
    assert same(on_device(device, source, [(f, 0.3), (b, 0.7)], window), expected)
    part = SplatSource(np.ascontiguousarray(source.values[2:9, 3:14]), source.ends, (17, 15), (2, 3))
    d = np.ascontiguousarray(f[2:9, 3:14])
    expected = ref.divided(ref.splat(part, d, 1.0, window), part.ends)
    assert same(on_device(device, part, [(d, 1.0)], window), expected)


def test_layers_and_a_picture_of_many_runs_agree(device):
    rng = np.random.default_rng(4)
    # More cells than 256²: the sums before each cell take three levels.
    height, width = 260, 261
    features = rng.standard_normal((2, height, width)).astype(np.float32)
    z, af, ab = (rng.uniform(-5, 3, (height, width)).astype(np.float32) for _ in range(3))
    source = layered_source(features, z, af, ab)
    f, b = random_displacement(rng, height, width), random_displacement(rng, height, width, 40)
    made = on_device(device, source, [(f, 0.6), (b, 0.4)])
    assert same(made, ref.symmetric_splat(source, f, b, 0.6))


def test_a_picture_thrown_onto_one_pixel_is_added_up_in_order(device):
    rng = np.random.default_rng(6)
    source = random_source(rng, 21, 30)
    y, x = np.mgrid[0:21, 0:30].astype(np.float32)
    d = np.stack([7.25 - x, 11.5 - y], -1)
    made = on_device(device, source, [(d, 1.0)])
    assert same(made, ref.divided(ref.splat(source, d), source.ends)) and made[1].sum() == 4


def test_one_object_serves_frame_after_frame(device):
    rng = np.random.default_rng(3)
    source = random_source(rng, 11, 13)
    splat = CudaSplat(source, device)
    for window in (Window(2, 5, 3, 9), None, Window(0, 11, 12, 13)):
        f, b = random_displacement(rng, 11, 13), random_displacement(rng, 11, 13)
        splat.aim([(f, 0.25), (b, 0.75)], window)
        assert same(splat.land(), ref.symmetric_splat(source, f, b, 0.25, window))
    splat.close()


class OnDevice:
    """An array that another library keeps on the device."""

    def __init__(self, device, array):
        self.device, self.shape, self.address = device, array.shape, device.allocate(array.nbytes)
        device.upload(array, self.address)

    @property
    def __cuda_array_interface__(self):
        return {
            "shape": self.shape,
            "typestr": "<f4",
            "data": (self.address, False),
            "strides": None,
            "version": 3,
        }

    def fetch(self):
        array = np.empty(self.shape, np.float32)
        self.device.download(self.address, array)
        self.device.free(self.address)
        return array


def test_arrays_on_the_device_stay_there(device):
    rng = np.random.default_rng(3)
    source = random_source(rng, 11, 13)
    f, b = random_displacement(rng, 11, 13), random_displacement(rng, 11, 13)
    there = [OnDevice(device, np.zeros(shape, np.float32)) for shape in ((5, 11, 13), (11, 13))]
    forward, splat = OnDevice(device, f), CudaSplat(source, device)
    splat.aim([(forward, 0.5), (b, 0.5)])
    assert splat.land(*there) == tuple(there)
    assert same([array.fetch() for array in there], ref.symmetric_splat(source, f, b, 0.5))
    wrong = OnDevice(device, np.zeros((11, 13, 3), np.float32))
    with pytest.raises(StillflowError, match="does not fit"):
        splat.aim([(wrong, 1.0)])
    with pytest.raises(StillflowError, match="nothing was thrown"):
        splat.land()
    wrong.fetch(), forward.fetch(), splat.close()


def test_what_cannot_be_thrown_is_refused(device):
    with pytest.raises(StillflowError, match="no weights"):
        CudaSplat(SplatSource(np.ones((2, 3, 4), np.float32), (), (2, 3)), device)
    splat = CudaSplat(random_source(np.random.default_rng(1), 4, 5), device)
    d = np.zeros((4, 5, 2), np.float32)
    for throws in ([], [(d, 1.0)] * 3, [(d, np.nan)], [(d[:3], 1.0)], [(d.astype(float), 1.0)]):
        with pytest.raises(StillflowError):
            splat.aim(throws)
    with pytest.raises(StillflowError, match="window"):
        splat.aim([(d, 1.0)], Window(0, 5, 0, 5))
    splat.close()


@within_module
@given(seed=seeds, height=sides, width=sides, steps=st.integers(0, 5))
def test_euler_is_the_reference_to_the_bit(device, seed, height, width, steps):
    rng = np.random.default_rng(seed)
    velocity = rng.uniform(-2, 2, (height, width, 2)).astype(np.float32)
    velocity = np.where(velocity > 1.8, hostile_displacement(rng, height, width), velocity)
    assert same([euler(device, velocity, steps)], [ref.euler(velocity, steps)])


@pytest.mark.gpu
def test_a_gpu_gives_the_same_bits():
    try:
        device = CudaDevice()
    except StillflowError as error:
        pytest.skip(f"no CUDA device: {error.why}")
    rng = np.random.default_rng(7)
    features = rng.standard_normal((64, 180, 320)).astype(np.float32)
    source = layered_source(features, *(rng.uniform(-9, 3, (180, 320)).astype(np.float32) for _ in range(3)))
    velocity = rng.uniform(-1, 1, (180, 320, 2)).astype(np.float32)
    f, b = euler(device, velocity, 9), euler(device, -velocity, 21)
    assert same([f, b], [ref.euler(velocity, 9), ref.euler(-velocity, 21)])
    expected = ref.symmetric_splat(source, f, b, 0.7)
    for _ in range(5):
        assert same(on_device(device, source, [(f, 0.7), (b, 1.0 - 0.7)]), expected)
    device.close()
