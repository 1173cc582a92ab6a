# SPDX-License-Identifier: Apache-2.0
"""Engines tried for real: what runs, what falls back in silence, and what takes its process down."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from stillflow import engine_probes
from stillflow.engine_probes import TINY_NETWORK, Finding


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def test_tiny_network_is_a_relu() -> None:
    session = onnxruntime.InferenceSession(TINY_NETWORK, providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {"x": np.array([-1, 2, -3, 4], np.float32)})
    assert list(result) == [0, 2, 0, 4]


def test_silent_fall_back_to_the_cpu_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = onnxruntime.InferenceSession

    def on_cpu(model: bytes, options: object, providers: list[str]) -> onnxruntime.InferenceSession:
        return real(model, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", on_cpu)
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    finding = by_name(engine_probes.try_onnxruntime())["ONNX Runtime on CUDA"]
    assert finding.state == "broken"
    assert "fell back to CPUExecutionProvider" in finding.detail
    assert not finding.needed


FAKE_TENSORRT = """
import types
__version__ = "9.9"
Logger = lambda level: None
Logger.ERROR = 0
Builder = lambda logger: types.SimpleNamespace(create_network=lambda flags: None)
OnnxParser = lambda network, logger: types.SimpleNamespace(parse=lambda data: {parse})
"""


@pytest.mark.parametrize(
    ("parse", "state", "says"),
    [
        ("len(data) == 63", "ok", "9.9 parses a network"),
        ("False", "broken", "9.9 does not parse a network"),
        ("1 / 0", "broken", "ZeroDivisionError"),
        ("__import__('os').abort()", "broken", "it ended with -6"),
    ],
)
def test_tensorrt_may_even_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parse: str, state: str, says: str
) -> None:
    if importlib.util.find_spec("tensorrt") is not None:
        pytest.skip("a real tensorrt is installed and would be found first")
    (tmp_path / "tensorrt.py").write_text(FAKE_TENSORRT.format(parse=parse))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = by_name(engine_probes.try_tensorrt())["TensorRT"]
    assert found.state == state
    assert says in found.detail
    assert (found.fix is None) == (state == "ok")


def test_every_fix_of_a_broken_wheel_names_it() -> None:
    assert engine_probes.reinstall("PyAV") == "pip install --force-reinstall av"
    assert engine_probes.reinstall("kernels") == "pip install --force-reinstall stillflow"


def test_absent_tensorrt_comes_with_its_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stillflow.build.adapter.find_module", lambda library: None)
    found = by_name(engine_probes.try_tensorrt())
    assert [finding.state for finding in found.values()] == ["absent", "absent"]
    assert str(found["TensorRT"].fix).startswith("pip install tensorrt ")
    assert found["TensorRT-RTX"].fix == "pip install 'stillflow[rtx]'"
    monkeypatch.setattr(engine_probes, "_tensorrt_line", lambda: "sudo apt install tensorrt")
    assert by_name(engine_probes.try_tensorrt())["TensorRT"].fix == "sudo apt install tensorrt"


@pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx_bindings") is None,
    reason="TensorRT-RTX is not installed: pip install 'stillflow[rtx]'",
)
def test_rtx_is_found_without_its_frontend_package() -> None:
    finding = by_name(engine_probes.try_tensorrt())["TensorRT-RTX"]
    assert finding.state == "ok"
    assert "parses a network" in finding.detail


def test_engine_cache_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLFLOW_CACHE", str(tmp_path / "none"))
    finding = engine_probes.try_engine_cache()
    assert finding.state == "ok"
    assert str(tmp_path / "none") in finding.detail
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("where", ["a file", "a file/in it"])
def test_engine_cache_that_keeps_nothing(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("STILLFLOW_CACHE", str(tmp_path / where))
    finding = engine_probes.try_engine_cache()
    assert finding.state == "absent" and f"{tmp_path / 'a file'} is no folder" in finding.detail
    assert finding.fix is not None and "STILLFLOW_CACHE" in finding.fix
