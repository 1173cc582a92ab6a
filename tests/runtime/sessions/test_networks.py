# SPDX-License-Identifier: Apache-2.0
"""Networks loaded where they were chosen to run: once for all threads, and never on the CPU in silence."""

from __future__ import annotations

import threading
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow.gpu.description import Gpu
from stillflow.gpu.trouble import LostDeviceError, OutOfMemoryError
from stillflow.sessions import machine
from stillflow.sessions.facts import Built, Trouble
from stillflow.sessions.machine import Machine
from stillflow.sessions.networks import Networks
from stillflow.sessions.wish import Wish

ADA = Gpu("NVIDIA L4", "", "8.9", 58, 23034, 49152, 192, 101376, False, True, "580.65.06")


@pytest.fixture
def edge(default_bundle: Path) -> Bundle:
    return Bundle.open(default_bundle)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """A GPU that is told of, with engines of TensorRT and the wheel for CUDA; what is opened there is listed.

    ``refusals``: engine and device -> what `Bundle.session` raises; what runs on the CPU is real. ``whole``: sessions
    went to the CPU by themselves, for the reason in ``fallback``.
    """
    told = SimpleNamespace(opened=[], refusals={}, fallback="", whole=False, device=SimpleNamespace(index=0))
    monkeypatch.setattr(machine, "find_gpu", lambda index: ADA if index == 0 else None)
    monkeypatch.setattr(Machine, "kernels", lambda self, index: self.devices.update({index: told.device}))
    monkeypatch.setattr(Machine, "package", lambda self, engine: None)
    monkeypatch.setattr(Machine, "builder", lambda self, engine, index: None)
    monkeypatch.setattr(Machine, "onnxruntime_cuda", lambda self: None)
    monkeypatch.setattr(Machine, "engine", lambda self, *of: Built("fits", "gate C passed"))
    real = Bundle.session

    def session(self: Bundle, graph: str, engine: str, **how: Any) -> Any:
        told.opened.append((graph, engine, how["device"], how["precision"]))
        error = told.refusals.get((engine, how["device"]))
        if error is not None:
            raise error
        if how["device"] == "cpu":
            return real(self, graph, engine, **how)
        found = {"engine": engine, "provider": f"{engine} here", "fallback": told.fallback}
        return SimpleNamespace(**found) if told.whole else SimpleNamespace(**found, cuda=told.device)

    monkeypatch.setattr(Bundle, "session", session)
    return told


def refused(what: str) -> StillflowError:
    return StillflowError(what, "a library is missing", "install it")


def test_nothing_is_loaded_before_it_is_needed(edge: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "held", property(lambda self: pytest.fail("looked at the bundle")))
    networks = Networks(edge, Wish("cpu"))
    assert networks.sessions == {} and networks.warnings == ()


def test_threads_share_one_session(edge: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    real, opened, sessions = Bundle.session, [], []
    begin = threading.Barrier(4)

    def counted(self: Bundle, graph: str, *words: Any, **how: Any) -> Any:
        opened.append(graph)
        return real(self, graph, *words, **how)

    monkeypatch.setattr(Bundle, "session", counted)
    networks = Networks(edge, Wish("cpu"))

    def ask() -> None:
        begin.wait()
        sessions.append((networks.session("flow"), networks.choice, networks.ran()["engine"]))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == ["flow"]
    assert len(sessions) == 4 and len({id(session) for session, _, _ in sessions}) == 1
    assert len({id(choice) for _, choice, _ in sessions}) == 1


def test_what_ran_on_the_cpu(edge: Bundle) -> None:
    networks = Networks(edge, Wish("cpu", "openvino", "fp16"))
    networks.session("flow")
    assert networks.ran() == {
        "engine": "openvino",
        "provider": "CPU f32",
        "device": "cpu",
        "precision": "fp16",
        "frames": "cpu kernels",
        "why": "the device cpu was asked for",
    }
    assert networks.device is None and networks.on_gpu(lambda device: 1, []) is None


def test_what_ran_on_a_gpu(edge: Bundle, gpu: SimpleNamespace) -> None:
    networks = Networks(edge, Wish())
    networks.session("flow")
    networks.session("generator")
    found = networks.ran()
    assert (found["engine"], found["provider"]) == ("tensorrt", "tensorrt here")
    assert (found["device"], found["precision"]) == ("cuda:0 (NVIDIA L4)", "fp16")
    assert found["frames"] == "cuda kernels on NVIDIA L4" and "fallback" not in found
    assert networks.device is gpu.device and networks.warnings == ()
    assert networks.on_gpu(lambda device: device, []) is gpu.device


def test_a_network_that_does_not_load_goes_on_to_the_next_way_and_says_so(
    edge: Bundle, gpu: SimpleNamespace
) -> None:
    gpu.refusals = {("tensorrt", "cuda:0"): refused("cannot load the engine")}
    networks = Networks(edge, Wish())
    assert networks.session("flow").engine == "onnxruntime"
    assert gpu.opened == [("flow", "tensorrt", "cuda:0", "fp16"), ("flow", "onnxruntime", "cuda:0", "fp16")]
    (line,) = networks.warnings
    assert line.startswith("flow runs on onnxruntime on cuda:0: cannot load the engine: a library is missing")
    assert "to change it: install it" in line
    assert networks.ran()["fallback"] == line
    networks.close()
    gpu.refusals = {}
    assert networks.session("flow").engine == "tensorrt"
    assert networks.warnings == () and "fallback" not in networks.ran()


def test_the_last_way_is_the_cpu(edge: Bundle, gpu: SimpleNamespace) -> None:
    gpu.refusals = {
        ("tensorrt", "cuda:0"): OutOfMemoryError("the GPU is full", "no memory", "free some"),
        ("onnxruntime", "cuda:0"): refused("no cuDNN"),
    }
    networks = Networks(edge, Wish())
    networks.session("flow")
    assert [way[1:] for way in gpu.opened] == [
        ("tensorrt", "cuda:0", "fp16"),
        ("onnxruntime", "cuda:0", "fp16"),
        ("onnxruntime", "cpu", "fp32"),
    ]
    gpu.refusals = {}
    networks.session("generator")
    found = networks.ran()
    assert found["engine"] == "flow: onnxruntime, generator: tensorrt"
    assert found["device"] == "flow: cpu, generator: cuda:0 (NVIDIA L4)"
    assert found["precision"] == "flow: fp32, generator: fp16"
    assert "flow runs on onnxruntime on the CPU: the GPU is full" in found["fallback"]


@pytest.mark.parametrize("wish", [Wish("cuda"), Wish(engine="tensorrt"), Wish("cuda:0", "tensorrt", "fp16")])
def test_what_was_asked_for_is_not_replaced(edge: Bundle, gpu: SimpleNamespace, wish: Wish) -> None:
    gpu.refusals = {("tensorrt", "cuda:0"): refused("cannot load the engine")}
    with pytest.raises(StillflowError, match="cannot load the engine"):
        Networks(edge, wish).session("flow")
    allowed = Networks(edge, Wish(wish.device, wish.engine, wish.precision, allow_fallback=True))
    assert allowed.session("flow").engine == "onnxruntime"
    assert allowed.warnings


def test_a_lost_device_is_the_end(edge: Bundle, gpu: SimpleNamespace) -> None:
    gpu.refusals = {("tensorrt", "cuda:0"): LostDeviceError("the GPU is gone", "an error", "start again")}
    networks = Networks(edge, Wish(allow_fallback=True))
    with pytest.raises(LostDeviceError):
        networks.session("flow")

    def lost(device: object) -> object:
        raise LostDeviceError("the GPU is gone", "an error", "start again")

    with pytest.raises(LostDeviceError):
        networks.on_gpu(lost, [])


def test_nodes_on_the_cpu_are_told(edge: Bundle, gpu: SimpleNamespace) -> None:
    gpu.fallback = "2 of 80 nodes run on the CPU: Resize, Pad"
    networks = Networks(edge, Wish(engine="onnxruntime", allow_fallback=True))
    networks.session("flow")
    assert networks.warnings == ("flow: 2 of 80 nodes run on the CPU: Resize, Pad",)
    assert "2 of 80" in networks.ran()["fallback"]


def test_a_whole_network_on_the_cpu_is_told(edge: Bundle, gpu: SimpleNamespace) -> None:
    gpu.fallback, gpu.whole = "the whole graph runs on the CPU: libcudnn.so.9 is missing", True
    networks = Networks(edge, Wish("cuda", "onnxruntime", allow_fallback=True))
    networks.session("flow")
    assert networks.ran()["device"] == "cpu"
    assert "libcudnn" in networks.ran()["fallback"] and "libcudnn" in networks.warnings[0]


def test_frames_that_do_not_fit_the_gpu(edge: Bundle, gpu: SimpleNamespace) -> None:
    def full(device: object) -> object:
        raise OutOfMemoryError("the GPU is full", "no memory", "make the picture smaller")

    networks, told = Networks(edge, Wish()), []
    assert networks.on_gpu(full, told) is None
    assert told == [
        "frames are made on the CPU: the GPU is full: no memory; to change it: make the picture smaller"
    ]
    assert networks.warnings == ()  # the next photo may be smaller
    found = networks.ran("cpu kernels", told)
    assert (found["frames"], found["fallback"]) == ("cpu kernels", told[0])
    with pytest.raises(OutOfMemoryError):
        Networks(edge, Wish("cuda")).on_gpu(full, [])


def test_a_missing_engine_is_built_where_it_was_asked_for(
    edge: Bundle, gpu: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: list[object] = []
    monkeypatch.setattr(
        Bundle,
        "session",
        lambda self, graph, engine, **how: orders.append(how["build"]) or SimpleNamespace(fallback=""),
    )
    mine = object()
    Networks(edge, Wish(engine="tensorrt"), lambda: mine).session("flow")  # type: ignore[arg-type,return-value]
    Networks(edge, Wish(engine="tensorrt")).session("flow")
    Networks(edge, Wish()).session("flow")
    assert orders[0] is mine and orders[1] is not None and orders[2] is None


def test_no_networks_on_the_gpu_is_a_warning(
    edge: Bundle, gpu: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Machine, "engine", lambda self, *of: Built())
    monkeypatch.setattr(Machine, "onnxruntime_cuda", lambda self: Trouble("the wheel is for CPUs", "another"))
    networks = Networks(edge, Wish())
    networks.session("flow")
    assert gpu.opened == [("flow", "onnxruntime", "cpu", "fp32")]
    assert len(networks.warnings) == 1 and "the networks run on the CPU" in networks.warnings[0]
    assert "fallback" not in networks.ran() and "the networks run on the CPU" in networks.ran()["why"]


def test_closed_networks_are_loaded_anew(edge: Bundle) -> None:
    networks = Networks(edge, Wish("cpu"))
    first = networks.session("flow")
    networks.close()
    networks.close()
    assert networks.sessions == {} and networks.session("flow") is not first
    assert first.inputs[0].name == "photo", "who holds one has it still"
    gone = weakref.ref(first)
    del first
    assert gone() is None
