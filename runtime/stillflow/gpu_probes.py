# SPDX-License-Identifier: Apache-2.0
"""What a GPU does on this machine, found by letting it: a kernel runs, a frame is encoded; part of the doctor.

A missing GPU is a finding and no error. Without one a kernel is compiled all the same, and the finding says that it
ran nowhere.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from stillflow.engine_probes import Finding, State
from stillflow.errors import StillflowError
from stillflow.gpu.description import cuda_version, find_gpu, gpu_count, why_no_gpu
from stillflow.gpu.open import for_older_driver, open_device

if TYPE_CHECKING:
    from stillflow.gpu.layer import CudaDevice

PROBE = Path(__file__).parent / "kernels" / "cuda" / "probe.cu"

WITHOUT_A_GPU = "sm_87"
"""What the probe is compiled for where no GPU says what it is: a Jetson Orin."""

PROBE_ITEMS = 1000
"""Not a multiple of a block's threads, so that the last block is a partial one."""

NVENC_SIZE = (640, 360)
"""Of the frame that is encoded; every encoder takes it."""


def try_driver() -> Finding:
    """Ask the NVIDIA driver for the CUDA that it knows, and compare it with the one that kernels are compiled by."""
    name = "NVIDIA driver"
    if gpu_count() == 0:
        why, fix, idle = why_no_gpu()
        broken = idle and "does not start" in why
        return Finding(name, "broken" if broken else "absent", why, fix if idle or broken else None)
    version = cuda_version() or (0, 0)
    knows = f"it knows CUDA {version[0]}.{version[1]}"
    toolkit = _version("cuda-bindings")
    if toolkit is None:
        return Finding(name, "ok", f"{knows}; cuda-bindings is not installed")
    if int(toolkit.split(".")[0]) > version[0]:
        why = f"{knows}, which is older than cuda-bindings {toolkit}"
        return Finding(name, "broken", why, for_older_driver(version[0]))
    return Finding(name, "ok", f"{knows}; cuda-bindings is {toolkit}")


def try_gpus() -> list[Finding]:
    """Open each GPU, and compile a kernel for it and run it there."""
    return [_try_gpu(index) for index in range(gpu_count())] or [_try_compiler()]


def _try_gpu(index: int) -> Finding:
    """One GPU: what it is, the memory that is free, and whether a kernel counts right on it."""
    name, gpu = f"GPU {index}", find_gpu(index)
    if gpu is None:
        return Finding(name, "broken", "the driver counts it and does not describe it", "nvidia-smi")
    what = f"{gpu.name}, compute capability {gpu.compute_capability}, {gpu.memory_mib / 1024:.1f} GiB"
    from stillflow.gpu.compiled import compile_source, known_architecture

    try:
        with closing(open_device(index)) as device:
            free, _ = device.memory()
            what += f", {free / 2**30:.1f} GiB free"
            # What runs may come from the cache.
            compile_source(PROBE, known_architecture(device.architecture))
            right = _runs(device)
            said = f"{device.provider} with {_compiler()}"
    except StillflowError as error:
        # Without the extra that brings the layer nothing is broken: the CPU animates.
        state: State = "broken" if _version("cuda-core") else "absent"
        return Finding(name, state, f"{what}; {error.what}: {error.why}", error.fix)
    if not right:
        fix = "update the driver, and see whether other programs compute right on this GPU"
        return Finding(name, "broken", f"{what}; a kernel ran and counted wrong ({said})", fix)
    return Finding(name, "ok", f"{what}; {said} compiled a kernel for {device.architecture}, and it ran")


def _runs(device: CudaDevice) -> bool:
    """Whether the probe's kernel gives what it should: with all that a frame needs, copies both ways, one stream."""
    import numpy as np

    numbers = np.arange(PROBE_ITEMS, dtype=np.int32)
    back = np.zeros_like(numbers)
    with (
        closing(device.kernels(PROBE)) as kernels,
        closing(device.stream()) as stream,
        closing(device.allocate(numbers.nbytes)) as memory,
    ):
        device.upload(numbers, memory.address, stream)
        address, count = ctypes.c_void_p(memory.address), ctypes.c_int(PROBE_ITEMS)
        kernels.launch("sf_probe", PROBE_ITEMS, stream, address, count)
        device.download(memory.address, back, stream)
        stream.synchronize()
    return bool((back == 3 * numbers + 1).all())


def _try_compiler() -> Finding:
    """Where no GPU is: whether kernels can be compiled."""
    name, fix = "CUDA kernels", "pip install 'stillflow[cuda]'"
    missing = [p for p in ("cuda-core", "cuda-bindings") if _version(p) is None]
    if missing or importlib.util.find_spec("cuda") is None:
        gone = f"{' and '.join(missing) or 'cuda-core'} {'are' if len(missing) > 1 else 'is'}"
        return Finding(name, "absent", f"{gone} not installed", fix)
    from stillflow.gpu.compiled import compile_source

    try:
        size = len(compile_source(PROBE, WITHOUT_A_GPU))
    except StillflowError as error:
        return Finding(name, "broken", f"{error.what}: {error.why}", error.fix)
    by = f"cuda-core {_version('cuda-core')} with {_compiler()}"
    return Finding(
        name, "ok", f"{by} compiled one for {WITHOUT_A_GPU} ({size} bytes); it ran nowhere: no GPU is here"
    )


def _compiler() -> str:
    from stillflow.gpu.compiled import compiler_version

    return compiler_version()


def try_nvenc() -> Finding:
    """Encode a frame on the GPU's own encoder."""
    from stillflow.video.encoders import nvenc_trouble

    why = nvenc_trouble(*NVENC_SIZE)
    if why:
        return Finding("video: NVENC", "absent", f"{why}; x264 encodes instead")
    return Finding("video: NVENC", "ok", "h264_nvenc encoded a frame on GPU 0")


def try_choice() -> Finding:
    """What is chosen here for the default bundle when nothing is said, and why."""
    from stillflow.bundle import Bundle
    from stillflow.sessions.choice import decide
    from stillflow.sessions.machine import Machine
    from stillflow.sessions.wish import Wish

    chosen = decide(Wish(), Machine(Bundle.open(None)))
    detail = (
        f"networks by {chosen.engine} on {chosen.place} at {chosen.precision}, frames by {chosen.painter}: "
        f"{'; '.join(chosen.why)}"
    )
    fixes = [line.rpartition("; to change it: ")[2] for line in chosen.warnings]
    return Finding("choice", "absent" if fixes else "ok", detail, "; ".join(fixes) or None)


def _version(distribution: str) -> str | None:
    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(distribution)
    return None
