# SPDX-License-Identifier: Apache-2.0
"""Which engines run networks on the GPU at hand, and building them.

``python -m stillflow_bench.gpu.engines LIBRARY PRECISION`` builds those of the shipped bundle as ``stillflow build``
does, unless the library builds for other GPUs only: then there is nothing to do here.
"""

from __future__ import annotations

import importlib
import os
import sys

from stillflow.bundle import Bundle
from stillflow.sessions import engine_statuses
from stillflow.sessions.machine import Machine
from stillflow.sessions.wish import TENSORRT
from stillflow_bench.gpu.stage import NOTHING_TO_DO

ON_GPUS = ("tensorrt", "tensorrt_rtx", "onnxruntime")
"""Engines that can, in order of preference."""


def engines_here(device: int) -> tuple[tuple[str, ...], dict[str, str]]:
    """Ask the registry, and ONNX Runtime which devices it was built for.

    Args:
        device: index of the GPU.

    Returns:
        Names in the registry that can be tried on it, and name -> why for the others.
    """
    statuses = {status.name: status for status in engine_statuses()}
    machine = Machine(Bundle.open())
    usable, absent = [], {}
    for name in ON_GPUS:
        status = statuses[name]
        trouble = machine.builder(name, device) if status.usable and name in TENSORRT else None
        if not status.usable:
            absent[name] = status.why
        elif trouble is not None:
            absent[name] = trouble.why
        elif name == "onnxruntime" and not _onnxruntime_has_cuda():
            absent[name] = "this onnxruntime was built without CUDA; onnxruntime-gpu has it"
        else:
            usable.append(name)
    return tuple(usable), absent


def _onnxruntime_has_cuda() -> bool:
    providers = importlib.import_module("onnxruntime").get_available_providers()
    return "CUDAExecutionProvider" in providers


def main() -> int:
    """Build engines for the first GPU, or say why that cannot be."""
    library, precision = sys.argv[1:3]
    trouble = Machine(Bundle.open()).builder(library, 0)
    if trouble is not None:
        sys.stderr.write(f"{trouble.why}\n")
        return NOTHING_TO_DO
    line = [
        "-m",
        "stillflow",
        "build",
        "--for",
        "auto",
        "--library",
        library,
        "--precision",
        precision,
        "--json",
    ]
    os.execv(sys.executable, [sys.executable, *line])


if __name__ == "__main__":
    sys.exit(main())
