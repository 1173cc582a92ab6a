# SPDX-License-Identifier: Apache-2.0
"""What this process holds at the moment: memory of its own, open files, threads, and memory of the GPU."""

from __future__ import annotations

import ctypes
import ctypes.util
import gc
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stillflow.errors import StillflowError

DeviceMemory = Callable[[], tuple[int, int]]
"""Bytes of device memory that are free, and all: ``CudaDevice.memory``."""


@dataclass(frozen=True)
class Reading:
    """One look at the process.

    Attributes:
        host: bytes of memory that no file backs, the swapped ones included. What it maps of libraries and photos
            is left out: how much of that is resident is up to the kernel.
        descriptors: open files, sockets and the like.
        threads: of the process, not only Python's.
        device: bytes of device memory in use, by any process; None without a device.
    """

    host: int
    descriptors: int
    threads: int
    device: int | None = None


def read(device_memory: DeviceMemory | None = None) -> Reading:
    """Collect garbage, give free heap back to the system, and look.

    Args:
        device_memory: asks a device.

    Raises:
        StillflowError: the system does not tell.
    """
    gc.collect()
    _trim()
    own = Path("/proc/self")
    try:
        host = _host(own)
        descriptors = len(os.listdir(own / "fd")) - 1  # the listing itself is open meanwhile
        threads = len(os.listdir(own / "task"))
    except (OSError, ValueError) as error:
        raise StillflowError(
            "cannot see what this process holds",
            str(error),
            "run the soak on Linux, with /proc mounted",
        ) from error
    if device_memory is None:
        return Reading(host, descriptors, threads)
    free, whole = device_memory()
    return Reading(host, descriptors, threads, whole - free)


def _host(own: Path) -> int:
    """Memory of this process that no file backs: its share of shared pages, and what is swapped out."""
    try:
        told, wanted = (
            (own / "smaps_rollup").read_text(encoding="ascii"),
            ("Pss_Anon", "Pss_Shmem", "SwapPss"),
        )
    except OSError:
        told = ""
    if "Pss_Anon" not in told:  # kernels before 5.9, and sandboxes
        told, wanted = (own / "status").read_text(encoding="ascii"), ("RssAnon", "RssShmem", "VmSwap")
    sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB$", told, re.MULTILINE))
    if wanted[0] not in sizes:
        raise ValueError(f"the kernel does not say {wanted[0]}")
    return sum(int(sizes.get(name, 0)) for name in wanted) * 1024


def _trim() -> None:
    """Let glibc give back what is free; other C libraries keep little or cannot be asked."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim.argtypes = (ctypes.c_size_t,)
        trim(0)


def python_threads() -> list[str]:
    """Names of Python's threads: which ones stayed, when their number grows."""
    return sorted(thread.name for thread in threading.enumerate())
