# SPDX-License-Identifier: Apache-2.0
"""Sessions on a GPU by ONNX Runtime: never the CPU in silence, and in order of the caller's stream.

Where a GPU and the wheel for it are, they run. Where the driver is the stand-in, whose device memory is the host's,
the CPU's provider computes in place of CUDA's: late, as something that the session's stream does in its turn.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from stillflow.errors import StillflowError
from stillflow.gpu.arrays import DeviceArray, download_array, upload_array
from stillflow.gpu.description import find_gpu
from stillflow.gpu.layer import CudaDevice
from stillflow.sessions import DeviceSession, open_session
from stillflow.sessions import onnxruntime_cuda as adapter
from stillflow.sessions.registry import GPU_WHEEL

from .copying_engine import TightDevice
from .device_checks import hold_to

Arrays = dict[str, Any]
CUDA = adapter.CUDA


@pytest.fixture
def wheel_for_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel says that it has the provider, as onnxruntime-gpu does."""
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, "CPUExecutionProvider"])


class Opened:
    """A device that was opened already, for what comes before anything runs on it."""

    index = 1
    gpu = SimpleNamespace(name="NVIDIA L4")
    provider = "pycuda 2026.1"
    primary = True
    current = staticmethod(nullcontext)

    def __init__(self) -> None:
        self.closed: list[int] = []

    def stream(self) -> Any:
        return SimpleNamespace(handle=77, close=lambda: self.closed.append(77), synchronize=lambda: None)

    def trim(self) -> None:
        pass


def loading(monkeypatch: pytest.MonkeyPatch, *answers: Any) -> list[tuple[Any, ...]]:
    """Let sessions load as these answers say; return what was asked for."""
    asked: list[tuple[Any, ...]] = []
    rest = iter(answers)

    def load(data: bytes, options: Any, providers: list[Any], **kind: Any) -> Any:
        on_gpu = providers != ["CPUExecutionProvider"]
        strict = options.get_session_config_entry("session.disable_cpu_ep_fallback") if on_gpu else ""
        asked.append((strict, providers, kind))
        answer = next(rest)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(ort, "InferenceSession", load)
    return asked


def session_like(*providers: str, parts: tuple[tuple[str, tuple[str, ...]], ...] = ()) -> Any:
    """What InferenceSession offers to be asked."""
    told = [
        SimpleNamespace(
            ep_name=name, get_nodes=lambda kinds=kinds: [SimpleNamespace(op_type=k) for k in kinds]
        )
        for name, kinds in parts
    ]
    return SimpleNamespace(
        get_providers=lambda: list(providers),
        get_provider_options=lambda: {name: {"device_id": "1"} for name in providers},
        get_provider_graph_assignment_info=lambda: told,
        disable_fallback=lambda: None,
        get_inputs=list,
        get_outputs=list,
    )


REFUSED = RuntimeError("This session contains graph nodes that are assigned to the default CPU EP")


@pytest.mark.usefixtures("wheel_for_cuda")
def test_a_silent_fallback_is_an_error(graph_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = loading(monkeypatch, REFUSED, session_like("CPUExecutionProvider"))
    device: Any = Opened()
    with pytest.raises(StillflowError, match=r"cuda:1: onnxruntime .* fell back to CPUExecutionProvider"):
        open_session(graph_path, "onnxruntime", device="cuda:1", cuda=device)
    strict, ((name, options),), kind = asked[0]
    assert (strict, name, kind) == ("1", CUDA, {"enable_fallback": 0})
    assert options == {
        "device_id": "1",
        "user_compute_stream": "77",
        "use_tf32": "0",
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
    }
    assert device.closed == [77]


@pytest.mark.usefixtures("wheel_for_cuda")
def test_a_context_of_the_host_that_it_would_not_use_is_refused(graph_path: Path) -> None:
    device: Any = Opened()
    device.primary = False
    with pytest.raises(StillflowError, match=r"primary context, and pycuda 2026\.1") as caught:
        open_session(graph_path, "onnxruntime", device="cuda:1", cuda=device)
    assert "autoprimaryctx" in caught.value.fix


@pytest.mark.usefixtures("wheel_for_cuda")
def test_libraries_that_are_missing_are_named(graph_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def preload() -> None:
        print("Failed to load libcublasLt.so.13: libcublasLt.so.13: cannot open shared object file")
        print("Failed to load /site/nvidia/cu13/lib/libcurand.so.10: no")
        print("Please follow the instructions to install CUDA.")

    monkeypatch.setattr(ort, "preload_dlls", preload, raising=False)
    silenced: list[int] = []
    monkeypatch.setattr(ort, "set_default_logger_severity", silenced.append)
    loading(monkeypatch, REFUSED, session_like("CPUExecutionProvider"))
    with pytest.raises(
        StillflowError, match=r"does not find libcublasLt\.so\.13, libcurand\.so\.10\n"
    ) as caught:
        open_session(graph_path, "onnxruntime", device="cuda:1", cuda=Opened())  # type: ignore[arg-type]
    assert "onnxruntime-gpu[cuda,cudnn]" in caught.value.fix
    assert silenced == [4]


@pytest.mark.usefixtures("wheel_for_cuda")
def test_nodes_that_would_run_on_the_cpu_are_named(graph_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = ((CUDA, ("Conv", "Relu")), ("CPUExecutionProvider", ("Resize", "TopK", "Resize")))
    loading(monkeypatch, REFUSED, session_like(CUDA, "CPUExecutionProvider", parts=parts))
    with pytest.raises(StillflowError, match="3 of 5 nodes run on the CPU: 2 Resize, TopK") as caught:
        open_session(graph_path, "onnxruntime", device="cuda:1", cuda=Opened())  # type: ignore[arg-type]
    assert "--allow-fallback" in caught.value.fix


@pytest.mark.usefixtures("wheel_for_cuda")
def test_a_fallback_that_is_allowed_is_told(
    graph_path: Path, monkeypatch: pytest.MonkeyPatch, inputs: Arrays
) -> None:
    real = ort.InferenceSession(graph_path.read_bytes(), providers=["CPUExecutionProvider"])
    asked = loading(monkeypatch, session_like("CPUExecutionProvider"), real)
    session = open_session(
        graph_path, "onnxruntime", device="cuda:1", allow_fallback=True, cuda=Opened()  # type: ignore[arg-type]
    )  # fmt: skip
    assert asked[0][0] == "0"
    assert session.fallback.startswith("the whole graph runs on the CPU, not on cuda:1: onnxruntime")
    assert not isinstance(session, DeviceSession)
    assert session.run(inputs)


@pytest.mark.usefixtures("wheel_for_cuda")
def test_another_gpu_than_was_asked_for_is_an_error(
    graph_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = session_like(CUDA)
    loaded.get_provider_options = lambda: {CUDA: {"device_id": "0"}}
    loading(monkeypatch, loaded)
    with pytest.raises(StillflowError, match="took GPU 0"):
        open_session(graph_path, "onnxruntime", device="cuda:1", cuda=Opened())  # type: ignore[arg-type]


def test_what_ran_where_of_a_real_session(graph_path: Path) -> None:
    options = ort.SessionOptions()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    real = ort.InferenceSession(graph_path.read_bytes(), options, providers=["CPUExecutionProvider"])
    said = adapter.nodes_on_cpu(real)
    assert said.startswith("21 of 21 nodes run on the CPU: 5 Slice, 3 Conv") or "does not say which" in said


@pytest.mark.skipif(find_gpu() is not None, reason="a CUDA device is here")
@pytest.mark.usefixtures("wheel_for_cuda")
def test_without_a_gpu(graph_path: Path, inputs: Arrays) -> None:
    with pytest.raises(StillflowError, match=r"flow\.onnx on cuda:0: there is no NVIDIA"):
        open_session(graph_path, "onnxruntime", device="cuda")
    session = open_session(graph_path, "onnxruntime", device="cuda", allow_fallback=True)
    assert "runs on the CPU, not on cuda:0: there is no NVIDIA" in session.fallback
    assert (session.provider, bool(session.run(inputs))) == ("CPUExecutionProvider", True)


class Late:
    """A session on the CPU whose work is done when its stream comes to it, as CUDA's provider does it."""

    def __init__(self, session: Any, stream: Any) -> None:
        self._session, self._stream = session, stream
        self._driver = ctypes.CDLL("libcuda.so.1")
        self._kept: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run_with_iobinding(self, binding: Any, options: Any = None) -> None:
        if options is None:
            self._stream.synchronize()
            self._session.run_with_iobinding(binding)
            return
        asked = options.get_run_config_entry("disable_synchronize_execution_providers")
        assert asked == "1"
        call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(
            lambda _: self._session.run_with_iobinding(binding, options)
        )
        self._kept.append(call)
        assert self._driver.cuLaunchHostFunc(ctypes.c_void_p(self._stream.handle), call, None) == 0


@pytest.fixture
def tight(cuda_device: CudaDevice) -> TightDevice:
    return TightDevice(cuda_device)


@pytest.fixture
def stream(tight: TightDevice) -> Any:
    """The session's own."""
    return tight.stream()


@pytest.fixture
def session(tight: TightDevice, graph_path: Path, stream: Any) -> Iterator[adapter.OnnxRuntimeCudaSession]:
    real = ort.InferenceSession(graph_path.read_bytes(), providers=["CPUExecutionProvider"])
    made = adapter.OnnxRuntimeCudaSession(
        Late(real, stream), "flow", tight, stream, place="cpu"  # type: ignore[arg-type]
    )  # fmt: skip
    yield made
    made.close()
    assert tight.nothing_held


@pytest.mark.device
@pytest.mark.stand_in
def test_arrays_of_the_host(
    session: adapter.OnnxRuntimeCudaSession, graph_path: Path, inputs: Arrays, tight: TightDevice
) -> None:
    assert isinstance(session, DeviceSession)
    assert session.provider == f"CPUExecutionProvider on {tight.gpu.name}"
    reference = open_session(graph_path)
    for times in (1, 3, 2):
        given = {name: np.tile(array, (1, 1, 1, times)) + times / 10 for name, array in inputs.items()}
        expected = reference.run(given)
        for name, array in session.run(given).items():
            np.testing.assert_allclose(array, expected[name], atol=1e-6)
    with pytest.raises(StillflowError, match="'hints' is missing"):
        session.run({"photo": inputs["photo"]})


@pytest.mark.device
@pytest.mark.stand_in
def test_device_arrays_in_order_of_streams(
    session: adapter.OnnxRuntimeCudaSession,
    graph_path: Path,
    inputs: Arrays,
    cuda_device: CudaDevice,
    stream: Any,
) -> None:
    """Nothing waits on the way but the streams for each other; one input lies at an odd address."""
    reference = open_session(graph_path)
    session.run(inputs)  # what it has to know of these shapes
    streams = [cuda_device.stream() for _ in range(2)]
    given = [{name: array + step for name, array in inputs.items()} for step in (0, 0.3)]
    held = [
        {name: upload_array(cuda_device, array, theirs) for name, array in arrays.items()}
        for arrays, theirs in zip(given, streams, strict=True)
    ]
    odd = upload_array(
        cuda_device, np.concatenate([np.zeros(5, np.float32), given[0]["photo"].ravel()]), streams[0]
    )
    taken = held[0] | {"photo": DeviceArray(odd.address + 20, given[0]["photo"].shape, odd.dtype, owner=odd)}
    results = [
        session.run_on(arrays, theirs) for arrays, theirs in zip((taken, held[1]), streams, strict=True)
    ]
    stream.synchronize()  # if it did not wait for the others, it would now compute from what is not there yet
    for arrays, out, theirs in zip(given, results, streams, strict=True):
        expected = reference.run(arrays)
        for name, array in out.items():
            assert array.stream == theirs.handle
            np.testing.assert_allclose(download_array(cuda_device, array, theirs), expected[name], atol=1e-6)
    for theirs in streams:
        session.release(theirs)
    for part in (*held[0].values(), *held[1].values(), odd, *streams):
        part.close()


@pytest.mark.gpu
@pytest.mark.device
def test_a_gpu_gives_the_results_of_the_cpu(graph_path: Path, inputs: Arrays) -> None:
    if CUDA not in ort.get_available_providers():
        pytest.skip(f"onnxruntime-gpu is not installed: {GPU_WHEEL}")
    session = open_session(graph_path, "onnxruntime", device="cuda")
    assert (session.fallback, session.provider[: len(CUDA)]) == ("", CUDA)
    expected = open_session(graph_path).run(inputs)
    hold_to(session, inputs, expected, 1e-4)
