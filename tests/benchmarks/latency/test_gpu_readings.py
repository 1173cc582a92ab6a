# SPDX-License-Identifier: Apache-2.0
"""NVML, nvidia-smi and tegrastats as far as they can be tried without a GPU: made-up libraries and lines."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow_bench.latency import gpu_readings
from stillflow_bench.latency.gpu_readings import (
    GpuReader,
    Nvml,
    from_smi,
    from_tegrastats,
    index_of,
    memory_of,
    nvml_of,
    tegrastats,
)

TEGRA = (
    "11-25-2026 10:00:00 RAM 2448/7860MB (lfb 4x4MB) CPU [3%@729,0%@729] GR3D_FREQ 45%@[1300] cpu@48.5C gpu@47.25C "
    "VDD_IN 4887mW/4887mW VDD_CPU_GPU_CV 500mW/500mW"
)


class Library:
    """Stands in for pynvml. Questions that it lacks raise, as a board refuses some."""

    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0

    def nvmlInit(self) -> None:  # noqa: N802
        pass

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        if index > 1:
            raise RuntimeError("no such device")
        return index

    def nvmlDeviceGetName(self, handle: int) -> bytes:  # noqa: N802
        return b"Card"

    def nvmlDeviceGetClockInfo(self, handle: int, kind: int) -> int:  # noqa: N802
        return 1000 * kind

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:  # noqa: N802
        return 2500

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: int) -> int:  # noqa: N802
        return 0x44

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[Any]:  # noqa: N802
        return [
            SimpleNamespace(pid=os.getpid(), usedGpuMemory=3 << 20),
            SimpleNamespace(pid=1, usedGpuMemory=None),
        ]

    def nvmlSystemGetProcessName(self, pid: int) -> str:  # noqa: N802
        return "/opt/secret/other" if pid == 1 else "mine"


def test_what_a_device_tells_and_what_it_refuses() -> None:
    told = Nvml(Library(), 0).read(own=[os.getpid()])
    assert told == {
        "name": "Card",
        "mhz": 1000,
        "memory_mhz": 2000,
        "joules": 2.5,
        "held_back": ["power cap", "temperature (hardware)"],
        "processes": [{"program": "other", "memory_mib": 0}],
    }


def test_processes_that_another_container_numbers_are_nobodys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_readings, "PROC", tmp_path)
    assert "processes" not in Nvml(Library(), 0).read(own=[os.getpid()])
    (tmp_path / "1").mkdir()
    assert len(Nvml(Library(), 0).read(own=[os.getpid()])["processes"]) == 1


def test_memory_of_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Library())  # type: ignore[arg-type]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    nvml_of.cache_clear()
    try:
        assert memory_of(os.getpid(), "cuda") == 3 << 20
        assert memory_of(123456, "cuda:1") == 0
        assert memory_of(os.getpid(), "cuda:7") == 0
        assert GpuReader(0).read()["name"] == "Card"
    finally:
        nvml_of.cache_clear()


def test_no_library_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setattr(gpu_readings.shutil, "which", lambda name: None)
    nvml_of.cache_clear()
    try:
        assert GpuReader().read(thorough=True) == {}
        assert memory_of(os.getpid(), "cuda") == 0
    finally:
        nvml_of.cache_clear()


def test_devices_by_name() -> None:
    assert [index_of(name) for name in ("cuda:3", "cuda", "auto", "cuda:x")] == [3, 0, 0, 0]


def test_nvidia_smi_under_the_same_keys() -> None:
    clocks = {"clocks.sm": "1300", "power.draw": "[N/A]", "memory.used": "2"}
    told = from_smi({"clocks": clocks, "held_back": ["idle"], "processes": []})
    assert told == {"mhz": 1300, "memory_bytes": 2 << 20, "held_back": ["idle"], "processes": []}
    assert from_smi({"missing": "no driver"}) == {}


def test_a_line_of_tegrastats() -> None:
    assert from_tegrastats(TEGRA) == {"utilisation": 45, "mhz": 1300, "celsius": 47.25, "watts": 4.887}


@given(st.text(max_size=80) | st.builds("GR3D_FREQ {}%@{} gpu@{}C".format, st.text(), st.text(), st.text()))
def test_other_lines_raise_nothing(line: str) -> None:
    assert set(from_tegrastats(line)) <= {"utilisation", "mhz", "celsius", "watts"}


def test_tegrastats_is_asked_for_one_line_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "tegrastats"
    program.write_text(f"#!/bin/sh\necho '{TEGRA}'\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert tegrastats()["watts"] == 4.887
    program.write_text("#!/bin/sh\nexit 1\n")
    assert tegrastats() == {}
