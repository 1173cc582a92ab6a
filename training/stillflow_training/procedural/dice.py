# SPDX-License-Identifier: Apache-2.0
"""Random numbers for scenes: all from one seeded torch.Generator, so that the same state draws the same batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


class Dice:
    """Draws tensors from one generator and brings them to one device."""

    def __init__(self, generator: torch.Generator, device: torch.device | str = "cpu") -> None:
        self.generator = generator
        self.device = torch.device(device)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Uniform numbers of a shape, float32."""
        drawn = torch.rand(shape, generator=self.generator, device=self.generator.device)
        return (low + (high - low) * drawn).to(self.device)

    def log_uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Numbers whose logarithm is uniform: as many between 1 and 2 as between 2 and 4."""
        return torch.exp(self.uniform(math.log(low), math.log(high), *shape))

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers of a shape, float32."""
        drawn = torch.randn(shape, generator=self.generator, device=self.generator.device)
        return drawn.to(self.device)

    def integer(self, low: int, high: int) -> int:
        """One whole number, low <= it < high."""
        return int(torch.randint(low, high, (), generator=self.generator, device=self.generator.device))

    def chance(self, probability: float, *shape: int) -> Tensor:
        """1 with a probability, else 0, float32."""
        return (self.uniform(0, 1, *shape) < probability).float()

    def smooth(self, count: int, channels: int, height: int, width: int, cells: float) -> Tensor:
        """Smooth noise of about unit variance, ``cells`` bumps across the width, (n, c, h, w)."""
        w = max(2, round(cells)) + 3
        h = max(2, round(cells * height / width)) + 3
        coarse = self.normal(count, channels, h, w)
        # Bicubic between normal numbers has a variance of about 0.6: brought back to one.
        fine = functional.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)
        return fine * 1.3
