# SPDX-License-Identifier: Apache-2.0
"""Facts about the machine at hand, its cache and a bundle; a GPU is told of where there is none."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from stillflow.build.adapter import Library, find_module
from stillflow.build.cache import EngineCache
from stillflow.build.entry import Entry, Parts, Target
from stillflow.build.request import Settings
from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow.gpu import compiled
from stillflow.gpu.description import Gpu
from stillflow.sessions import machine
from stillflow.sessions.choice import choose, decide
from stillflow.sessions.machine import Machine
from stillflow.sessions.wish import Wish

ADA = Gpu("NVIDIA L4", "", "8.9", 58, 23034, 49152, 192, 101376, False, True, "580.65.06")
SETTINGS = Settings(
    shapes={},
    workspace_mib=None,
    builder_level=3,
    aux_streams=None,
    version_compatible=False,
    hardware_compatibility="none",
    tf32=False,
    compute_capability="8.9",
)

needs_rtx = pytest.mark.skipif(
    find_module("tensorrt_rtx") is None, reason="TensorRT-RTX is not installed: pip install 'stillflow[rtx]'"
)


@pytest.fixture
def edge(default_bundle: Path) -> Bundle:
    return Bundle.open(default_bundle)


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """One GPU whose kernels run, and an empty cache."""
    monkeypatch.setattr(machine, "find_gpu", lambda index: ADA if index == 0 else None)
    monkeypatch.setattr(Machine, "kernels", lambda self, index: None)
    monkeypatch.setenv("STILLFLOW_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def put(
    cache: EngineCache,
    bundle: Bundle,
    graph: str,
    *,
    state: str = "not run",
    precision: str = "fp16",
    **parts: object,
) -> str:
    """An entry in the cache, as a build would leave it."""
    variant = bundle.graph(graph).at(precision)
    assert variant is not None
    made = Parts(
        onnx_sha256=variant.sha256,
        builder="tensorrt_rtx",
        builder_version=Library.open("tensorrt_rtx").version,
        settings=SETTINGS,
        target=Target(compute_capability="8.9"),
    )
    made = msgspec.structs.replace(made, **parts)
    data = b"engine"
    entry = Entry(
        parts=made,
        engine=f"{graph}.engine",
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        bundle="edge",
        graph=graph,
        precision=precision,
        profile="l4",
        seconds=1.0,
        layers=3,
        inspected="network",
        created="2026-11-25T00:00:00+00:00",
        stillflow="0.1.0",
    )
    with cache.lock(made.key), cache.part(made.key) as part:
        (part / entry.engine).write_bytes(data)
        (part / entry.engine).chmod(0o600)
        cache.commit(part, entry)
    cache.set_gate(made.key, {"state": state, "why": "off by 1"})
    return made.key


def test_a_bundle_told(edge: Bundle) -> None:
    facts = Machine(edge)
    assert facts.held == {"flow": ("fp32", "fp16"), "generator": ("fp32", "fp16")}
    assert Machine(edge, ["flow"]).held == {"flow": ("fp32", "fp16")}
    assert (facts.default_precision, facts.decodes) == ("fp32", False)
    with pytest.raises(StillflowError, match="no graph 'none'"):
        _ = Machine(edge, ["none"]).held


def test_receipts_are_about_the_very_file(edge: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = Machine(edge)
    assert facts.judged("flow", "fp32") and facts.judged("flow", "fp16") and facts.judged("generator", "fp16")
    assert not facts.judged("flow", "int8")
    read = Bundle.read
    for change in ((b'"passed": true', b'"passed": false'), (b'"onnx_sha256": "', b'"onnx_sha256": "0')):
        monkeypatch.setattr(Bundle, "read", lambda self, path, c=change: read(self, path).replace(*c))
        assert not facts.judged("flow", "fp16")
    monkeypatch.setattr(Bundle, "read", lambda self, path: b"[")
    assert not facts.judged("flow", "fp16")
    manifest = msgspec.structs.replace(edge.manifest, receipts=())
    assert not Machine(Bundle(manifest, edge._store)).judged("flow", "fp16")


@needs_rtx
@pytest.mark.parametrize(
    ("state", "parts", "found"),
    [
        ("passed", {}, "fits"),
        ("not run", {}, "fits"),
        ("failed", {}, "failed"),
        ("passed", {"builder_version": "1.0"}, "foreign"),
        ("passed", {"target": Target(compute_capability="12.0")}, "foreign"),
        ("passed", {"target": Target.of(dataclasses.replace(ADA, driver="1"))}, "foreign"),
        ("passed", {"onnx_sha256": "0" * 64}, "none"),
        ("passed", {"builder": "tensorrt"}, "none"),
    ],
)
def test_engines_in_the_cache(
    edge: Bundle, with_gpu: Path, state: str, parts: dict[str, object], found: str
) -> None:
    put(EngineCache(), edge, "flow", state=state, **parts)
    built = Machine(edge).engine("tensorrt_rtx", "flow", "fp16", 0)
    assert built.state == found and built.why
    assert Machine(edge).engine("tensorrt_rtx", "flow", "fp32", 0).state == "none"
    assert Machine(edge).engine("tensorrt_rtx", "flow", "int8", 0).why == "the bundle has no int8 file of it"


@needs_rtx
@pytest.mark.usefixtures("with_gpu")
def test_engines_that_fit_are_chosen(edge: Bundle) -> None:
    put(EngineCache(), edge, "flow", state="passed")
    put(EngineCache(), edge, "generator")
    chosen = choose(edge)
    assert (chosen.engine, chosen.device, chosen.precision, chosen.frames) == (
        "tensorrt_rtx",
        "cuda:0",
        "fp16",
        "cuda:0",
    )
    assert "flow fp16 (gate C passed), generator fp16 (gate C not run)" in "; ".join(chosen.why)


@needs_rtx
@pytest.mark.usefixtures("with_gpu")
def test_what_can_be_built_here_is_asked_of_the_profile(
    edge: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = Machine(edge)
    assert facts.builder("tensorrt_rtx", 0) is None
    if find_module("tensorrt") is None:
        missing = facts.builder("tensorrt", 0)
        assert missing is not None and "not installed" in missing.why
    assert decide(Wish(engine="tensorrt_rtx"), facts).build == ("flow", "generator")
    hopper = dataclasses.replace(ADA, name="NVIDIA H200", compute_capability="9.0")
    monkeypatch.setattr(machine, "find_gpu", lambda index: hopper if index == 0 else None)
    other = Machine(edge).builder("tensorrt_rtx", 0)
    assert other is not None and "does not build for NVIDIA H200" in other.why
    for capability, builds in (("8.9", True), ("6.1", False)):
        unknown = dataclasses.replace(ADA, name="an unknown card", compute_capability=capability)
        monkeypatch.setattr(machine, "find_gpu", lambda index, one=unknown: None if index else one)
        trouble = Machine(edge).builder("tensorrt_rtx", 0)
        assert (trouble is None) == builds
        assert builds or (trouble is not None and "not 6.1" in trouble.why)


def test_packages(edge: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = Machine(edge)
    assert facts.package("onnxruntime") is None
    monkeypatch.setattr("stillflow.build.adapter.find_module", lambda name: None)
    missing = Machine(edge).package("tensorrt")
    assert missing is not None and missing.fix.startswith("pip install tensorrt")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert facts.cpu_engine == "onnxruntime"
    assert facts.package("openvino") is not None


def test_the_wheel_of_onnxruntime(edge: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    trouble = Machine(edge).onnxruntime_cuda()
    assert trouble is not None and "pip uninstall -y onnxruntime" in trouble.fix
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    assert Machine(edge).onnxruntime_cuda() is None

    def broken() -> list[str]:
        raise OSError("libcudart.so.13: cannot open shared object file")

    monkeypatch.setattr(onnxruntime, "get_available_providers", broken)
    trouble = Machine(edge).onnxruntime_cuda()
    assert trouble is not None and "libcudart" in trouble.why


@pytest.mark.device
@pytest.mark.usefixtures("cuda_device")
def test_a_gpu_that_is_too_old_for_the_compiler_is_not_used(
    edge: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = Machine(edge)
    assert facts.kernels(0) is None and set(facts.devices) == {0}
    monkeypatch.setattr(compiled, "too_old", lambda architecture: "the compiler is for newer ones")
    facts = Machine(edge)
    trouble = facts.kernels(0)
    assert trouble is not None and "the compiler is for newer ones" in trouble.why and not facts.devices
    chosen = decide(Wish(), facts)
    assert chosen.frames == "cpu" and any("for newer ones" in line for line in chosen.warnings)


def test_without_a_driver_nothing_of_cuda_is_imported(default_bundle: Path) -> None:
    """In a process of its own, with the driver's library out of sight."""
    program = f"""
import ctypes, sys
def missing(name, *rest, real=ctypes.CDLL):
    if name and "cuda" in name:
        raise OSError(name)
    return real(name, *rest)
ctypes.CDLL = missing
from stillflow.bundle import Bundle
from stillflow.sessions.choice import choose
chosen = choose(Bundle.open({str(default_bundle)!r}))
assert (chosen.engine, chosen.device, chosen.precision, chosen.frames) == ("onnxruntime", "cpu", "fp32", "cpu"), chosen
heavy = {{"cuda", "onnxruntime", "tensorrt", "tensorrt_rtx_bindings"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
