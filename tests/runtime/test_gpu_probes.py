# SPDX-License-Identifier: Apache-2.0
"""The doctor's look at GPUs: those that are here, those that are told of, and none."""

from __future__ import annotations

from pathlib import Path

import pytest

from stillflow import gpu_probes
from stillflow.errors import StillflowError
from stillflow.gpu import compiled
from stillflow.gpu.description import find_gpu
from stillflow.gpu.layer import CudaDevice
from stillflow.gpu_probes import try_choice, try_driver, try_gpus, try_nvenc

without_gpu = pytest.mark.skipif(find_gpu() is not None, reason="a CUDA device is here")


def test_gpu_without_a_driver_gets_a_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stillflow.gpu.description._library", lambda: None)
    monkeypatch.setattr("stillflow.gpu.description.nvidia_present", lambda: True)
    found = try_driver()
    assert found.state == "absent" and found.fix and "no driver for it" in found.detail
    monkeypatch.setattr("stillflow.gpu.description.nvidia_present", lambda: False)
    found = try_driver()
    assert (found.state, found.fix) == ("absent", None)
    assert "no NVIDIA GPU" in found.detail


@pytest.mark.parametrize(
    ("knows", "toolkit", "state", "says"),
    [
        ((13, 0), "13.5.0", "ok", "it knows CUDA 13.0; cuda-bindings is 13.5.0"),
        ((13, 0), "12.9.1", "ok", "cuda-bindings is 12.9.1"),
        ((12, 4), "13.5.0", "broken", "it knows CUDA 12.4, which is older than cuda-bindings 13.5.0"),
        ((11, 8), "13.5.0", "broken", "it knows CUDA 11.8, which is older than cuda-bindings 13.5.0"),
        ((12, 4), None, "ok", "cuda-bindings is not installed"),
    ],
)
def test_driver_against_toolkit(
    monkeypatch: pytest.MonkeyPatch, knows: tuple[int, int], toolkit: str | None, state: str, says: str
) -> None:
    monkeypatch.setattr(gpu_probes, "gpu_count", lambda: 1)
    monkeypatch.setattr(gpu_probes, "cuda_version", lambda: knows)
    monkeypatch.setattr(gpu_probes, "_version", lambda distribution: toolkit)
    found = try_driver()
    assert found.state == state and says in found.detail
    assert (found.fix is None) == (state == "ok")
    assert ("[cuda12]" in (found.fix or "")) == (state == "broken" and knows[0] == 12)


@without_gpu
def test_without_a_gpu_a_kernel_is_compiled_and_runs_nowhere() -> None:
    (found,) = try_gpus()
    if gpu_probes._version("cuda-core") is None:
        assert (found.state, found.fix) == ("absent", "pip install 'stillflow[cuda]'")
        return
    assert found.state == "ok"
    assert "compiled one for sm_87" in found.detail and found.detail.endswith(
        "it ran nowhere: no GPU is here"
    )


@without_gpu
def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_probes, "_version", lambda distribution: None)
    (found,) = try_gpus()
    assert (found.state, found.fix) == ("absent", "pip install 'stillflow[cuda]'")
    assert found.detail == "cuda-core and cuda-bindings are not installed"
    monkeypatch.setattr(gpu_probes, "_version", lambda distribution: "1.0")

    def broken(source: Path, architecture: str) -> bytes:
        raise StillflowError("cannot compile probe.cu", "the compiler is damaged", "install it again")

    monkeypatch.setattr(compiled, "compile_source", broken)
    monkeypatch.setattr(gpu_probes.importlib.util, "find_spec", lambda name: name)
    (found,) = try_gpus()
    assert (found.state, found.fix) == ("broken", "install it again")


@without_gpu
def test_without_a_gpu_x264_encodes_and_the_cpu_is_chosen(default_bundle: Path) -> None:
    nvenc = try_nvenc()
    assert (nvenc.state, nvenc.fix) == ("absent", None) and "x264 encodes instead" in nvenc.detail
    chosen = try_choice()
    assert chosen.state == "ok"
    assert chosen.detail.startswith("networks by onnxruntime on cpu at fp32, frames by cpu kernels: ")


@pytest.mark.device
def test_a_kernel_is_compiled_and_runs(
    cuda_device: CudaDevice, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STILLFLOW_CACHE", str(tmp_path))
    assert try_driver().state == "ok"
    found = try_gpus()[0]
    assert found.state == "ok", found
    assert cuda_device.gpu.name in found.detail and "GiB free" in found.detail
    assert f"compiled a kernel for {cuda_device.architecture}, and it ran" in found.detail


@pytest.mark.device
def test_a_gpu_that_counts_wrong_or_does_not_open(
    cuda_device: CudaDevice, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STILLFLOW_CACHE", str(tmp_path))
    monkeypatch.setattr(gpu_probes, "_runs", lambda device: False)
    assert (try_gpus()[0].state, "counted wrong" in try_gpus()[0].detail) == ("broken", True)

    def refused(index: int) -> CudaDevice:
        raise StillflowError("cannot use GPU 0", "its driver is too old", "install a newer driver")

    monkeypatch.setattr("stillflow.gpu_probes.open_device", refused)
    found = try_gpus()[0]
    assert (found.state, found.fix) == ("broken", "install a newer driver")
    assert "its driver is too old" in found.detail
    monkeypatch.setattr(gpu_probes, "_version", lambda distribution: None)
    assert try_gpus()[0].state == "absent"


@pytest.mark.device
@pytest.mark.usefixtures("cuda_device")
def test_the_choice_on_a_gpu(default_bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STILLFLOW_CACHE", str(tmp_path))
    gpu = find_gpu()
    assert gpu is not None
    found = try_choice()
    assert f"frames by cuda kernels on {gpu.name}" in found.detail
    assert (found.state == "ok") == ("networks by onnxruntime on cuda:0" in found.detail)
    assert (found.fix is None) == (found.state == "ok")
