# SPDX-License-Identifier: Apache-2.0
"""Where PyTorch computes for a subject, and in which arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stillflow.errors import StillflowError
from stillflow.sessions.session import AUTO, cuda_index
from stillflow_bench.latency.subject import Subject

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class TorchPlace:
    """A place.

    Attributes:
        device: "cpu" or "cuda:N".
        name: of the device, in words.
        dtype: of weights and activations.
        precision: its name, "fp32" or "fp16".
    """

    device: str
    name: str
    dtype: torch.dtype
    precision: str


def torch_place(subject: Subject, peer: str) -> TorchPlace:
    """Say where a peer on PyTorch computes.

    float32 is what PyTorch computes in where nothing is said; on a GPU its convolutions then use TF32, which is its
    default and left as it is. float16 is for GPUs only: CPUs are slower in it.

    Args:
        subject: that is measured.
        peer: for messages.

    Raises:
        StillflowError: PyTorch has no such device, or does not compute in that precision there.
    """
    import torch

    device = subject.device
    if device == AUTO:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    index = cuda_index(device)
    if index is not None and index >= torch.cuda.device_count():
        raise StillflowError(
            f"cannot measure {peer} on cuda:{index}",
            f"torch {torch.__version__} sees {torch.cuda.device_count()} CUDA devices",
            "use the device cpu, or install the torch that is built for CUDA",
        )
    halves = subject.precision == "fp16"
    if subject.precision == "int8" or (halves and index is None):
        raise StillflowError(
            f"cannot measure {peer} in {subject.precision}",
            "it computes in fp32 on CPUs, and in fp32 or fp16 on GPUs",
            "use precision=fp32",
        )
    return TorchPlace(
        device="cpu" if index is None else f"cuda:{index}",
        name="CPU" if index is None else torch.cuda.get_device_name(index),
        dtype=torch.float16 if halves else torch.float32,
        precision="fp16" if halves else "fp32",
    )
