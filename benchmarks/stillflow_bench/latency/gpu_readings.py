# SPDX-License-Identifier: Apache-2.0
"""What a GPU tells of itself while it is measured: NVML where it is, else nvidia-smi; tegrastats on a Jetson besides.

Nothing here raises, and what is not known is left out. The keys: ``name``, ``driver``, ``mhz``, ``memory_mhz``,
``celsius``, ``watts``, ``watts_limit``, ``joules`` (a counter), ``memory_bytes`` (used), ``memory_total``,
``utilisation`` (%), ``held_back`` (reasons in words) and ``processes`` (other programs: ``program``, ``memory_mib``).
"""

from __future__ import annotations

import functools
import re
import selectors
import shutil
import subprocess
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from stillflow_bench.gpu.surroundings import held_back, smi_index, surroundings

TEGRASTATS = "tegrastats"

PROC = Path("/proc")

_PATIENCE = 3.0
"""Seconds that tegrastats may take for its first line; it writes one every 0.2 s."""

_SMI = {
    "clocks.sm": ("mhz", 1.0),
    "clocks.mem": ("memory_mhz", 1.0),
    "temperature.gpu": ("celsius", 1.0),
    "power.draw": ("watts", 1.0),
    "power.limit": ("watts_limit", 1.0),
    "utilization.gpu": ("utilisation", 1.0),
    "memory.used": ("memory_bytes", float(2**20)),
}
"""Field of nvidia-smi -> (key, what it is multiplied with)."""


class GpuReader:
    """One GPU, looked at again and again.

    Args:
        index: of the GPU, as CUDA counts them.
    """

    def __init__(self, index: int = 0) -> None:
        self._index = index
        self._nvml = nvml_of(index)

    def read(self, own: Collection[int] = (), *, thorough: bool = False) -> dict[str, Any]:
        """Look once; nothing where there is no GPU.

        Args:
            own: processes that are not counted as others.
            thorough: also start programs, which take up to a second, where NVML does not tell.
        """
        told: dict[str, Any] = {}
        if thorough:
            told |= tegrastats()
        if self._nvml is not None:
            told |= self._nvml.read(own)
        elif thorough and shutil.which("nvidia-smi"):
            told |= from_smi(surroundings(self._index))
        return told


class Nvml:
    """NVML's handle of one GPU.

    Args:
        library: the module pynvml.
        handle: of the device.
    """

    def __init__(self, library: Any, handle: Any) -> None:
        self._library = library
        self._handle = handle

    def read(self, own: Collection[int] = ()) -> dict[str, Any]:
        """All that the device tells; see the module for the keys."""
        library, handle = self._library, self._handle
        asked: Mapping[str, Callable[[], Any]] = {
            "name": lambda: _words(library.nvmlDeviceGetName(handle)),
            "driver": lambda: _words(library.nvmlSystemGetDriverVersion()),
            "mhz": lambda: library.nvmlDeviceGetClockInfo(handle, library.NVML_CLOCK_SM),
            "memory_mhz": lambda: library.nvmlDeviceGetClockInfo(handle, library.NVML_CLOCK_MEM),
            "celsius": lambda: library.nvmlDeviceGetTemperature(handle, library.NVML_TEMPERATURE_GPU),
            "watts": lambda: library.nvmlDeviceGetPowerUsage(handle) / 1e3,
            "watts_limit": lambda: library.nvmlDeviceGetEnforcedPowerLimit(handle) / 1e3,
            "joules": lambda: library.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3,
            "memory_bytes": lambda: int(library.nvmlDeviceGetMemoryInfo(handle).used),
            "memory_total": lambda: int(library.nvmlDeviceGetMemoryInfo(handle).total),
            "utilisation": lambda: library.nvmlDeviceGetUtilizationRates(handle).gpu,
            "held_back": lambda: held_back(hex(self._reasons())),
            "processes": lambda: self._others(own),
        }
        told = {}
        for key, ask in asked.items():
            # NVML's errors are classes made at run time; a board may refuse any of these questions.
            try:
                told[key] = ask()
            except Exception:
                continue
        return told

    def processes(self) -> dict[int, int]:
        """Process -> bytes of device memory that it holds, of those that compute."""
        running = self._library.nvmlDeviceGetComputeRunningProcesses(self._handle)
        return {int(one.pid): int(one.usedGpuMemory or 0) for one in running}

    def _others(self, own: Collection[int]) -> list[dict[str, Any]]:
        """Other programs that compute.

        Raises:
            LookupError: NVML numbers processes as another container does, so that nobody can tell whose they are.
        """
        running = self.processes()
        if any(pid not in own and not (PROC / str(pid)).exists() for pid in running):
            raise LookupError("processes of another numbering")
        return [
            {"program": self._program(pid), "memory_mib": round(memory / 2**20)}
            for pid, memory in running.items()
            if pid not in own
        ]

    def _reasons(self) -> int:
        library = self._library
        newer = getattr(library, "nvmlDeviceGetCurrentClocksEventReasons", None)
        return int((newer or library.nvmlDeviceGetCurrentClocksThrottleReasons)(self._handle))

    def _program(self, pid: int) -> str:
        try:
            return (
                _words(self._library.nvmlSystemGetProcessName(pid)).replace("\\", "/").rsplit("/", 1)[-1][:80]
            )
        except Exception:
            return "unknown"


@functools.cache
def nvml_of(index: int) -> Nvml | None:
    """Open NVML for a GPU; None where the package, the driver or the device is not there.

    It stays open as long as the process does.

    Args:
        index: of the GPU, as CUDA counts them.
    """
    number = smi_index(index)
    if number is None:
        return None
    try:
        import pynvml

        pynvml.nvmlInit()
        by_number = number.isdecimal()
        find = pynvml.nvmlDeviceGetHandleByIndex if by_number else pynvml.nvmlDeviceGetHandleByUUID
        return Nvml(pynvml, find(int(number) if by_number else number.encode()))
    except Exception:  # its error classes are there only once it is imported
        return None


def index_of(device: str) -> int:
    """CUDA's number in a name such as "cuda:1"; 0 where it names none."""
    found = re.fullmatch(r"cuda:(\d{1,3})", device)
    return int(found[1]) if found else 0


def memory_of(pid: int, device: str) -> int:
    """Bytes of device memory that a process holds; 0: none, or not known.

    Args:
        pid: of the process. In a container NVML may know it by another number: then it is not known.
        device: "cuda", "cuda:1".
    """
    nvml = nvml_of(index_of(device))
    try:
        return nvml.processes().get(pid, 0) if nvml else 0
    except Exception:  # as in Nvml.read
        return 0


def from_smi(told: Mapping[str, Any]) -> dict[str, Any]:
    """What ``surroundings`` returns, under the keys of this module."""
    if "missing" in told:
        return {}
    found: dict[str, Any] = {}
    for field, (key, factor) in _SMI.items():
        try:
            found[key] = float(told["clocks"][field]) * factor
        except (KeyError, ValueError):  # "[N/A]"
            continue
    return {**found, "held_back": told["held_back"], "processes": told["processes"]}


def tegrastats() -> dict[str, Any]:
    """One line of tegrastats, under the keys of this module; nothing where there is no such program."""
    program = shutil.which(TEGRASTATS)
    if program is None:
        return {}
    try:
        process = subprocess.Popen(
            [program, "--interval", "200"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
        )
    except OSError:
        return {}
    with process:
        try:
            assert process.stdout is not None
            with selectors.DefaultSelector() as selector:
                selector.register(process.stdout, selectors.EVENT_READ)
                line = process.stdout.read(4096) if selector.select(_PATIENCE) else b""
        finally:
            process.kill()
    return from_tegrastats((line or b"").decode("ascii", "replace"))


def from_tegrastats(line: str) -> dict[str, Any]:
    """Read a line of tegrastats.

    Args:
        line: such as "... GR3D_FREQ 45%@[1300] ... gpu@47.5C ... VDD_IN 4887mW/4887mW".
    """
    patterns = {
        "utilisation": r"\bGR3D_FREQ (\d{1,3})%",
        "mhz": r"\bGR3D_FREQ \d{1,3}%@\[?(\d{1,5})",
        "celsius": r"\bgpu@(-?\d{1,3}(?:\.\d{1,3})?)C",
        "watts": r"\b(?:VDD_IN|VIN_SYS_5V0|POM_5V_IN) (\d{1,7})(?:mW)?/",
    }
    found = {key: re.search(pattern, line, re.IGNORECASE) for key, pattern in patterns.items()}
    told = {key: float(match[1]) for key, match in found.items() if match}
    if "watts" in told:
        told["watts"] /= 1000
    return told


def _words(text: str | bytes) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
