# SPDX-License-Identifier: Apache-2.0
"""Sessions on an engine that only copies: order, lanes, memory and closing, on a device that the CUDA layer opened."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stillflow.build.cache import EngineCache
from stillflow.errors import StillflowError
from stillflow.gpu.arrays import DeviceArray, download_array, upload_array
from stillflow.gpu.cuda_core import open_device
from stillflow.gpu.layer import CudaDevice
from stillflow.gpu.trouble import OutOfMemoryError
from stillflow.sessions import DeviceSession
from stillflow.sessions.compiled_kernels import CompiledKernels
from stillflow.sessions.engine_lane import Model
from stillflow.sessions.staging import refusal
from stillflow.sessions.tensorrt import TensorRTSession

from .copying_engine import (
    ITEM,
    LARGEST,
    WORK,
    CopyingConfig,
    CopyingContext,
    CopyingEngine,
    Specialization,
    TightDevice,
    copying_library,
    is_current,
)

Floats = npt.NDArray[np.float32]
pytestmark = pytest.mark.device


def rows(count: int, start: float = 0) -> Floats:
    return start + np.arange(2 * count, dtype=np.float32).reshape(count, 2)


def twice(x: Floats) -> Floats:
    return np.concatenate([x, x])


@pytest.fixture
def tight(cuda_device: CudaDevice) -> TightDevice:
    return TightDevice(cuda_device)


@pytest.fixture
def session(tight: TightDevice) -> Iterator[TensorRTSession]:
    made = TensorRTSession(copying_library(tight), b"engine", "copy", tight)  # type: ignore[arg-type]
    yield made
    made.close()
    assert tight.nothing_held, "all memory and streams are given back"


def test_what_it_says_of_itself(session: TensorRTSession, tight: TightDevice) -> None:
    assert isinstance(session, DeviceSession)
    assert (session.engine, session.fallback) == ("tensorrt", "")
    assert session.provider == f"tensorrt 10.9 on {tight.gpu.name}"
    assert [(s.name, s.dtype, s.shape) for s in session.inputs] == [("x", "float32", ("x_0", 2))]
    assert [s.name for s in session.outputs] == ["y"]


def test_arrays_of_the_host(session: TensorRTSession) -> None:
    kept = []
    for count in (1, 700, 3, 700, LARGEST):
        x = rows(count, count)
        kept.append((x, session.run({"x": x})["y"]))
    assert all(np.array_equal(y, twice(x)) for x, y in kept), "a later call does not touch an earlier result"


def test_what_does_not_fit(session: TensorRTSession, cuda_device: CudaDevice) -> None:
    with pytest.raises(StillflowError, match=r"not built for x of shape \(65537, 2\)"):
        session.run({"x": rows(LARGEST + 1)})
    with pytest.raises(StillflowError, match="'x' is missing"):
        session.run({})
    stream = cuda_device.stream()
    elsewhere = DeviceArray(256, (1, 2), np.dtype("float32"), device=7)
    with pytest.raises(StillflowError, match="'x' lies on cuda:7, the session runs on cuda:0"):
        session.run_on({"x": elsewhere}, stream)
    doubles = DeviceArray(256, (1, 2), np.dtype("float64"))
    with pytest.raises(StillflowError, match="'x' is float64"):
        session.run_on({"x": doubles}, stream)
    assert np.array_equal(session.run({"x": rows(2)})["y"], twice(rows(2))), "it is of use afterwards"
    stream.close()


def test_threads_share_two_lanes(session: TensorRTSession) -> None:
    barrier = threading.Barrier(4)

    def many(start: int) -> bool:
        barrier.wait()
        return all(
            np.array_equal(session.run({"x": rows(n, start)})["y"], twice(rows(n, start)))
            for n in range(1, 30)
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(many, range(4)))
    assert session._lanes.count <= 2


def test_one_thread_takes_one_lane(session: TensorRTSession) -> None:
    assert session._lanes.count == 0
    for _ in range(3):
        session.run({"x": rows(5)})
    assert session._lanes.count == 1


def test_device_arrays_in_order_of_a_stream(session: TensorRTSession, cuda_device: CudaDevice) -> None:
    """Nothing waits on the way: the upload, two calls of which the second takes the first's result, the download."""
    stream = cuda_device.stream()
    x = upload_array(cuda_device, rows(40), stream)
    y = session.run_on({"x": x}, stream)["y"]
    assert (y.shape, y.dtype, y.device, y.stream) == ((80, 2), np.float32, 0, stream.handle)
    held = cuda_device.allocate(y.nbytes)
    cuda_device.copy(y.address, held.address, y.nbytes, stream)  # the next call writes where y lies
    copied = DeviceArray(held.address, y.shape, y.dtype)
    z = session.run_on({"x": copied}, stream)["y"]
    assert np.array_equal(download_array(cuda_device, z, stream), twice(twice(rows(40))))
    session.release(stream)
    for part in (x, held, stream):
        part.close()


def test_a_result_stays_until_the_next_call_of_its_stream(
    session: TensorRTSession, cuda_device: CudaDevice
) -> None:
    first, second = cuda_device.stream(), cuda_device.stream()
    arrays = [upload_array(cuda_device, rows(9, n), stream) for n, stream in ((0, first), (50, second))]
    one = session.run_on({"x": arrays[0]}, first)["y"]
    other = session.run_on({"x": arrays[1]}, second)["y"]
    session.run({"x": rows(9, 100)})
    assert np.array_equal(download_array(cuda_device, one, first), twice(rows(9, 0)))
    assert np.array_equal(download_array(cuda_device, other, second), twice(rows(9, 50)))
    again = session.run_on({"x": arrays[0]}, first)["y"]
    assert again.address == one.address
    first.synchronize()
    for part in (*arrays, first, second):
        part.close()


def test_an_input_that_another_stream_is_writing(session: TensorRTSession, cuda_device: CudaDevice) -> None:
    first, second = cuda_device.stream(), cuda_device.stream()
    x = upload_array(cuda_device, rows(9), first)
    between = session.run_on({"x": x}, first)["y"]
    y = session.run_on({"x": between}, second)["y"]
    assert np.array_equal(download_array(cuda_device, y, second), twice(twice(rows(9))))
    for part in (x, first, second):
        part.close()


def test_an_input_at_an_odd_address(session: TensorRTSession, cuda_device: CudaDevice) -> None:
    stream = cuda_device.stream()
    x = upload_array(cuda_device, rows(30), stream)
    part = DeviceArray(x.address + 5 * ITEM, (20, 2), x.dtype, owner=x)
    y = session.run_on({"x": part}, stream)["y"]
    assert np.array_equal(download_array(cuda_device, y, stream), twice(rows(30)[5:25]))
    x.close()
    stream.close()


def test_a_call_can_be_recorded(session: TensorRTSession, cuda_device: CudaDevice) -> None:
    if not cuda_device.graphs:
        pytest.skip("this provider has no graphs")
    stream = cuda_device.stream()
    x = upload_array(cuda_device, rows(16), stream)
    y = session.run_on({"x": x}, stream)["y"]  # takes the memory for these shapes
    stream.synchronize()
    with cuda_device.capture(stream) as recording:
        assert session.run_on({"x": x}, stream)["y"].address == y.address
    cuda_device.upload(rows(16, 500), x.address, stream)
    recording.graph.launch(stream)
    assert np.array_equal(download_array(cuda_device, y, stream), twice(rows(16, 500)))
    recording.graph.close()
    x.close()
    stream.close()


NEEDED = 1000 * (ITEM + 2 * ITEM + WORK) + 1024
"""Bytes of device memory that a lane takes for 1000 rows: x, y, to work in, and what is lost between."""


def test_fewer_lanes_where_memory_is_short(tight: TightDevice) -> None:
    tight.limit = NEEDED + NEEDED // 2
    session = TensorRTSession(copying_library(tight), b"engine", "copy", tight)  # type: ignore[arg-type]
    barrier = threading.Barrier(3)

    def many(start: int) -> bool:
        barrier.wait()
        x = rows(1000, start)
        return all(np.array_equal(session.run({"x": x})["y"], twice(x)) for _ in range(10))

    with ThreadPoolExecutor(3) as pool:
        assert all(pool.map(many, range(3)))
    assert session._lanes.count == 1
    with pytest.raises(OutOfMemoryError):
        session.run({"x": rows(2000)})
    assert np.array_equal(session.run({"x": rows(1000)})["y"], twice(rows(1000)))
    session.close()
    assert tight.nothing_held


def test_a_stream_takes_the_room_of_lanes_that_lie_idle(tight: TightDevice, cuda_device: CudaDevice) -> None:
    tight.limit = NEEDED + NEEDED // 2
    session = TensorRTSession(copying_library(tight), b"engine", "copy", tight)  # type: ignore[arg-type]
    session.run({"x": rows(1000)})
    first, second = cuda_device.stream(), cuda_device.stream()
    x = upload_array(cuda_device, rows(1000), first)
    y = session.run_on({"x": x}, first)["y"]
    first.synchronize()
    with pytest.raises(OutOfMemoryError):
        session.run_on({"x": x}, second)
    assert np.array_equal(download_array(cuda_device, y, first), twice(rows(1000)))
    session.release(first)
    assert np.array_equal(
        download_array(cuda_device, session.run_on({"x": x}, second)["y"], second), twice(rows(1000))
    )
    session.close()
    assert tight.nothing_held
    for part in (x, first, second):
        part.close()


def test_everything_goes_in_order(tight: TightDevice) -> None:
    library = copying_library(tight)
    session = TensorRTSession(library, b"engine", "copy", tight)  # type: ignore[arg-type]
    session.run({"x": rows(3)})
    session.close()
    session.close()
    gc.collect()
    assert library.log.gone == ["context", "engine", "runtime"]
    assert tight.nothing_held
    with pytest.raises(StillflowError, match="its session is closed"):
        session.run({"x": rows(3)})


@pytest.mark.stand_in
def test_the_second_gpu_while_the_first_is_current(
    cuda_device: CudaDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorRT takes the current device, whatever thread it is called from."""
    monkeypatch.setenv("STAND_IN_DEVICES", "2")
    second = TightDevice(open_device(1))
    library = copying_library(second)
    with cuda_device.current(), ThreadPoolExecutor(1) as pool:
        session = TensorRTSession(library, b"engine", "copy", second)  # type: ignore[arg-type]
        assert session.provider.endswith(" (cuda:1)")
        x = rows(5)
        for result in (session.run({"x": x}), pool.submit(session.run, {"x": x}).result()):
            assert np.array_equal(result["y"], twice(x))
        stream = second.stream()
        held = upload_array(second, x, stream)
        y = session.run_on({"x": held}, stream)["y"]
        assert y.device == 1
        assert np.array_equal(download_array(second, y, stream), twice(x))
        session.close()
        assert is_current(cuda_device)
    gc.collect()
    assert sorted(set(library.log.gone)) == ["context", "engine", "runtime"]
    held.close()
    stream.close()
    assert second.nothing_held
    second.close()


def test_rtx_compiles_for_a_shape_of_frames_before_it_computes_them(
    tight: TightDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph would keep kernels for any shape, which it computes with meanwhile, for ever."""
    monkeypatch.setattr(CopyingConfig, "used", [])
    kernels = CompiledKernels(EngineCache(tmp_path), "ab" * 32, tight.gpu)
    session = TensorRTSession(copying_library(tight), b"engine", "copy", tight, kernels)  # type: ignore[arg-type]
    session.run({"x": rows(3)})
    assert CopyingConfig.used == [Specialization.LAZY]
    stream = tight.stream()
    held = upload_array(tight, rows(3), stream)
    session.run_on({"x": held}, stream)
    assert CopyingConfig.used == [Specialization.LAZY, Specialization.EAGER]
    session.release(stream)
    session.close()
    held.close()
    stream.close()


def test_what_rtx_compiles_is_kept(tight: TightDevice, tmp_path: Path) -> None:
    cache, library = EngineCache(tmp_path), copying_library(tight)
    for _ in range(2):
        kernels = CompiledKernels(cache, "ab" * 32, tight.gpu)
        session = TensorRTSession(library, b"engine", "copy", tight, kernels)  # type: ignore[arg-type]
        assert np.array_equal(session.run({"x": rows(3)})["y"], twice(rows(3)))
        session.close()
        assert [file.read_bytes() for file in (tmp_path / "jit").iterdir()] == [b"kernels"]


def test_being_let_go_is_closing(tight: TightDevice) -> None:
    session = TensorRTSession(copying_library(tight), b"engine", "copy", tight)  # type: ignore[arg-type]
    session.run({"x": rows(3)})
    del session
    gc.collect()
    assert tight.nothing_held


def test_an_engine_that_does_not_load(tight: TightDevice) -> None:
    with pytest.raises(StillflowError, match="it says why") as caught:
        TensorRTSession(copying_library(tight), b"other", "copy", tight)  # type: ignore[arg-type]
    assert "--force" in caught.value.fix


def test_a_context_that_is_not_made(session: TensorRTSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CopyingEngine, "create_execution_context", lambda *_: None)
    with pytest.raises(StillflowError, match="it says why"):
        session.run({"x": rows(3)})


def test_a_run_that_is_refused(session: TensorRTSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CopyingContext, "execute_async_v3", lambda *_: False)
    with pytest.raises(StillflowError, match="the graph copy failed: it says why"):
        session.run({"x": rows(3)})
    monkeypatch.undo()
    assert np.array_equal(session.run({"x": rows(3)})["y"], twice(rows(3)))


def test_an_output_whose_shape_depends_on_values(
    session: TensorRTSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CopyingContext, "get_tensor_shape", lambda *_: (-1, 2))
    with pytest.raises(StillflowError, match="depends on values"):
        session.run({"x": rows(3)})


def test_a_library_that_gives_memory_by_itself(tight: TightDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorRT 10.0 knows no update_device_memory_size_for_shapes."""
    library: Any = copying_library(tight)
    seen: list[tuple[Any, ...]] = []
    real = CopyingEngine.create_execution_context

    def create(engine: CopyingEngine, *strategy: str) -> CopyingContext:
        seen.append(strategy)
        return real(engine, "USER_MANAGED")

    monkeypatch.setattr(CopyingEngine, "create_execution_context", create)
    monkeypatch.delattr(CopyingContext, "update_device_memory_size_for_shapes")
    monkeypatch.setattr(CopyingContext, "execute_async_v3", lambda *_: True)
    session = TensorRTSession(library, b"engine", "copy", tight)  # type: ignore[arg-type]
    session.run({"x": rows(3)})
    assert seen == [("STATIC",)]
    session.close()


def test_no_memory_is_told_by_the_librarys_words(tight: TightDevice) -> None:
    said = "[defaultAllocator.cpp::allocate::59] Error Code 1: Cuda Runtime (out of memory)"
    assert isinstance(refusal("a", said, "b"), OutOfMemoryError)
    assert not isinstance(refusal("a", "Error Code 3: API Usage Error", "b"), OutOfMemoryError)
    library = copying_library(tight)
    library.log.why = lambda error: said
    with pytest.raises(OutOfMemoryError):
        Model(library, b"other", "copy", tight, "again")  # type: ignore[arg-type]
