# SPDX-License-Identifier: Apache-2.0
"""How much is measured, and at which sizes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stillflow.gpu.layer import CudaDevice
from stillflow_bench.photos import SIZES

TINY = {"720p": (128, 72), "1080p": (96, 64), "4K": (160, 96)}
"""Sizes at which a run only shows that it runs."""


def brought_generator() -> Path | None:
    """The generator that a pack brought, named by STILLFLOW_GENERATOR; None where there is none."""
    path = Path(os.environ.get("STILLFLOW_GENERATOR", ""))
    return path if path.is_file() else None


@dataclass(frozen=True)
class Plan:
    """What a run of the suite "gpu" does.

    Attributes:
        device: index of the GPU.
        repeats: samples of a figure.
        warm_up: samples before those.
        tiny: small pictures: the figures mean nothing.
        bundle: of the networks; None: the shipped one.
        imported: a bundle of an imported generator; None: it is made, which takes the ONNX tools.
    """

    device: int = 0
    repeats: int = 30
    warm_up: int = 5
    tiny: bool = False
    bundle: str | None = None
    imported: Path | None = field(default_factory=brought_generator)

    def size(self, name: str) -> tuple[int, int]:
        """(Width, height) of "720p", "1080p" or "4K"."""
        return TINY[name] if self.tiny else SIZES[name]

    def shown(self, name: str) -> str:
        """A size for a person."""
        width, height = self.size(name)
        return f"{width}x{height}"

    def about(self, device: CudaDevice) -> Mapping[str, Any]:
        """Parameters of every row."""
        told = {"gpu": device.gpu.name, "provider": device.provider}
        return {**told, "tiny": True} if self.tiny else told


def tiny_plan(plan: Plan) -> Plan:
    """The same as small as it goes."""
    return replace(plan, repeats=2, warm_up=1, tiny=True)
