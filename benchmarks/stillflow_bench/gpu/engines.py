# SPDX-License-Identifier: Apache-2.0
"""Which engines run networks on the GPU at hand."""

from __future__ import annotations

import importlib

from stillflow.sessions import engine_statuses

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
    usable, absent = [], {}
    for name in ON_GPUS:
        status = statuses[name]
        if not status.usable:
            absent[name] = status.why
        elif name == "onnxruntime" and not _onnxruntime_has_cuda():
            absent[name] = "this onnxruntime was built without CUDA; onnxruntime-gpu has it"
        else:
            usable.append(name)
    return tuple(usable), absent


def _onnxruntime_has_cuda() -> bool:
    providers = importlib.import_module("onnxruntime").get_available_providers()
    return "CUDAExecutionProvider" in providers
