# SPDX-License-Identifier: Apache-2.0
"""Sessions on engines: the right one is found, the wrong one refused, and a GPU that is not there is missed.

Where a GPU is, an engine is built and run for real. How calls fit together without one: test_engine_lane.py.
"""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stillflow.build.adapter import Library, find_module
from stillflow.build.builder import Orders, build_engines
from stillflow.build.cache import EngineCache
from stillflow.build.profile import load_profile, profile_for
from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow.gpu.description import Gpu, find_gpu
from stillflow.sessions import NoEngineError, TensorSpec, open_session, tensorrt, tensorrt_rtx
from stillflow.sessions.machine import Machine

from .device_checks import hold_to

Arrays = dict[str, Any]
L4 = Gpu("NVIDIA L4", "", "8.9", 58, 22563, 49152, 192, 101376, False, True, "580.65.06")


@pytest.fixture(scope="module")
def golden(source_tree: Path) -> Bundle:
    return Bundle.open(source_tree / "tests" / "data" / "bundles" / "golden-1.0")


@pytest.fixture(scope="module")
def library() -> Library:
    if find_module("tensorrt_rtx") is None:
        pytest.skip("TensorRT-RTX is not installed: pip install 'stillflow[rtx]'")
    return Library.open("tensorrt_rtx")


@pytest.fixture
def cache(tmp_path: Path, golden: Bundle, library: Library, monkeypatch: pytest.MonkeyPatch) -> EngineCache:
    """A cache with an engine of the golden bundle for compute capability 8.9."""
    monkeypatch.setenv("STILLFLOW_CACHE", str(tmp_path / "cache"))
    found = EngineCache()
    build_engines(golden, load_profile("l4"), library="tensorrt_rtx", cache=found)
    return found


def test_finds_the_engine_of_a_graph_and_refuses_all_others(
    golden: Bundle, library: Library, cache: EngineCache
) -> None:
    data = golden.graph_bytes("flow")
    entry, engine = tensorrt.find_engine(data, "flow", library, L4, cache)
    assert (entry.graph, len(engine)) == ("flow", entry.bytes)

    def refused(says: str, *, data: bytes = data, gpu: Gpu = L4, library: Library = library) -> None:
        with pytest.raises(NoEngineError, match=says) as caught:
            tensorrt.find_engine(data, "flow", library, gpu, cache)
        assert caught.value.worth_building == ("failed gate C" not in says)
        assert "--library tensorrt_rtx" in caught.value.fix
        assert ("--force" in caught.value.fix) == ("failed gate C" in says)

    refused("no engine of it is in the cache", data=data + b"x")
    refused(r"one is for compute capability 8\.9, here is NVIDIA A10", gpu=_like("NVIDIA A10", "8.6"))
    newer = Library.open("tensorrt_rtx")
    newer.version = "9.9.9.9"
    refused(f"one is for version {library.version}, here is 9.9.9.9", library=newer)
    cache.set_gate(entry.parts.key, {"state": "failed", "why": ""})
    refused("failed gate C")
    cache.set_gate(entry.parts.key, {"state": "passed", "why": ""})
    (stored,) = cache.stored()
    stored.path.chmod(0o666)
    refused("one is damaged: flow-fp32.engine: other users may write")
    (stored.folder / "entry.json").write_text("{")
    refused("one entry is damaged")


def _like(name: str, capability: str) -> Gpu:
    return dataclasses.replace(L4, name=name, compute_capability=capability)


@pytest.mark.skipif(find_gpu() is not None, reason="a CUDA device is here")
@pytest.mark.parametrize("name", ["tensorrt", "tensorrt_rtx"])
def test_without_a_gpu(golden: Bundle, name: str) -> None:
    adapter = {"tensorrt": tensorrt, "tensorrt_rtx": tensorrt_rtx}[name]
    with pytest.raises(StillflowError, match=f"on {name}: there is no CUDA device") as caught:
        adapter.open_session(golden.graph_bytes("flow"), "flow", threads=1, device="cuda", arithmetic="f32")
    assert "onnxruntime" in caught.value.fix
    if find_module(name) is not None:
        with pytest.raises(StillflowError, match="no CUDA device"):
            open_session(golden.graph_bytes("flow"), name)


@pytest.mark.skipif(find_gpu() is not None, reason="a CUDA device is here")
def test_loading_without_a_driver_is_an_error_and_no_crash(
    golden: Bundle, library: Library, cache: EngineCache
) -> None:
    _, engine = tensorrt.find_engine(golden.graph_bytes("flow"), "flow", library, L4, cache)
    here: Any = SimpleNamespace(current=nullcontext, gpu=L4, index=0, trim=lambda: None)
    with pytest.raises(StillflowError, match="flow"):
        tensorrt.TensorRTSession(library, engine, "flow", here)


@pytest.fixture
def l4_is_here(monkeypatch: pytest.MonkeyPatch, golden: Bundle, tmp_path: Path) -> list[int]:
    """Let a build and a session believe that the second GPU is an L4; what loads the engine only looks at it."""
    asked: list[int] = []

    def find(index: int = 0) -> Gpu | None:
        asked.append(index)
        return L4 if index == 1 else None

    class Seen:
        engine, fallback, provider, unjudged = "tensorrt_rtx", "", "seen", None

        def __init__(self, library: Library, engine: bytes, name: str, cuda: Any, kernels: Any) -> None:
            graph = golden.graph("flow")
            self.inputs, self.outputs = (
                tuple(TensorSpec(t.name, t.dtype, t.shape) for t in tensors)
                for tensors in (graph.inputs, graph.outputs)
            )
            self.bytes = engine

    monkeypatch.setenv("STILLFLOW_CACHE", str(tmp_path / "cache"))
    for module in ("sessions.tensorrt", "build.rebuild", "build.builder"):
        monkeypatch.setattr(f"stillflow.{module}.find_gpu", find)
    monkeypatch.setattr("stillflow.gpu.shared.shared_device", lambda index: f"GPU {index}")
    monkeypatch.setattr(tensorrt, "TensorRTSession", Seen)
    return asked


def test_a_missing_engine_is_built_by_who_asks_for_it(
    golden: Bundle, library: Library, l4_is_here: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = {"state": "passed", "why": ""}
    monkeypatch.setattr("stillflow.build.builder.run_gate", lambda *_: gate)

    def session(**orders: Any) -> Any:
        return golden.session("flow", "rtx", device="cuda:1", **orders)  # as users call it

    with pytest.raises(NoEngineError, match="no engine of it is in the cache") as missing:
        session()
    line = f"build it: stillflow build {golden.named} --for auto --library tensorrt_rtx --precision fp32"
    assert missing.value.fix == line == missing.value.args[2]
    said: list[str] = []
    made = session(build=Orders(say=said.append))
    (stored,) = EngineCache().stored()
    assert made.bytes == stored.path.read_bytes()
    assert said[0] == "flow fp32 for l4: building"
    assert set(l4_is_here) == {1}
    count = len(said)
    assert session(build=Orders(say=said.append)).bytes == made.bytes
    assert len(said) == count, "it is there now"

    EngineCache().set_gate(stored.key, {"state": "failed", "why": "moves is wrong"})
    with pytest.raises(NoEngineError, match="failed gate C"):
        session(build=Orders(say=said.append))
    assert len(said) == count, "building it again would make the same"
    gate |= {"state": "failed", "why": "moves is wrong"}
    EngineCache().prune(lambda stored: True)
    with pytest.raises(StillflowError, match=r"that tensorrt_rtx has just built: .*moves is wrong"):
        session(build=Orders(say=said.append))


def test_an_engine_that_was_built_elsewhere_is_judged_before_it_is_used(
    golden: Bundle, library: Library, l4_is_here: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime computes in its place, right at first."""
    (built,) = build_engines(golden, load_profile("l4"), library="tensorrt_rtx")
    assert built.gate["state"] == "not run"
    real, wrong, closed = golden.session("flow", "onnxruntime"), [0.0], [0]

    def run(self: object, inputs: Arrays) -> Arrays:
        return {name: value + wrong[0] for name, value in real.run(inputs).items()}

    def close(self: object) -> None:
        closed[0] += 1

    for name, method in (("run", run), ("close", close), ("cuda", SimpleNamespace(index=1))):
        monkeypatch.setattr(tensorrt.TensorRTSession, name, method, raising=False)
    said: list[str] = []

    def session() -> Any:
        return golden.session("flow", "tensorrt_rtx", device="cuda:1", build=Orders(say=said.append))

    cache, key = EngineCache(), built.entry.parts.key
    assert session().unjudged is None
    assert said == [
        "flow fp32: an engine that has not run here before; comparing it with the ONNX file",
    ]
    gate: Any = cache.gate(key)
    assert (gate["state"], gate["receipt"]["engine"]) == ("passed", "tensorrt_rtx")
    session()
    assert len(said) == 1, "it is known now"

    cache.set_gate(key, {"state": "not run", "why": ""})
    wrong[0] = 0.5
    with pytest.raises(NoEngineError, match=r"are not those of the ONNX file: .* is wrong") as caught:
        session()
    assert (caught.value.worth_building, closed) == (False, [1])
    assert (cache.gate(key) or {})["state"] == "failed"
    with pytest.raises(NoEngineError, match="failed gate C"):
        session()


def test_bf16_is_refused() -> None:
    with pytest.raises(StillflowError, match="precision of the file"):
        tensorrt.open_session(b"", "flow", threads=1, device="cuda", arithmetic="bf16")


@pytest.mark.gpu
@pytest.mark.skipif(find_gpu() is None, reason="there is no CUDA device here")
def test_an_engine_gives_the_results_of_its_onnx_file(
    tmp_path: Path, golden: Bundle, inputs: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STILLFLOW_CACHE", str(tmp_path / "cache"))
    profile = profile_for(find_gpu())
    library = next((name for name in profile.libraries if find_module(name)), None)
    if library is None:
        pytest.skip(f"neither of {', '.join(profile.libraries)} is installed")
    if (trouble := Machine(golden).builder(library, 0)) is not None:
        pytest.skip(trouble.why)
    (engine,) = build_engines(golden, profile, library=library, precision="fp32")
    assert engine.gate["state"] == "passed"
    assert engine.entry.inspected == "engine"
    session = golden.session("flow", library, precision="fp32", device="cuda")
    expected = golden.session("flow", "onnxruntime", precision="fp32").run(inputs)
    hold_to(session, inputs, expected, 1e-3)
