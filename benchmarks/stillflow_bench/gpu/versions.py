# SPDX-License-Identifier: Apache-2.0
"""Versions of what a figure on a GPU can depend on. Standard library only."""

from __future__ import annotations

import importlib.metadata

PACKAGES = (
    "stillflow",
    "numpy",
    "cuda-core",
    "cuda-bindings",
    "nvidia-cuda-nvrtc",
    "pycuda",
    "onnxruntime",
    "onnxruntime-gpu",
    "tensorrt",
    "tensorrt_rtx_cu13_bindings",
    "nvidia-cudnn-cu13",
    "torch",
    "av",
)
"""Distributions."""


def gpu_versions() -> dict[str, str]:
    """Distribution -> version, of those that are there."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
