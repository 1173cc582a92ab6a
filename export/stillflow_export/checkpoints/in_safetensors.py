# SPDX-License-Identifier: Apache-2.0
"""A safetensors file as a checkpoint: its own reader checks lengths and offsets."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from stillflow_export.checkpoints.pickle_machine import RefusedError

FAILURES = (SafetensorError, OSError, ValueError, RuntimeError, TypeError, KeyError)
"""What the reader raises on damaged files."""


class SafetensorsTensor:
    """A tensor that was not read yet."""

    def __init__(self, path: Path, name: str, shape: tuple[int, ...]) -> None:
        self._path = path
        self._name = name
        self.shape = shape

    def read(self) -> torch.Tensor:
        """Return the tensor, on the CPU, in memory of its own.

        Raises:
            RefusedError: it is damaged.
        """
        try:
            with safe_open(self._path, framework="pt") as file:
                found: torch.Tensor = file.get_tensor(self._name)
                return found.clone()
        except FAILURES as error:
            reason = str(error)[:160]
            raise RefusedError(f"its tensor {self._name[:100]} cannot be read ({reason})") from error


def open_safetensors(path: Path) -> dict[str, SafetensorsTensor]:
    """List the tensors of a file by name.

    Raises:
        RefusedError: it is no sound safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            shapes = [tuple(file.get_slice(name).get_shape()) for name in names]
    except FAILURES as error:
        raise RefusedError(f"it is no sound safetensors file ({str(error)[:160]})") from error
    return {name: SafetensorsTensor(path, name, shape) for name, shape in zip(names, shapes, strict=True)}
