# SPDX-License-Identifier: Apache-2.0
"""What users ask for: a device, an engine, a precision, and whether the CPU may help out."""

from __future__ import annotations

from dataclasses import dataclass

from stillflow.errors import StillflowError
from stillflow.sessions.session import AUTO, cuda_index

ENGINES = {
    "auto": "auto",
    "tensorrt": "tensorrt",
    "rtx": "tensorrt_rtx",
    "tensorrt_rtx": "tensorrt_rtx",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
}
"""What may be asked for -> name in the registry."""

PRECISIONS = ("auto", "fp32", "fp16", "int8")

TENSORRT = ("tensorrt", "tensorrt_rtx")
"""Engines that are built for a GPU, the usual one first."""


@dataclass(frozen=True)
class Wish:
    """What was asked for; "auto" leaves it open.

    Attributes:
        device: "auto", "cpu", "cuda" or "cuda:N".
        engine: "auto" or a name in the registry.
        precision: "auto", "fp32", "fp16" or "int8".
        allow_fallback: single nodes, or a whole network, may go to the CPU.
    """

    device: str = "auto"
    engine: str = "auto"
    precision: str = "auto"
    allow_fallback: bool = False

    @classmethod
    def of(
        cls,
        device: str = "auto",
        engine: str = "auto",
        precision: str | None = None,
        allow_fallback: bool = False,
    ) -> Wish:
        """Read words as users write them; None as the precision is "auto".

        Raises:
            StillflowError: one of them means nothing, or they contradict each other.
        """
        if device != AUTO:
            cuda_index(device)  # refuses what is none
        if engine not in ENGINES:
            fix = f"use one of: {', '.join(name for name in ENGINES if name != 'tensorrt_rtx')}"
            raise StillflowError(f"cannot use the engine '{engine}'", "stillflow does not know it", fix)
        if (precision or "auto") not in PRECISIONS:
            fix = f"use one of: {', '.join(PRECISIONS)}"
            raise StillflowError(
                f"cannot run at the precision '{precision}'", "there is no such precision", fix
            )
        wish = cls(device, ENGINES[engine], precision or "auto", allow_fallback)
        if device == "cpu" and wish.engine in TENSORRT:
            fix = "leave --device out, or use the engine onnxruntime"
            raise StillflowError(f"cannot run {engine} on the CPU", "it runs on NVIDIA GPUs only", fix)
        return wish

    @property
    def index(self) -> int | None:
        """Number of the GPU that was named; None: none was."""
        return None if self.device == AUTO else cuda_index(self.device)

    @property
    def strict(self) -> bool:
        """Whether networks on the CPU would not be what was asked for."""
        return not self.allow_fallback and (self.index is not None or self.engine in TENSORRT)
