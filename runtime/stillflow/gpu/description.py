# SPDX-License-Identifier: Apache-2.0
"""The GPU at hand, asked for through the driver's own library: what an engine that is built here is tied to."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path

from stillflow.gpu.trouble import fix_of

# CUdevice_attribute of cuda.h
_MULTIPROCESSORS = 16
_INTEGRATED = 18
_ECC = 32
_BUS_BITS = 37
_L2_BYTES = 38
_MAJOR = 75
_MINOR = 76
_SHARED_OPT_IN = 97


@dataclass(frozen=True)
class Gpu:
    """One CUDA device.

    Attributes:
        name: as the driver says it.
        board: what the device tree calls the board, on Jetson; "" elsewhere.
        compute_capability: such as "8.7".
        multiprocessors: their number.
        memory_mib: all of its memory, MiB.
        l2_kib: of second-level cache, KiB.
        bus_bits: width of its memory bus.
        shared_bytes: shared memory that one block may take at most.
        integrated: shares its memory with the CPU.
        ecc: its memory corrects errors, and loses some bandwidth to that.
        driver: version of the kernel driver, or of CUDA in the driver where that is all it says.
    """

    name: str
    board: str
    compute_capability: str
    multiprocessors: int
    memory_mib: int
    l2_kib: int
    bus_bits: int
    shared_bytes: int
    integrated: bool
    ecc: bool
    driver: str


def find_gpu(index: int = 0) -> Gpu | None:
    """Describe a CUDA device; None where there is no driver or no device.

    Args:
        index: as CUDA counts them (CUDA_VISIBLE_DEVICES included).
    """
    cuda = _library()
    if cuda is None:
        return None
    device, memory, version = ctypes.c_int(), ctypes.c_size_t(), ctypes.c_int()
    if cuda.cuInit(0) != 0 or cuda.cuDeviceGet(ctypes.byref(device), index) != 0:
        return None

    def attribute(number: int) -> int:
        value = ctypes.c_int()
        return value.value if cuda.cuDeviceGetAttribute(ctypes.byref(value), number, device) == 0 else 0

    name = ctypes.create_string_buffer(256)
    cuda.cuDeviceGetName(name, len(name), device)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    cuda.cuDriverGetVersion(ctypes.byref(version))
    return Gpu(
        name=name.value.decode(errors="replace"),
        board=_board(),
        compute_capability=f"{attribute(_MAJOR)}.{attribute(_MINOR)}",
        multiprocessors=attribute(_MULTIPROCESSORS),
        memory_mib=memory.value >> 20,
        l2_kib=attribute(_L2_BYTES) >> 10,
        bus_bits=attribute(_BUS_BITS),
        shared_bytes=attribute(_SHARED_OPT_IN),
        integrated=bool(attribute(_INTEGRATED)),
        ecc=bool(attribute(_ECC)),
        driver=_driver() or f"CUDA {version.value // 1000}.{version.value % 1000 // 10}",
    )


def _board() -> str:
    try:
        return Path("/proc/device-tree/model").read_bytes().rstrip(b"\0").decode(errors="replace")
    except OSError:
        return ""


def _driver() -> str:
    """Version of the kernel driver: "580.65.06"; on Jetson the release of its Linux; "" when neither is said."""
    try:
        text = Path("/sys/module/nvidia/version").read_text().strip()
    except OSError:
        text = ""
    if not text:
        try:
            text = Path("/etc/nv_tegra_release").read_text().split("GCID")[0].strip(" #,")
        except OSError:
            return ""
    return text[:100]


def cuda_version() -> tuple[int, int] | None:
    """Version of CUDA that the driver knows, such as (13, 0); None where there is no driver."""
    cuda, version = _library(), ctypes.c_int()
    if cuda is None or cuda.cuDriverGetVersion(ctypes.byref(version)) != 0:
        return None
    return version.value // 1000, version.value % 1000 // 10


_DEVICE_ORDINAL = 9  # CUpointer_attribute of cuda.h


def device_of(address: int) -> int | None:
    """Index of the device that an address of device memory belongs to; None where the driver does not know it."""
    cuda, device = _library(), ctypes.c_int()
    if cuda is None:
        return None
    status = cuda.cuPointerGetAttribute(ctypes.byref(device), _DEVICE_ORDINAL, ctypes.c_uint64(address))
    return device.value if status == 0 else None


def gpu_count() -> int:
    """How many devices the driver shows; 0 without a driver."""
    cuda, count = _library(), ctypes.c_int()
    if cuda is None or cuda.cuInit(0) != 0 or cuda.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def _library() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL("libcuda.so.1" if os.name == "posix" else "nvcuda.dll")
    except OSError:
        return None


_NOT_INITIALIZED = 3  # CUDA_ERROR_NOT_INITIALIZED of cuda.h
_NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE


def why_no_gpu() -> tuple[str, str, bool]:
    """Why `find_gpu` finds none: in plain words, the line that changes it, and whether an NVIDIA GPU lies idle."""
    elsewhere = "run it on a machine with an NVIDIA GPU, or on the CPU: --device cpu"
    cuda = _library()
    if cuda is None:
        if nvidia_present():
            fix = "sudo ubuntu-drivers install   (or the driver from nvidia.com/drivers)"
            return "there is an NVIDIA GPU, and no driver for it", fix, True
        return "there is no NVIDIA driver here, and no NVIDIA GPU", elsewhere, False
    status = cuda.cuInit(0)
    if status in (0, _NO_DEVICE):
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        if hidden is not None:
            fix = "name a GPU in CUDA_VISIBLE_DEVICES, or unset it"
            return f"the NVIDIA driver shows no GPU: CUDA_VISIBLE_DEVICES is '{hidden}'", fix, False
        return "there is an NVIDIA driver, and it finds no GPU", elsewhere, nvidia_present()
    if status == _NOT_INITIALIZED:
        return (
            "this process was forked from one that uses CUDA, which does not survive that (cuInit returned 3)",
            "start processes by spawn: multiprocessing.set_start_method('spawn')",
            True,
        )
    return (
        f"the NVIDIA driver does not start (cuInit returned {status})",
        fix_of(status) or "nvidia-smi   (it says what is wrong)",
        True,
    )


def nvidia_present() -> bool:
    """Whether an NVIDIA GPU is in this machine, driver or not (PCI vendor 10de, or a Jetson)."""
    if Path("/etc/nv_tegra_release").exists() or Path("/dev/nvidiactl").exists():
        return True
    for vendor in Path("/sys/bus/pci/devices").glob("*/vendor"):
        try:
            if vendor.read_text().strip() == "0x10de":
                return True
        except OSError:
            continue
    return False
