# SPDX-License-Identifier: Apache-2.0
"""Whatever call of the driver fails on the way: an error that says so, nothing kept, and a session that goes on."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from stillflow.errors import StillflowError
from stillflow.gpu.arrays import download_array, upload_array
from stillflow.gpu.layer import CudaDevice
from stillflow.gpu.trouble import LostDeviceError
from stillflow.sessions.onnxruntime_cuda import OnnxRuntimeCudaSession
from stillflow.sessions.tensorrt import TensorRTSession

from .copying_engine import copying_library

Arrays = dict[str, Any]
Make = Callable[[], Any]

CALLS = (
    "cuMemAlloc",
    "cuMemFree",
    "cuMemHostAlloc",
    "cuMemFreeHost",
    "cuStreamCreate",
    "cuStreamSynchronize",
    "cuStreamWaitEvent",
    "cuEventCreate",
    "cuEventRecord",
    "cuMemcpyHtoDAsync",
    "cuMemcpyDtoHAsync",
    "cuMemcpyDtoDAsync",
)
OUT_OF_MEMORY, INVALID, LOST = 2, 1, 700


@pytest.fixture
def driver() -> Any:
    return ctypes.CDLL("libcuda.so.1")


@pytest.fixture(params=["engine", "onnxruntime"])
def case(request: pytest.FixtureRequest, cuda_device: CudaDevice, graph_path: Path) -> tuple[Make, Arrays]:
    """How a session is made, and what it is asked: one that copies, one that computes the golden graph."""
    if request.param == "engine":
        return (
            lambda: TensorRTSession(copying_library(cuda_device), b"engine", "copy", cuda_device),
            {"x": np.arange(600, dtype=np.float32).reshape(300, 2)},
        )
    real = ort.InferenceSession(graph_path.read_bytes(), providers=["CPUExecutionProvider"])

    class Waiting:
        """Waits for its stream before it computes, on the host's memory, which here is the device's too."""

        def __init__(self, stream: Any) -> None:
            self._stream = stream

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def run_with_iobinding(self, binding: Any, options: Any = None) -> None:
            self._stream.synchronize()
            real.run_with_iobinding(binding, options)

    def make() -> Any:
        stream = cuda_device.stream()
        session: Any = Waiting(stream)
        return OnnxRuntimeCudaSession(session, "flow", cuda_device, stream, place="cpu")

    shapes = {"photo": (1, 3, 32, 48), "hints": (1, 6, 32, 48)}
    rng = np.random.default_rng(1)
    return make, {name: rng.random(shape, np.float32) for name, shape in shapes.items()}


def held(driver: Any) -> list[int]:
    """Pieces of memory, streams and events that are not given back."""
    return [driver.stand_in_held(kind) for kind in (0, 2, 3)]


def on_host(session: Any, inputs: Arrays, cuda: CudaDevice) -> Arrays:
    out: Arrays = session.run(inputs)
    return out


def on_device(session: Any, inputs: Arrays, cuda: CudaDevice) -> Arrays:
    with ExitStack() as owned:
        stream = cuda.stream()
        owned.callback(stream.close)
        arrays = {}
        for name, array in inputs.items():
            arrays[name] = upload_array(cuda, array, stream)
            owned.callback(arrays[name].close)
            owned.callback(stream.synchronize)
        owned.callback(session.release, stream)
        out = session.run_on(arrays, stream)
        return {name: download_array(cuda, array, stream) for name, array in out.items()}


@pytest.mark.device
@pytest.mark.stand_in
@pytest.mark.parametrize("run", [on_host, on_device])
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_fails(
    call: str,
    run: Callable[..., Arrays],
    case: tuple[Make, Arrays],
    cuda_device: CudaDevice,
    driver: Any,
) -> None:
    make, inputs = case
    session = make()
    expected = session.run(inputs)
    session.close()
    before = held(driver)
    for status in (INVALID, OUT_OF_MEMORY):
        for k in range(1, 6):
            session = make()
            driver.stand_in_fail(call.encode(), k, status)
            try:
                for name, value in run(session, inputs, cuda_device).items():
                    assert np.array_equal(value, expected[name])
            except StillflowError as error:
                assert call in error.why
            driver.stand_in_fail(call.encode(), 0, 0)
            for name, value in run(session, inputs, cuda_device).items():
                assert np.array_equal(value, expected[name]), "the session is of use afterwards"
            session.close()
            if not call.startswith("cuMemFree"):  # what CUDA does not take back stays
                assert held(driver) == before, "nothing is kept"
            before = held(driver)


@pytest.mark.device
@pytest.mark.stand_in
def test_a_device_that_is_lost(case: tuple[Make, Arrays], driver: Any) -> None:
    make, inputs = case
    session = make()
    session.run(inputs)
    driver.stand_in_lose(LOST)
    try:
        for _ in range(2):
            with pytest.raises(LostDeviceError):
                session.run(inputs)
        session.close()  # it can give nothing back, and says nothing
    finally:
        driver.stand_in_lose(0)
