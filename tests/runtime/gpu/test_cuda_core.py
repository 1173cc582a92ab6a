# SPDX-License-Identifier: Apache-2.0
"""The CUDA layer on cuda-core does what layer.py promises."""

from __future__ import annotations

import ctypes
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from stillflow.errors import StillflowError
from stillflow.gpu.cuda_core import open_device
from stillflow.gpu.trouble import LostDeviceError, OutOfMemoryError

pytestmark = pytest.mark.device

TRIAL = Path(__file__).resolve().parents[2] / "native" / "stand_in" / "trial.cu"


class Mixed(ctypes.Structure):
    """Mixed of trial.cu."""

    _fields_ = (("begin", ctypes.c_int), ("by", ctypes.c_double), ("more", ctypes.c_float * 2))


@pytest.fixture
def stream(cuda_device):
    made = cuda_device.stream()
    yield made
    made.close()


@pytest.fixture
def memory(cuda_device):
    made = cuda_device.allocate(8000)
    yield made
    made.close()


@pytest.fixture
def pinned(cuda_device):
    made = cuda_device.pin(8000)
    yield made
    made.close()


@pytest.fixture(scope="module")
def kernels(cuda_device):
    return cuda_device.kernels(TRIAL)


def at(memory, offset=0):
    return ctypes.c_void_p(memory.address + offset)


def fetched(cuda_device, memory, stream, count, dtype):
    out = np.empty(count, dtype)
    cuda_device.download(memory.address, out, stream)
    stream.synchronize()
    return out


def test_it_says_what_it_is(cuda_device):
    assert cuda_device.provider.startswith("cuda-core ") and cuda_device.graphs
    assert cuda_device.architecture == "sm_" + cuda_device.gpu.compute_capability.replace(".", "")
    free, everything = cuda_device.memory()
    assert 0 < free <= everything


@pytest.mark.parametrize("size", [1, 4, 1000, 1 << 20])
def test_memory_goes_there_and_back(cuda_device, stream, size):
    data = np.random.default_rng(size).integers(0, 256, size, np.uint8)
    memory = cuda_device.allocate(size)
    cuda_device.upload(data, memory.address, stream)
    back = np.zeros_like(data)
    cuda_device.download(memory.address, back, stream)
    stream.synchronize()
    memory.close()
    assert np.array_equal(back, data)


def test_memory_of_no_bytes_has_one(cuda_device):
    memory, pinned = cuda_device.allocate(0), cuda_device.pin(0)
    assert memory.size == 1 and pinned.array.shape == (1,)
    for one in (memory, pinned):
        one.close()
        one.close()


def test_copies_and_zeros_on_the_device(cuda_device, stream, memory):
    cuda_device.upload(np.arange(16, dtype=np.uint8), memory.address, stream)
    cuda_device.copy(memory.address, memory.address + 100, 16, stream)
    cuda_device.clear(memory.address + 104, 4, stream)
    back = fetched(cuda_device, memory, stream, 116, np.uint8)[100:]
    assert back.tolist() == [0, 1, 2, 3, 0, 0, 0, 0, 8, 9, 10, 11, 12, 13, 14, 15]


def test_pinned_memory_goes_there_and_back_by_itself(cuda_device, stream, memory, pinned):
    numbers = pinned.array.view(np.int32)
    numbers[:] = np.arange(2000)
    assert pinned.address == numbers.__array_interface__["data"][0]
    cuda_device.upload(pinned.array, memory.address, stream)
    stream.synchronize()
    numbers[:] = 0
    cuda_device.download(memory.address, pinned.array, stream)
    stream.synchronize()
    assert np.array_equal(numbers, np.arange(2000))


def test_kernels_reach_pinned_memory_where_it_says_so(cuda_device, stream, pinned, kernels):
    if pinned.device_address is None:
        pytest.skip("the device does not reach pinned memory")
    kernels.launch(
        "trial_fill",
        2000,
        stream,
        ctypes.c_void_p(pinned.device_address),
        ctypes.c_int(2000),
        ctypes.c_int(9),
    )
    stream.synchronize()
    assert (pinned.array.view(np.int32) == 9).all()


@pytest.mark.parametrize("count", [-1, 0, 1, 255, 256, 257, 2000])
def test_every_item_gets_one_thread(cuda_device, stream, memory, kernels, count):
    cuda_device.clear(memory.address, memory.size, stream)
    kernels.launch("trial_fill", count, stream, at(memory), ctypes.c_int(2000), ctypes.c_int(3))
    back = fetched(cuda_device, memory, stream, 2000, np.int32)
    reached = min(2000, -(-max(0, count) // 256) * 256)
    assert (back[:reached] == 3).all() and not back[reached:].any()


def test_arguments_are_read_at_the_call(cuda_device, stream, memory, kernels):
    mixed, x = Mixed(1, 0.125, (ctypes.c_float * 2)(0.5, 0.25)), ctypes.c_float(2)
    arguments = at(memory), ctypes.c_int(1000), mixed, x, ctypes.c_double(1e-9), ctypes.c_void_p()
    kernels.launch("trial_mixed", 1000, stream, *arguments)
    mixed.begin, mixed.by, x.value, arguments[0].value = 0, 0, 0, 0
    expected = 1 + 0.125 * np.arange(1000) + 0.75 + 2 + 1e-9
    assert np.allclose(fetched(cuda_device, memory, stream, 1000, np.float64), expected, 1e-15, 0)


def test_a_source_is_compiled_once_and_has_the_kernels_it_has(cuda_device, stream, kernels):
    assert cuda_device.kernels(TRIAL) is kernels
    with pytest.raises(StillflowError, match=r"trial_nothing of trial\.cu"):
        kernels.launch("trial_nothing", 1, stream)


def test_arguments_of_other_sizes_than_the_kernel_takes_are_a_mistake_of_ours(cuda_device, stream, memory):
    fresh = open_device(cuda_device.index)
    kernels = fresh.kernels(TRIAL)
    count = ctypes.c_int(1)
    for arguments in (
        (at(memory), count),
        (at(memory), ctypes.c_double(1), count),
        (at(memory), *[count] * 3),
    ):
        with pytest.raises(TypeError, match="trial_fill takes"):
            kernels.launch("trial_fill", 1, stream, *arguments)
    fresh.close()


def test_a_stream_waits_for_an_event_of_another(cuda_device, stream, memory, pinned, kernels):
    first = cuda_device.stream()
    ready = cuda_device.event()
    kernels.launch("trial_fill", 2000, first, at(memory), ctypes.c_int(2000), ctypes.c_int(5))
    ready.record(first)
    stream.wait(ready)
    cuda_device.download(memory.address, pinned.array, stream)
    stream.synchronize()
    assert (pinned.array.view(np.int32) == 5).all() and ready.done
    ready.close(), first.close()


def test_events_are_waited_for_and_tell_the_time(cuda_device, stream, memory, pinned, kernels):
    begin, end, never = (cuda_device.event(timing=True) for _ in range(3))
    assert never.done
    never.synchronize()
    begin.record(stream)
    kernels.launch("trial_fill", 2000, stream, at(memory), ctypes.c_int(2000), ctypes.c_int(6))
    cuda_device.download(memory.address, pinned.array, stream)
    end.record(stream)
    end.synchronize()
    assert end.done and (pinned.array.view(np.int32) == 6).all()
    assert 0 <= end.since(begin) < 60_000
    while not end.done:
        pass
    for event in (begin, end, never):
        event.close()
        event.close()


def test_who_keeps_asking_whether_an_event_is_done_hears_that_it_is(cuda_device, stream, memory):
    event = cuda_device.event()
    for _ in range(5):
        cuda_device.clear(memory.address, memory.size, stream)
    event.record(stream)
    for _ in range(10_000_000):
        if event.done:
            break
    assert event.done
    event.close()


@pytest.fixture
def graph(cuda_device, stream, memory, pinned, kernels):
    """frame[i] = time * i, the time from pinned memory, and the frame into pinned memory."""
    with cuda_device.capture(stream) as recording:
        cuda_device.upload(pinned.array[:8], memory.address, stream)
        kernels.launch("trial_frame", 100, stream, at(memory), ctypes.c_int(100), at(memory, 8))
        cuda_device.download(memory.address + 8, pinned.array[8:808], stream)
    yield recording.graph
    recording.graph.close()
    recording.graph.close()


def test_a_graph_does_it_again_with_another_time(stream, pinned, graph):
    time, frame = pinned.array[:8].view(np.float64), pinned.array[8:808].view(np.float64)
    for t in (3.5, -1, 0, 1e9):
        time[0] = t
        graph.launch(stream)
        stream.synchronize()
        assert np.array_equal(frame, t * np.arange(100))


def test_what_is_recorded_is_not_done(cuda_device, stream, memory, kernels):
    cuda_device.clear(memory.address, memory.size, stream)
    with cuda_device.capture(stream) as recording:
        kernels.launch("trial_fill", 2000, stream, at(memory), ctypes.c_int(2000), ctypes.c_int(7))
        with pytest.raises(StillflowError, match="no graph yet"):
            _ = recording.graph
    assert not fetched(cuda_device, memory, stream, 2000, np.int32).any()
    recording.graph.launch(stream)
    assert (fetched(cuda_device, memory, stream, 2000, np.int32) == 7).all()
    recording.graph.close()


def test_two_streams_are_recorded_into_one_graph(cuda_device, stream, memory, kernels):
    other, fork, join = cuda_device.stream(), cuda_device.event(), cuda_device.event()
    with cuda_device.capture(stream) as recording:
        fork.record(stream)
        other.wait(fork)
        kernels.launch("trial_fill", 256, other, at(memory), ctypes.c_int(256), ctypes.c_int(1))
        kernels.launch("trial_fill", 256, stream, at(memory, 1024), ctypes.c_int(256), ctypes.c_int(2))
        join.record(other)
        stream.wait(join)
    recording.graph.launch(stream)
    assert fetched(cuda_device, memory, stream, 512, np.int32).tolist() == [1] * 256 + [2] * 256
    for one in (recording.graph, fork, join, other):
        one.close()


def test_what_fails_while_it_is_recorded_leaves_a_stream_that_works(cuda_device, stream, memory):
    def fail():
        cuda_device.clear(memory.address, 4, stream)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), cuda_device.capture(stream):
        fail()
    with pytest.raises(StillflowError), cuda_device.capture(stream):
        stream.synchronize()
    cuda_device.clear(memory.address, 4, stream)
    assert fetched(cuda_device, memory, stream, 1, np.int32)[0] == 0


def test_memory_may_be_taken_and_given_while_something_is_recorded(cuda_device, stream, memory):
    with cuda_device.capture(stream) as recording:
        cuda_device.clear(memory.address, 4, stream)
        cuda_device.allocate(100).close()
        cuda_device.pin(100).close()
    recording.graph.close()


def test_streams_of_others_are_taken_and_stay(cuda_device, memory, stream):
    from cuda.core import Stream

    with cuda_device.current():
        theirs = Stream.from_handle(stream.handle)
    names = [SimpleNamespace(**{name: stream.handle}) for name in ("handle", "cuda_stream", "ptr")]
    for foreign in (stream, stream.handle, theirs, *names):
        adopted = cuda_device.adopt(foreign)
        assert adopted.handle == stream.handle
        if adopted is not stream:
            adopted.close()
    cuda_device.clear(memory.address, 4, stream)
    stream.synchronize()
    default = cuda_device.adopt(0)
    cuda_device.clear(memory.address, 4, default)
    default.synchronize()


def test_what_a_program_has_current_is_put_back(cuda_device, stream, memory):
    from cuda.bindings import driver

    library = ctypes.CDLL("libcuda.so.1")
    seen = []

    def guest():
        theirs = ctypes.c_void_p()
        assert not library.cuCtxCreate_v2(ctypes.byref(theirs), 0, cuda_device.index)
        cuda_device.clear(memory.address, 4, stream)
        stream.synchronize()
        with pytest.raises(StillflowError), cuda_device.current():
            cuda_device.kernels(TRIAL).launch("trial_nothing", 1, stream)
        seen.append(int(driver.cuCtxGetCurrent()[1]) == theirs.value)
        with cuda_device.current():
            seen.append(int(driver.cuCtxGetCurrent()[1]) == cuda_device.context_number)
            with cuda_device.current():
                pass
            seen.append(int(driver.cuCtxGetCurrent()[1]) == cuda_device.context_number)
        seen.append(int(driver.cuCtxGetCurrent()[1]) == theirs.value)
        library.cuCtxDestroy_v2(theirs)

    thread = threading.Thread(target=guest)
    thread.start()
    thread.join()
    assert seen == [True] * 4


def test_threads_with_a_stream_each_do_not_disturb_each_other(cuda_device, kernels):
    made = {}

    def lane(number):
        stream, memory = cuda_device.stream(), cuda_device.allocate(8000)
        for turn in range(20):
            value = 100 * number + turn
            kernels.launch("trial_fill", 2000, stream, at(memory), ctypes.c_int(2000), ctypes.c_int(value))
            made[value] = fetched(cuda_device, memory, stream, 2000, np.int32)
        memory.close(), stream.close()

    threads = [threading.Thread(target=lane, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 80 and all((found == value).all() for value, found in made.items())


def test_too_much_memory_is_refused_by_its_kind(cuda_device):
    with pytest.raises(OutOfMemoryError, match="MiB"):
        cuda_device.allocate(1 << 46)
    cuda_device.allocate(16).close()


def test_a_device_may_be_opened_beside_another(cuda_device, stream, memory):
    second = open_device(cuda_device.index)
    second.clear(memory.address, 4, second.adopt(stream.handle))
    second.kernels(TRIAL)
    second.close()
    second.close()
    cuda_device.clear(memory.address, 4, stream)
    stream.synchronize()


@pytest.fixture
def stand_in():
    library = ctypes.CDLL("libcuda.so.1")
    library.stand_in_held.restype = ctypes.c_long
    yield library
    library.stand_in_lose(0)
    library.stand_in_without_work(0)


@pytest.mark.stand_in
def test_a_device_that_reads_the_hosts_memory_by_itself_has_read_it_when_an_upload_returns(
    cuda_device, stream, memory, stand_in, monkeypatch
):
    monkeypatch.setenv("STAND_IN_PAGEABLE", "1")
    fresh = open_device(cuda_device.index)
    mine = fresh.adopt(stream)
    for data in (np.arange(2000, dtype=np.int32), np.arange(2000, dtype=np.int32)[::-1].copy()):
        expected = data.copy()
        fresh.upload(data, memory.address, mine)
        data[:] = 0
        assert np.array_equal(fetched(fresh, memory, mine, 2000, np.int32), expected)
    waits = stand_in.stand_in_calls(b"cuStreamSynchronize")
    held = fresh.pin(8000)
    fresh.upload(held.array[4:], memory.address, mine)
    assert stand_in.stand_in_calls(b"cuStreamSynchronize") == waits, (
        "pinned memory stays as it is by contract"
    )
    mine.synchronize()
    held.close()
    fresh.close()


@pytest.mark.stand_in
def test_a_frame_costs_the_host_less_than_60_microseconds(
    cuda_device, stream, graph, memory, pinned, stand_in
):
    """The upload of a time, a graph and an event: 8 were measured, of which nothing is the driver's own here."""
    event, best = cuda_device.event(), np.inf
    stand_in.stand_in_without_work(1)
    for _ in range(20):
        begin = time.perf_counter()
        for _ in range(100):
            cuda_device.upload(pinned.array[:8], memory.address, stream)
            graph.launch(stream)
            event.record(stream)
        best = min(best, (time.perf_counter() - begin) / 100)
        stream.synchronize()
    stand_in.stand_in_without_work(0)
    event.close()
    assert best < 60e-6, f"{best * 1e6:.1f} microseconds"


@pytest.mark.stand_in
@pytest.mark.parametrize("status", [700, 719, 4, 214])
def test_a_lost_device_is_told_by_its_kind(cuda_device, stream, memory, stand_in, status):
    stand_in.stand_in_lose(status)
    for use in (stream.synchronize, lambda: cuda_device.allocate(4), lambda: cuda_device.memory()):
        with pytest.raises(LostDeviceError, match=str(status)):
            use()
    # What is given back to a lost device is forgotten, and nothing is said: the error that matters was told.
    for made in (cuda_device.allocate, cuda_device.pin, lambda _: cuda_device.event()):
        stand_in.stand_in_lose(0)
        thing = made(4)
        stand_in.stand_in_lose(status)
        thing.close()
    stand_in.stand_in_lose(0)


@pytest.mark.stand_in
@pytest.mark.parametrize(
    ("function", "use"),
    [
        ("cuCtxGetCurrent", lambda d, s, m: d.clear(m.address, 4, s)),
        ("cuMemsetD8Async", lambda d, s, m: d.clear(m.address, 4, s)),
        ("cuMemcpyDtoDAsync", lambda d, s, m: d.copy(m.address, m.address + 4, 4, s)),
        ("cuMemcpyHtoDAsync", lambda d, s, m: d.upload(np.zeros(1), m.address, s)),
        ("cuMemcpyDtoHAsync", lambda d, s, m: d.download(m.address, np.zeros(1), s)),
        ("cuStreamSynchronize", lambda d, s, m: s.synchronize()),
        ("cuStreamCreate", lambda d, s, m: d.stream()),
        ("cuEventCreate", lambda d, s, m: d.event()),
        ("cuMemAlloc", lambda d, s, m: d.allocate(1)),
        ("cuMemHostAlloc", lambda d, s, m: d.pin(1)),
        ("cuMemGetInfo", lambda d, s, m: d.memory()),
        ("cuStreamBeginCapture", lambda d, s, m: d.capture(s).__enter__()),
        ("cuLaunchKernel", lambda d, s, m: d.kernels(TRIAL).launch(
            "trial_fill", 1, s, at(m), ctypes.c_int(1), ctypes.c_int(1))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_every_refusal_is_told_with_the_function_and_leaves_nothing(
    cuda_device, stream, memory, kernels, stand_in, function, use
):
    before = [stand_in.stand_in_held(kind) for kind in range(7)]
    for status, kind in ((2, OutOfMemoryError), (1, StillflowError), (999, StillflowError)):
        stand_in.stand_in_fail(function.encode(), 1, status)
        with pytest.raises(kind, match=f"{function} says {status}"):
            use(cuda_device, stream, memory)
    assert [stand_in.stand_in_held(kind) for kind in range(7)] == before
    cuda_device.clear(memory.address, 4, stream)
    stream.synchronize()


@pytest.mark.stand_in
@pytest.mark.parametrize("function", ["cuStreamEndCapture", "cuGraphInstantiate"])
def test_a_graph_that_cannot_be_made_leaves_nothing(cuda_device, stream, memory, stand_in, function):
    before = [stand_in.stand_in_held(kind) for kind in range(7)]
    stand_in.stand_in_fail(function.encode(), 1, 2)
    with pytest.raises(OutOfMemoryError, match=function), cuda_device.capture(stream) as recording:
        cuda_device.clear(memory.address, 4, stream)
    with pytest.raises(StillflowError, match="no graph yet"):
        _ = recording.graph
    assert [stand_in.stand_in_held(kind) for kind in range(7)] == before
