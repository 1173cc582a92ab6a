# SPDX-License-Identifier: Apache-2.0
"""The generator network: what the motion uncovers, and how far to trust it.

It runs once a photo at field size. All it returns is a correction of the closed form (the mean of the plate,
all of its texture, the given confidence), so that an untrained network is its own baseline.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from stillflow_export.networks.blocks import Residual, conv_block

WIDTHS = (24, 32, 48, 64, 80)
"""Channels at 1/1, 1/2, 1/4, 1/8 and 1/16 of the field."""


class GeneratorNetwork(nn.Module):
    """Field of nine planes to plate colours, texture and trust, at the same size."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_block(9, WIDTHS[0])
        self.down = nn.ModuleList(
            nn.Sequential(conv_block(a, b, stride=2), Residual(b))
            for a, b in zip(WIDTHS, WIDTHS[1:], strict=False)
        )
        self.context = nn.Sequential(Residual(WIDTHS[-1], dilation=2), Residual(WIDTHS[-1]))
        self.lateral = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in zip(WIDTHS, WIDTHS[1:], strict=False))
        self.up = nn.ModuleList(Residual(a) for a in WIDTHS[:-1])
        self.heads = nn.Conv2d(WIDTHS[0], 5, 3, padding=1)
        nn.init.zeros_(self.heads.weight)
        assert self.heads.bias is not None
        nn.init.zeros_(self.heads.bias)

    def forward(self, field: Tensor) -> tuple[Tensor, Tensor]:
        """Run the network.

        Args:
            field: (n, 9, h, w), laid out by ``stillflow.generator.generator_field``; h and w multiples of 32.

        Returns:
            plate (n, 3, h, w) colours 0..1; trust (n, 2, h, w): the share of the plate's texture to keep, 0..1,
            and what to add to the confidence.
        """
        x = self.stem(field - 0.5)
        skips = []
        for stage in self.down:
            skips.append(x)
            x = stage(x)
        x = self.context(x)
        for lateral, up, skip in zip(reversed(self.lateral), reversed(self.up), reversed(skips), strict=True):
            x = up(skip + nn.functional.interpolate(lateral(x), scale_factor=2.0, mode="nearest"))
        out = self.heads(x)
        colours, known = field[:, 0:3], field[:, 3:4]
        # Two boxes of 5x5, as stillflow.generator.plate_mean: the network moves the mean, not the texture.
        mean = _box(_box(colours))
        plate = torch.clamp(mean + out[:, 0:3] * (1.0 - known), 0.0, 1.0)
        texture = torch.clamp(1.0 + out[:, 3:4], 0.0, 1.0)
        return plate, torch.cat([texture, out[:, 4:5]], 1)


def _box(x: Tensor) -> Tensor:
    return nn.functional.avg_pool2d(x, 5, 1, 2, count_include_pad=False)


def build_generator_network() -> GeneratorNetwork:
    """Return an untrained generator network: it changes nothing."""
    return GeneratorNetwork()


def load_generator_network(weights: str | Path) -> GeneratorNetwork:
    """Return the generator network with trained weights (safetensors), in eval mode."""
    network = GeneratorNetwork()
    network.load_state_dict(load_file(weights))
    return network.eval()
