# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stillflow.build.adapter import find_module
from stillflow.errors import StillflowError
from stillflow.gpu.description import find_gpu
from stillflow.sessions import cuda_index, engine_statuses, open_session, registry


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def test_statuses_name_every_engine() -> None:
    statuses = {status.name: status for status in engine_statuses()}
    assert list(statuses) == ["onnxruntime", "openvino", "tensorrt", "tensorrt_rtx"]
    assert statuses["onnxruntime"].usable
    assert statuses["onnxruntime"].version
    for status in statuses.values():
        assert status.usable == (not status.why) == (not status.fix)


@pytest.mark.usefixtures("nothing_installed")
def test_engine_that_is_not_installed_comes_with_its_install_line(graph_path: Path) -> None:
    with pytest.raises(StillflowError, match=r"not installed\n.*pip install 'stillflow\[openvino\]'"):
        open_session(graph_path, "openvino")
    with pytest.raises(StillflowError, match=r"onnxruntime is not installed"):
        open_session(graph_path)
    fixes = {status.name: status.fix for status in engine_statuses()}
    assert fixes["onnxruntime"] == "pip install onnxruntime"
    assert fixes["openvino"] == "pip install 'stillflow[openvino]'"
    assert fixes["tensorrt"].startswith("pip install tensorrt ")
    assert fixes["tensorrt_rtx"] == "pip install 'stillflow[rtx]'"


def pretend(folder: Path, name: str, version: str) -> None:
    """Let a folder look as if a wheel had been installed into it."""
    place = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_two_wheels_over_each_other_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("onnxruntime", "onnxruntime-gpu"):
        pretend(tmp_path, name, "1.0")
    monkeypatch.syspath_prepend(tmp_path)
    status = engine_statuses()[0]
    assert not status.usable
    assert "overwrite each other" in status.why
    assert "pip uninstall onnxruntime onnxruntime-gpu" in status.fix


def test_two_wheels_in_different_folders_do_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = engine_statuses()[0]
    for name in ("onnxruntime", "onnxruntime-gpu"):
        if name not in installed():
            pretend(tmp_path, name, "0.1")
    monkeypatch.syspath_prepend(tmp_path)
    assert engine_statuses()[0] == usual


@pytest.mark.usefixtures("nothing_installed")
def test_an_engine_that_is_not_installed_has_no_version() -> None:
    assert registry.engine_version("tensorrt") == ""
    assert registry.engine_version("abacus") == ""


def installed() -> set[str]:
    return {str(one.metadata["Name"]) for one in registry.importlib.metadata.distributions()}


def test_package_that_does_not_import(monkeypatch: pytest.MonkeyPatch, graph_path: Path) -> None:
    def broken(name: str) -> Any:
        raise OSError("libonnx.so: cannot open shared object file")

    monkeypatch.setattr(registry.importlib, "import_module", broken)
    assert "libonnx.so" in engine_statuses()[0].why
    with pytest.raises(StillflowError, match=r"libonnx\.so"):
        open_session(graph_path, "onnxruntime")


def test_unknown_engine_lists_the_known(graph_path: Path) -> None:
    with pytest.raises(StillflowError, match="auto, onnxruntime, openvino, tensorrt, tensorrt_rtx"):
        open_session(graph_path, "abacus")


def test_the_short_name_of_rtx(graph_path: Path) -> None:
    with pytest.raises(StillflowError, match="tensorrt_rtx"):
        open_session(graph_path, "rtx", device="cpu")


@pytest.mark.parametrize("threads", [0, -1, 5000])
def test_senseless_threads(graph_path: Path, threads: int) -> None:
    with pytest.raises(StillflowError, match="threads"):
        open_session(graph_path, threads=threads)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(StillflowError, match=r"none\.onnx.*cannot be read"):
        open_session(tmp_path / "none.onnx")


def test_auto_takes_the_first_installed(graph_path: Path) -> None:
    assert open_session(graph_path, "auto").engine == "onnxruntime"


def test_auto_never_takes_an_engine_that_needs_a_gpu(
    graph_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("onnxruntime", "openvino") else real(name)
    )
    with pytest.raises(StillflowError, match="onnxruntime is not installed"):
        open_session(graph_path, "auto")


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:-1", "cuda:1.5", "cuda:1 ", "CUDA", ""])
def test_devices_that_are_none(graph_path: Path, device: str) -> None:
    with pytest.raises(StillflowError, match="there is no such device"):
        open_session(graph_path, device=device)


def test_devices_by_number() -> None:
    assert [cuda_index(name) for name in ("cpu", "cuda", "cuda:0", "cuda:12")] == [None, 0, 0, 12]


@pytest.mark.parametrize("name", ["tensorrt", "tensorrt_rtx"])
def test_what_needs_a_gpu_does_not_run_on_the_cpu(graph_path: Path, name: str) -> None:
    with pytest.raises(StillflowError, match=f"'{name}' on the CPU: it runs on NVIDIA GPUs only"):
        open_session(graph_path, name, device="cpu")


def test_auto_on_a_gpu_is_onnxruntime(graph_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "stillflow.sessions.onnxruntime.open_session", lambda data, name, **options: seen.append(options)
    )
    device: Any = SimpleNamespace(index=1)
    open_session(graph_path, device="cuda:1", cuda=device, allow_fallback=True)
    open_session(graph_path, "onnxruntime", cuda=device)
    open_session(graph_path, "onnxruntime")
    assert [(one["device"], one["cuda"], one["allow_fallback"]) for one in seen] == [
        ("cuda:1", device, True),
        ("cuda:1", device, False),
        ("cpu", None, False),
    ]
    with pytest.raises(ValueError, match="cuda:0 was asked for, and GPU 1 was passed"):
        open_session(graph_path, "onnxruntime", device="cuda:0", cuda=device)


@pytest.mark.skipif(find_gpu() is not None, reason="a CUDA device is here")
@pytest.mark.parametrize("name", [n for n in ("tensorrt", "tensorrt_rtx") if find_module(n)])
def test_an_engine_without_its_gpu_is_not_usable(name: str) -> None:
    status = next(status for status in engine_statuses() if status.name == name)
    assert not status.usable
    assert status.version
    assert "no CUDA device" in status.why
