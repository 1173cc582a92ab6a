# SPDX-License-Identifier: Apache-2.0
"""The stand-in for NVIDIA's driver finds the mistakes that it is there to find."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stillflow.errors import StillflowError
from stillflow.gpu.compiled import compile_source
from stillflow.gpu.cuda_core import open_device
from stillflow.gpu.trouble import LostDeviceError, OutOfMemoryError

pytestmark = [
    pytest.mark.device,
    pytest.mark.stand_in,
    pytest.mark.skipif(
        os.environ.get("STAND_IN_EAGER", "0") != "0", reason="streams go ahead: nothing is late for certain"
    ),
]

TRIAL = Path(__file__).resolve().parent / "stand_in" / "trial.cu"
COUNT = 1000


@pytest.fixture
def library():
    found = ctypes.CDLL("libcuda.so.1")
    for name in ("stand_in_held", "stand_in_used", "stand_in_calls"):
        getattr(found, name).restype = ctypes.c_long
    found.stand_in_memory.argtypes = (ctypes.c_size_t,)
    yield found
    found.stand_in_lose(0)
    found.stand_in_memory(0)
    found.stand_in_without_work(0)


@pytest.fixture
def stream(cuda_device):
    made = cuda_device.stream()
    yield made
    made.close()


@pytest.fixture
def memory(cuda_device):
    made = cuda_device.allocate(4 * COUNT)
    yield made
    made.close()


@pytest.fixture
def pinned(cuda_device):
    made = cuda_device.pin(4 * COUNT)
    made.array[:] = 0
    yield made
    made.close()


@pytest.fixture(scope="module")
def kernels(cuda_device):
    return cuda_device.kernels(TRIAL)


def fill(kernels, stream, memory, value, count=COUNT):
    where = ctypes.c_void_p(memory.address)
    kernels.launch("trial_fill", count, stream, where, ctypes.c_int(count), ctypes.c_int(value))


def fetched(cuda_device, memory, stream):
    out = np.empty(COUNT, np.int32)
    cuda_device.download(memory.address, out, stream)
    stream.synchronize()
    return out


def test_a_result_that_is_read_too_early_is_the_old_one(cuda_device, stream, memory, pinned, kernels):
    fill(kernels, stream, memory, 7)
    cuda_device.download(memory.address, pinned.array, stream)
    assert not pinned.array.any()
    stream.synchronize()
    assert (pinned.array.view(np.int32) == 7).all()


def test_pinned_memory_that_is_overwritten_too_early_is_copied_as_it_is_then(
    cuda_device, stream, memory, pinned
):
    pinned.array.view(np.int32)[:] = 1
    cuda_device.upload(pinned.array, memory.address, stream)
    pinned.array.view(np.int32)[:] = 2
    assert (fetched(cuda_device, memory, stream) == 2).all()


def test_other_memory_may_be_overwritten_at_once(cuda_device, stream, memory):
    numbers = np.full(COUNT, 1, np.int32)
    cuda_device.upload(numbers, memory.address, stream)
    numbers[:] = 2
    assert (fetched(cuda_device, memory, stream) == 1).all()


@pytest.mark.parametrize("waits", [False, True])
def test_a_stream_that_does_not_wait_for_another_reads_what_was_before(
    cuda_device, stream, memory, pinned, kernels, waits
):
    first, ready = cuda_device.stream(), cuda_device.event()
    fill(kernels, first, memory, 1)
    first.synchronize()
    fill(kernels, first, memory, 2)
    ready.record(first)
    if waits:
        stream.wait(ready)
    cuda_device.download(memory.address, pinned.array, stream)
    stream.synchronize()
    assert (pinned.array.view(np.int32) == (2 if waits else 1)).all()
    first.synchronize()
    ready.close(), first.close()


OVERWRITES = f"""
import ctypes, pathlib
import numpy as np
from stillflow.gpu.cuda_core import open_device
device = open_device()
kernels = device.kernels(pathlib.Path({str(TRIAL)!r}))
reader, writer, memory, out = device.stream(), device.stream(), device.allocate(4), device.pin(4)
def fill(stream, value):
    kernels.launch("trial_fill", 1, stream, ctypes.c_void_p(memory.address), ctypes.c_int(1), ctypes.c_int(value))
fill(reader, 1)
fill(writer, 2)  # before it was read, and nothing says that it must wait
device.download(memory.address, out.array, reader)
reader.synchronize()
print(out.array.view(np.int32)[0])
"""


@pytest.mark.parametrize(("eager", "read"), [("0", "1"), ("100", "2")])
def test_what_goes_wrong_early_shows_when_streams_go_ahead(eager, read):
    environment = {**os.environ, "STAND_IN_EAGER": eager}
    done = subprocess.run(
        [sys.executable, "-c", OVERWRITES], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == [read], done.stderr


def test_an_event_is_waited_for_and_not_what_comes_after_it(
    cuda_device, stream, memory, pinned, kernels, library
):
    event = cuda_device.event()
    fill(kernels, stream, memory, 1)
    cuda_device.download(memory.address, pinned.array, stream)
    event.record(stream)
    fill(kernels, stream, memory, 2)
    cuda_device.download(memory.address, pinned.array, stream)
    event.synchronize()
    assert (pinned.array.view(np.int32) == 1).all()
    stream.synchronize()
    assert (pinned.array.view(np.int32) == 2).all()
    event.close()


def test_memory_that_was_never_written_is_no_number(cuda_device, stream, memory):
    assert np.isnan(fetched(cuda_device, memory, stream).view(np.float32)).all()


def test_a_kernel_that_leans_on_the_order_of_threads_is_wrong(cuda_device, stream, memory, kernels):
    cuda_device.clear(memory.address, 4 * COUNT, stream)
    kernels.launch("trial_order", COUNT, stream, ctypes.c_void_p(memory.address), ctypes.c_int(COUNT))
    assert not np.array_equal(fetched(cuda_device, memory, stream), np.arange(COUNT))


def test_a_kernel_that_writes_behind_its_memory_loses_the_device(
    cuda_device, stream, kernels, library, capfd
):
    small = cuda_device.allocate(16)
    fill(kernels, stream, small, 1, 5)
    with pytest.raises(LostDeviceError, match="illegal memory access"):
        stream.synchronize()
    assert "trial_fill wrote behind a piece of 16 bytes" in capfd.readouterr().err
    with pytest.raises(LostDeviceError):
        cuda_device.memory()
    library.stand_in_lose(0)
    small.close()
    library.stand_in_lose(0)


@pytest.mark.parametrize("index", [COUNT + 100, 1 << 19, -(1 << 19)])
def test_a_kernel_that_reads_what_is_not_there_loses_the_device(
    cuda_device, stream, memory, kernels, library, capfd, index
):
    where = ctypes.c_void_p(memory.address)
    kernels.launch("trial_read", 1, stream, where, ctypes.c_longlong(index), where)
    with pytest.raises(LostDeviceError):
        stream.synchronize()
    assert "trial_read touched memory that is not its own" in capfd.readouterr().err
    library.stand_in_lose(0)


@pytest.mark.parametrize("kernel", ["trial_word", "trial_cast"])
def test_a_kernel_that_a_gpu_would_die_of_or_do_otherwise_loses_the_device(
    cuda_device, stream, memory, kernels, library, capfd, kernel
):
    cuda_device.clear(memory.address, 4 * COUNT, stream)
    to = ctypes.c_void_p(memory.address + 8)
    good = {"trial_word": ctypes.c_void_p(memory.address), "trial_cast": ctypes.c_float(-1e9)}
    bad = {"trial_word": ctypes.c_void_p(memory.address + 1), "trial_cast": ctypes.c_float(1e10)}
    kernels.launch(kernel, 1, stream, good[kernel], to)
    stream.synchronize()
    kernels.launch(kernel, 1, stream, bad[kernel], to)
    with pytest.raises(LostDeviceError, match="misaligned address"):
        stream.synchronize()
    assert f"{kernel} took a misaligned address" in capfd.readouterr().err
    library.stand_in_lose(0)


def test_a_context_is_not_waited_for_while_a_stream_is_recorded(cuda_device, stream, library):
    def wait():
        with cuda_device.current():
            return library.cuCtxSynchronize()

    waited = []
    with pytest.raises(StillflowError, match="cuStreamEndCapture"), cuda_device.capture(stream):
        waited.append(wait())
    assert [*waited, wait()] == [900, 0]


def test_a_stream_that_is_given_back_goes_on_with_its_work(cuda_device, stream, memory, kernels):
    leaving, event = cuda_device.stream(), cuda_device.event()
    fill(kernels, leaving, memory, 7)
    event.record(leaving)
    leaving.close()
    assert not event.done
    stream.wait(event)
    assert (fetched(cuda_device, memory, stream) == 7).all() and event.done
    event.close()


@pytest.mark.parametrize("pinning", [False, True])
def test_memory_that_is_given_back_after_its_stream_only_loses_the_device(
    cuda_device, memory, kernels, library, capfd, pinning
):
    leaving, event = cuda_device.stream(), cuda_device.event()
    early = cuda_device.pin(4 * COUNT) if pinning else cuda_device.allocate(4 * COUNT)
    cuda_device.copy(early.address, memory.address, 4 * COUNT, leaving)
    event.record(leaving)
    for one in (leaving, early):
        one.close()
    with pytest.raises(LostDeviceError, match="illegal"):
        event.synchronize()
    assert "a copy touched memory that is not its own" in capfd.readouterr().err
    library.stand_in_lose(0)
    event.close()


def test_a_kernel_that_is_unloaded_too_early_loses_the_device(cuda_device, stream, memory, library, capfd):
    fresh = open_device(cuda_device.index)
    fill(fresh.kernels(TRIAL), stream, memory, 1)
    fresh.close()
    with pytest.raises(LostDeviceError, match="illegal"):
        stream.synchronize()
    assert "trial_fill was unloaded before it ran" in capfd.readouterr().err
    library.stand_in_lose(0)


def test_memory_that_is_given_back_too_early_loses_the_device(cuda_device, stream, kernels, library, capfd):
    early = cuda_device.allocate(4 * COUNT)
    fill(kernels, stream, early, 1)
    early.close()
    with pytest.raises(LostDeviceError):
        stream.synchronize()
    assert "trial_fill touched" in capfd.readouterr().err
    library.stand_in_lose(0)


def test_copies_beyond_a_piece_of_memory_are_refused(cuda_device, stream, memory):
    too_long = np.zeros(COUNT + 1, np.int32)
    for copy in (
        lambda: cuda_device.upload(too_long, memory.address, stream),
        lambda: cuda_device.download(memory.address, too_long, stream),
        lambda: cuda_device.copy(memory.address, memory.address + 4, 4 * COUNT, stream),
        lambda: cuda_device.clear(memory.address, 4 * COUNT + 1, stream),
        lambda: cuda_device.upload(too_long, 4096, stream),
    ):
        with pytest.raises(StillflowError, match="invalid argument"):
            copy()


def test_a_stream_that_is_not_joined_spoils_a_recording(cuda_device, stream, memory, kernels, library):
    other, fork = cuda_device.stream(), cuda_device.event()

    def record():
        fork.record(stream)
        other.wait(fork)
        fill(kernels, other, memory, 1)

    with pytest.raises(StillflowError, match="unjoined"), cuda_device.capture(stream):
        record()
    outside = cuda_device.event()
    outside.record(other)
    with pytest.raises(StillflowError, match="says 905"), cuda_device.capture(stream):
        stream.wait(outside)
    fill(kernels, stream, memory, 3)
    assert (fetched(cuda_device, memory, stream) == 3).all()
    outside.close(), fork.close(), other.close()


def test_memory_ends_where_it_is_said_to(cuda_device, library):
    used = library.stand_in_used()
    library.stand_in_memory(used + 1000)
    assert cuda_device.memory() == (1000, used + 1000)
    first = cuda_device.allocate(600)
    assert cuda_device.memory()[0] == 400
    with pytest.raises(OutOfMemoryError):
        cuda_device.allocate(401)
    first.close()
    cuda_device.allocate(1000).close()


def test_what_is_not_given_back_is_counted(cuda_device, library):
    before = [library.stand_in_held(kind) for kind in range(5)]
    made = [
        cuda_device.allocate(4),
        cuda_device.pin(4),
        cuda_device.stream(),
        cuda_device.event(),
    ]
    with cuda_device.capture(made[2]) as recording:
        pass
    after = [library.stand_in_held(kind) for kind in range(5)]
    assert [b - a for a, b in zip(before, after, strict=True)] == [2, 0, 1, 1, 1]
    for one in (*made, recording.graph):
        one.close()
    assert [library.stand_in_held(kind) for kind in range(5)] == before


def test_the_call_that_is_to_fail_fails(cuda_device, library):
    calls = library.stand_in_calls(b"cuMemAlloc")
    library.stand_in_fail(b"cuMemAlloc", 3, 2)
    cuda_device.allocate(4).close()
    cuda_device.allocate(4).close()
    with pytest.raises(OutOfMemoryError):
        cuda_device.allocate(4)
    cuda_device.allocate(4).close()
    assert library.stand_in_calls(b"cuMemAlloc") == calls + 4


def test_code_for_another_gpu_is_refused(cuda_device):
    for code, status in ((compile_source(TRIAL, "sm_120"), 209), (b"no cubin at all" + bytes(64), 200)):
        with pytest.raises(StillflowError, match=f"cuModuleLoadData says {status}"):
            cuda_device.call("cuModuleLoadData", code)


def test_calls_without_work_do_none(cuda_device, stream, memory, kernels, library):
    library.stand_in_without_work(1)
    fill(kernels, stream, memory, 1)
    stream.synchronize()
    library.stand_in_without_work(0)
    assert (fetched(cuda_device, memory, stream) == -1).all()
