# SPDX-License-Identifier: Apache-2.0
"""Takes tensors out of a checkpoint by name and keeps the books: what was used, what was missing, what is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch

from stillflow_export.checkpoints.folding import scale_and_shift, spectral_weight

NOISE = 20
"""Length of the noise vector that published normalisations take; at inference it is all 0."""

COUNTERS = ("num_batches_tracked", "accumulation_counter")
"""Endings of the tensors that count steps of training; the others are weights, and no whole numbers."""


class HasShape(Protocol):
    """A tensor that was not read yet."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sizes."""
        ...


class Taking:
    """The tensors of one network.

    What is wrong is collected, not raised: a message names every tensor that is wrong, not the first.

    Args:
        tensors: by published name, prefixes removed.
        read: reads one. None: names and shapes alone are compared, and what comes back has no memory, so that a
            file cannot ask for a network larger than itself.

    Attributes:
        taken: names asked for so far, whether there or not.
        problems: one phrase each.
    """

    def __init__(
        self, tensors: Mapping[str, HasShape], read: Callable[[HasShape], torch.Tensor] | None
    ) -> None:
        self.tensors = tensors
        self._read = read
        self.taken: set[str] = set()
        self.problems: list[str] = []

    def take(self, name: str, *shape: int) -> torch.Tensor:
        """Return a tensor of that name and shape; zeros, and a problem, where there is none.

        Half-precision tensors come as float32; others in their own dtype.
        """
        self.taken.add(name)
        found = self.tensors.get(name)
        nothing = torch.zeros(shape, device="meta") if self._read is None else torch.zeros(()).expand(shape)
        if found is None:
            self.problems.append(f"{name} is missing")
            return nothing
        if tuple(found.shape) != shape:
            self.problems.append(f"{name} is {_times(found.shape)}, {_times(shape)} was expected")
            return nothing
        if self._read is None:
            return nothing
        value = self._read(found)
        if not value.dtype.is_floating_point and not name.endswith(COUNTERS):
            self.problems.append(f"{name} holds whole numbers ({str(value.dtype).removeprefix('torch.')})")
            return nothing
        if value.dtype not in (torch.float32, torch.float64):
            value = value.float()
        if not bool(torch.isfinite(value).all()):
            self.problems.append(f"{name} holds NaN or infinite values")
            return nothing
        return value

    def plain(self, name: str, *shape: int, bias: bool = True) -> dict[str, torch.Tensor]:
        """A layer as it is: "weight" and, if it has one, "bias"."""
        layer = {"weight": self.take(f"{name}.weight", *shape)}
        if bias:
            layer["bias"] = self.take(f"{name}.bias", shape[0])
        return layer

    def spectral(self, name: str, *shape: int, bias: bool = True) -> dict[str, torch.Tensor]:
        """A layer with spectral norm, folded, float64: "weight" and, if it has one, "bias"."""
        rest = 1
        for size in shape[1:]:
            rest *= size
        before = len(self.problems)
        original = self.take(f"{name}.weight_orig", *shape)
        u, v = self.take(f"{name}.weight_u", shape[0]), self.take(f"{name}.weight_v", rest)
        folded = spectral_weight(original, u, v)
        if self._read and len(self.problems) == before and not bool(torch.isfinite(folded).all()):
            self.problems.append(f"{name}.weight_orig, weight_u and weight_v have the spectral norm 0")
        layer = {"weight": folded}
        if bias:
            layer["bias"] = self.take(f"{name}.bias", shape[0]).double()
        return layer

    def noise_norm(self, name: str, channels: int, stored: str) -> tuple[torch.Tensor, torch.Tensor]:
        """A batch norm with a noise input, at noise 0: scale and shift, float64.

        Args:
            name: of the layer.
            channels: of what it normalises.
            stored: what the part with the statistics is called, "bn" or "pbn".
        """
        # Gain and bias are linear in the noise, without a constant: gone at noise 0, but they must be there.
        for part in ("gain", "bias"):
            self.take(f"{name}.{part}.weight_orig", channels, NOISE)
            self.take(f"{name}.{part}.weight_u", channels)
            self.take(f"{name}.{part}.weight_v", NOISE)
        self.take(f"{name}.{stored}.accumulation_counter", 1)
        mean = self.take(f"{name}.{stored}.stored_mean", channels)
        before = len(self.problems)
        variance = self.take(f"{name}.{stored}.stored_var", channels)
        if self._read and len(self.problems) == before and not bool((variance > 0).all()):
            self.problems.append(
                f"{name}.{stored}.stored_var is not positive: the network was never calibrated"
            )
        return scale_and_shift(mean, variance.clamp(min=0))

    def left(self) -> list[str]:
        """Names that nothing asked for."""
        return sorted(set(self.tensors) - self.taken)


def width_of(tensors: Mapping[str, HasShape], shares: Mapping[str, int], usual: int) -> int:
    """How wide a network is: what most of three tensors say, so that one misshapen is found out.

    Args:
        tensors: by published name.
        shares: of three tensors: first size, as a multiple of the width.
        usual: what a tensor says that is not there.
    """
    told = []
    for name, share in shares.items():
        shape = tensors[name].shape if name in tensors else ()
        told.append(shape[0] // share if shape else usual)
    return max(1, sorted(told)[1])


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a number"
