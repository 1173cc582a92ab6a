# SPDX-License-Identifier: Apache-2.0
"""A program that holds a PyCUDA context plays through it: real PyCUDA, on a GPU or on the stand-in."""

from __future__ import annotations

import ctypes
import threading
from contextlib import ExitStack, closing, contextmanager

import numpy as np
import pytest

from stillflow.animator import Animator
from stillflow.errors import StillflowError
from stillflow.gpu.arrays import device_array
from stillflow.gpu.layer import CudaDevice
from stillflow.gpu.open import open_device
from stillflow.gpu.trouble import LostDeviceError, OutOfMemoryError
from stillflow.gpu_scene import GpuScene
from stillflow.kernels import cuda_splat, splat_reference
from stillflow.kernels.cuda_scene import FIELDS, CudaScene
from stillflow.scene import build_scene

from ..kernels.cross_fades import random_cross_fade, reference_frame
from ..kernels.splats import random_displacement, random_source
from ..scenes import falling_photo

pytest.importorskip(
    "pycuda", reason="PyCUDA is not installed: make pycuda-check builds it and runs these tests"
)

pytestmark = pytest.mark.device


@pytest.fixture(scope="module")
def cuda():
    import pycuda.driver

    pycuda.driver.init()
    return pycuda.driver


@pytest.fixture
def context(cuda):
    """The host program's context, current in this thread as programs have it."""
    made = cuda.Device(0).make_context()
    yield made
    assert cuda.Context.get_current() == made
    cuda.Context.pop()


@pytest.fixture
def device(context):
    with closing(open_device(0)) as opened:
        yield opened


@contextmanager
def opened(thing):
    with closing(thing):
        yield thing


@pytest.fixture
def arrays():
    return random_cross_fade(np.random.default_rng(5), 45, 70)


def one_frame(device, scene, t):
    """A frame as NumPy, by a stream and memory of its own."""
    frame = np.empty_like(scene.arrays.photo)
    with ExitStack() as held:
        scratch, stream = (held.enter_context(closing(one)) for one in (scene.scratch(), device.stream()))
        time, target = (held.enter_context(closing(device.allocate(n))) for n in (8, frame.nbytes))
        device.upload(np.array([t]), time.address, stream)
        scene.enqueue(time.address, scratch, stream, rgb=target.address)
        device.download(target.address, frame, stream)
        stream.synchronize()
    return frame


def test_a_context_that_is_current_is_taken_and_said(context, device):
    assert device.provider.startswith("pycuda ")
    assert (device.index, device.graphs) == (0, False)
    assert device.architecture == "sm_" + device.gpu.compute_capability.replace(".", "")
    typed: CudaDevice = device
    assert typed.memory()[1] >= typed.memory()[0] > 0


def test_frames_go_into_the_hosts_own_array_in_order_of_its_own_stream(cuda, device, arrays):
    """The whole of it, as a host program writes it."""
    from pycuda import gpuarray

    stream = cuda.Stream()
    frame = gpuarray.empty(arrays.photo.shape, np.uint8)
    with opened(CudaScene(arrays, device)) as scene, opened(scene.scratch()) as scratch:
        time = gpuarray.to_gpu(np.array([0.0]))
        ours = device.adopt(stream)
        target, when = device_array(frame), device_array(time)
        for t in (0.0, 1.75, arrays.frames + 0.5):
            time.set_async(np.array([t]), stream=stream)
            scene.enqueue(when.address, scratch, ours, rgb=target.address)
            stream.synchronize()
            difference = np.abs(frame.get().astype(int) - reference_frame(arrays, t))
            assert difference.max() <= 1, t


def test_frames_of_a_gpu_scene_come_as_gpu_arrays_ready_on_the_hosts_stream(cuda, device):
    from pycuda import gpuarray

    from stillflow.gpu.pycuda import gpu_array

    scene = build_scene(*falling_photo(48, 64), seconds=1.0, fps=6.0)
    stream = cuda.Stream()
    kept = []
    with opened(GpuScene(scene, device)) as play:
        for frame in play.device_frames(stream=stream):
            seen = gpu_array(frame)
            assert isinstance(seen, gpuarray.GPUArray)
            copy = gpuarray.empty(seen.shape, seen.dtype)
            cuda.memcpy_dtod_async(copy.gpudata, seen.gpudata, seen.nbytes, stream)
            kept.append(copy)
        stream.synchronize()
        on_host = [play.frame(t) for t in range(scene.frames)]
    assert len(kept) == scene.frames
    assert all(np.array_equal(copy.get(), frame) for copy, frame in zip(kept, on_host, strict=True))
    assert all(np.abs(frame.astype(int) - scene.frame(t)).max() <= 1 for t, frame in enumerate(on_host))


def test_an_animator_plays_in_the_hosts_context(cuda, context, sample_photo):
    from stillflow.gpu.pycuda import gpu_array

    stream = cuda.Stream()
    with Animator() as animator:
        loop = animator.animate(sample_photo, size=96, seconds=0.5, fps=8)
        assert isinstance(loop.scene, GpuScene)
        assert loop.scene.device.provider.startswith("pycuda ")
        frames = []
        for frame in loop.device_frames(stream=stream):
            stream.synchronize()
            frames.append(gpu_array(frame).get())
        assert all(np.array_equal(frame, loop.frame(t)) for t, frame in enumerate(frames))
        assert len(frames) == len(loop)
        loop.close()


def test_the_splat_reads_and_writes_gpu_arrays_to_the_bit(cuda, device):
    from pycuda import gpuarray

    rng = np.random.default_rng(2)
    source = random_source(rng, 30, 41, 5)
    forth, back = random_displacement(rng, 30, 41), random_displacement(rng, 30, 41)
    values, *displacements = (gpuarray.to_gpu(a) for a in (cuda_splat.padded(source), forth, back))
    warped = gpuarray.empty((source.outputs, 30, 41), np.float32)
    landed = gpuarray.empty((30, 41), np.float32)
    stream = cuda.Stream()
    thrown = cuda_splat.source_at(device_array(values).address, source)
    with opened(cuda_splat.CudaSplat(thrown, device)) as splat:
        ours = device.adopt(stream)
        splat.aim([device_array(d).address for d in displacements], (0.75, 0.25), ours)
        splat.land(device_array(warped).address, device_array(landed).address, ours)
        stream.synchronize()
    expected = splat_reference.symmetric_splat(source, forth, back, 0.75)
    assert warped.get().tobytes() == expected[0].tobytes()
    assert landed.get().tobytes() == expected[1].tobytes()


def test_both_providers_play_the_same_bytes(cuda_device, device, arrays):
    frames = []
    for one in (cuda_device, device):
        with opened(CudaScene(arrays, one)) as scene:
            frames.append(one_frame(one, scene, 2.25))
    assert np.array_equal(*frames)


def test_what_the_host_computes_in_the_default_stream_is_ready_for_streams_made_here(cuda, device):
    memory, result = device.allocate(1000), np.zeros(1000, np.uint8)
    stream = device.stream()
    cuda.memset_d8_async(memory.address, 7, 1000)  # no stream named, and nobody waits
    device.download(memory.address, result, stream)
    stream.synchronize()
    assert (result == 7).all()
    stream.close()
    memory.close()


def test_another_context_of_the_host_is_current_again_after_each_call(cuda, context, device):
    other = cuda.Device(0).make_context()
    try:
        with opened(device.allocate(100)) as memory, opened(device.stream()) as stream:
            assert cuda.Context.get_current() == other
            device.clear(memory.address, 100, stream)
            with device.current():
                assert cuda.Context.get_current() == context
                with device.current():
                    assert cuda.Context.get_current() == context
                assert cuda.Context.get_current() == context
            assert cuda.Context.get_current() == other
            with pytest.raises(ZeroDivisionError), device.current():
                raise ZeroDivisionError
            assert cuda.Context.get_current() == other
        assert cuda.Context.get_current() == other
    finally:
        cuda.Context.pop()


def test_threads_without_a_context_play_too_and_are_left_without(cuda, device, arrays):
    frames, contexts = {}, []

    def play(t, scene):
        frames[t] = one_frame(device, scene, t)
        contexts.append(cuda.Context.get_current())

    with opened(CudaScene(arrays, device)) as scene:
        threads = [threading.Thread(target=play, args=(float(t), scene)) for t in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert contexts == [None] * 4
    for t in range(4):
        assert np.abs(frames[float(t)].astype(int) - reference_frame(arrays, float(t))).max() <= 1


def test_events_order_streams_and_take_the_time(device):
    first, second = device.stream(), device.stream()
    start, end = device.event(timing=True), device.event(timing=True)
    data, back = np.arange(5000, dtype=np.uint8), np.zeros(5000, np.uint8)
    memory = device.allocate(5000)
    with opened(device.pin(5000)) as pinned:
        pinned.array[:] = data
        start.record(first)
        device.upload(pinned.array, memory.address, first)
        end.record(first)
        second.wait(end)
        device.download(memory.address, back, second)
        second.synchronize()
        assert np.array_equal(back, data)
        end.synchronize()
        assert end.done
        assert end.since(start) >= 0
    for one in (start, end, first, second, memory):
        one.close()
        one.close()
    with pytest.raises(StillflowError, match="event"):
        end.record(first)


def test_streams_of_the_host_are_adopted_and_those_of_others_refused(cuda, device):
    stream = cuda.Stream()
    ours = device.adopt(stream)
    assert ours.handle == stream.handle
    assert device.adopt(ours) is ours
    assert device.adopt(stream.handle).stream is stream
    assert device.adopt(ours.__cuda_stream__()[1]).stream is stream
    for default in (None, 0, 1):
        assert device.adopt(default).stream is None
    for foreign in (0xDEAD, object(), "stream"):
        with pytest.raises(StillflowError, match="no PyCUDA stream"):
            device.adopt(foreign)
    ours.close()
    stream.synchronize()  # it is still the host's


def test_the_default_stream_can_be_used_like_another(cuda, device):
    default, stream, event = device.adopt(None), device.stream(), device.event()
    memory, back = device.allocate(64), np.ones(64, np.uint8)
    device.clear(memory.address, 64, stream)
    event.record(stream)
    default.wait(event)
    device.download(memory.address, back, default)
    default.synchronize()
    assert not back.any()
    for one in (event, stream, memory, default):
        one.close()


def test_memory_is_the_hosts_kind_and_the_hosts_memory_is_ours(cuda, device):
    from stillflow.gpu.pycuda import allocation_array, gpu_array

    data = np.arange(12, dtype=np.float32).reshape(3, 4)
    memory = device.allocate(data.nbytes)
    assert isinstance(memory.allocation, cuda.DeviceAllocation)
    cuda.memcpy_htod(memory.allocation, data)
    assert np.array_equal(gpu_array(memory, (3, 4), np.float32).get(), data)
    assert np.array_equal(gpu_array(memory, (12,), np.float32)[4:8].get(), data[1])

    theirs = cuda.mem_alloc(data.nbytes)
    array = allocation_array(theirs, (3, 4), np.float32, device)
    stream = device.stream()
    device.copy(memory.address, array.address, array.nbytes, stream)
    stream.synchronize()
    assert np.array_equal(gpu_array(array).get(), data)
    for view in (
        lambda: allocation_array(theirs, (4, 4), np.float32, device),
        lambda: gpu_array(memory, (13,), "f4"),
    ):
        with pytest.raises(StillflowError, match=r"bytes do not lie in its 48"):
            view()
    with pytest.raises(StillflowError, match="shape"):
        gpu_array(memory)
    memory.close()
    with pytest.raises(StillflowError, match="given back"):
        memory.allocation
    stream.close()


def test_memory_that_the_host_has_freed_is_closed_without_a_word(device):
    memory = device.allocate(64)
    memory.allocation.free()
    memory.close()


def test_a_primary_context_is_known_as_such(cuda, device):
    assert not device.primary
    primary = cuda.Device(0).retain_primary_context()
    primary.push()
    try:
        with opened(open_device(0)) as other, opened(other.allocate(8)) as memory:
            assert other.primary
            assert memory.address
            assert cuda.Context.get_current() == primary
    finally:
        cuda.Context.pop()


def test_there_are_no_graphs(device):
    with opened(device.stream()) as stream, pytest.raises(StillflowError, match="PyCUDA has none"):
        device.capture(stream)


def test_a_kernel_that_is_not_there_is_named(device):
    with opened(device.stream()) as stream, pytest.raises(StillflowError, match=r"sf_nothing of fields\.cu"):
        device.kernels(FIELDS).launch("sf_nothing", 1, stream)


def test_more_memory_than_there_is_is_told_as_such(device):
    with pytest.raises(OutOfMemoryError, match="cuMemAlloc says 2: out of memory"):
        device.allocate(device.memory()[1] + (1 << 40))
    device.allocate(100).close()


def test_without_a_context_or_on_another_device_it_says_what_to_do(cuda, context):
    from stillflow.gpu.pycuda import open_device as through_pycuda

    with pytest.raises(StillflowError, match="belongs to GPU 0"):
        through_pycuda(7)
    cuda.Context.pop()
    try:
        assert open_device(0).provider.startswith("cuda-core")
        with pytest.raises(StillflowError, match=r"no PyCUDA context is current"):
            open_device(0, "pycuda")
    finally:
        context.push()


def test_a_closed_device_takes_nothing_and_the_context_lives_on(cuda, context):
    device = open_device(0)
    memory = device.allocate(10)
    device.close()
    device.close()
    with pytest.raises(StillflowError, match="closed"):
        device.allocate(10)
    memory.close()
    assert cuda.Context.get_current() == context
    cuda.mem_alloc(10).free()


def test_what_is_left_when_the_host_destroys_its_context_is_closed_in_peace(cuda):
    context = cuda.Device(0).make_context()
    device = open_device(0)
    left = [device.allocate(10), device.pin(10), device.stream(), device.event(), device.kernels(FIELDS)]
    cuda.Context.pop()
    context.detach()
    for one in left:
        one.close()
    device.close()
    with pytest.raises(StillflowError):
        device.memory()


@pytest.mark.stand_in
class TestOnTheStandIn:
    @pytest.fixture
    def driver(self):
        return ctypes.CDLL("libcuda.so.1")

    def held(self, driver):
        return [driver.stand_in_held(kind) for kind in range(7)]

    def test_everything_is_given_back(self, driver, context, arrays):
        before = self.held(driver)
        device = open_device(0)
        with opened(CudaScene(arrays, device)) as scene:
            scene.scratch().close()
        things = [device.stream(), device.event(), device.allocate(9), device.pin(9)]
        threads = [threading.Thread(target=one.close) for one in things]
        for thread in threads:
            thread.start()
            thread.join()
        device.close()
        assert self.held(driver) == before

    def test_a_lost_device_is_told_as_such(self, driver, device):
        with opened(device.stream()) as stream:
            driver.stand_in_lose(700)
            try:
                with pytest.raises(LostDeviceError, match="an illegal memory access"):
                    stream.synchronize()
            finally:
                driver.stand_in_lose(0)

    def test_pinned_memory_is_read_when_the_stream_comes_to_it(self, device):
        back = np.zeros(16, np.uint8)
        with opened(device.stream()) as stream, opened(device.allocate(16)) as memory:
            pinned = device.pin(16)
            pinned.array[:] = 1
            device.upload(pinned.array, memory.address, stream)
            pinned.array[:] = 2
            device.download(memory.address, back, stream)
            stream.synchronize()
            assert pinned.device_address == pinned.address
            pinned.close()
        assert (back == 2).all()

    def test_a_device_that_reads_the_hosts_memory_by_itself_has_read_it_when_an_upload_returns(
        self, driver, context, monkeypatch
    ):
        monkeypatch.setenv("STAND_IN_PAGEABLE", "1")
        data, back = np.arange(16, dtype=np.int32), np.zeros(16, np.int32)
        device = open_device(0)
        with opened(device.stream()) as stream, opened(device.allocate(64)) as memory:
            device.upload(data, memory.address, stream)
            data[:] = 0
            device.download(memory.address, back, stream)
            stream.synchronize()
            waits = driver.stand_in_calls(b"cuStreamSynchronize")
            pinned = device.pin(64)
            device.upload(pinned.array[4:], memory.address, stream)
            assert driver.stand_in_calls(b"cuStreamSynchronize") == waits
            stream.synchronize()
            pinned.close()
        device.close()
        assert np.array_equal(back, np.arange(16))
