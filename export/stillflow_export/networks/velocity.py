# SPDX-License-Identifier: Apache-2.0
"""The velocity network: which way and how fast each place moves, from the photo, its classes and the user's arrows.

Its field need not agree with the arrows: ``stillflow.bend`` turns and stretches it until it does. So what counts under
arrows is its shape, how the flow at one place relates to that at another. Plain layers only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from stillflow_export.networks.classes import CLASSES, Residual, normed_conv

HINTS = 8
"""Planes made of the hints: mask known and value, arrow known, direction and strength of the closed form, row."""

LOG_SPEED = 2.0
"""An output of 0 means a log-speed of -2: 0.0135 widths a second, in the middle of what moves."""

STEM, GRID, WIDTHS = 24, 40, (40, 56, 80)
"""Channels at 1/2 and 1/4 of the photo's size, and of the pyramid at 1/4, 1/8 and 1/16."""

OUTPUTS = 2 + 1 + 1 + 1
"""Direction, log-speed, spread, either."""


class VelocityNetwork(nn.Module):
    """Photo, class probabilities and hints to velocity, spread and either, at a quarter of the photo's size."""

    def __init__(self) -> None:
        super().__init__()
        # Streaks and crests are a few pixels wide: they are read before the size is quartered.
        self.stem = nn.Sequential(
            normed_conv(3, STEM, stride=2), nn.ReLU(), normed_conv(STEM, GRID, stride=2), nn.ReLU()
        )
        self.join = nn.Sequential(
            normed_conv(GRID + CLASSES + HINTS, WIDTHS[0]), nn.ReLU(), Residual(WIDTHS[0])
        )
        self.down = nn.ModuleList(
            nn.Sequential(normed_conv(a, b, stride=2), nn.ReLU(), Residual(b))
            for a, b in zip(WIDTHS, WIDTHS[1:], strict=False)
        )
        self.whole = nn.Conv2d(WIDTHS[-1], WIDTHS[-1], 1)
        self.lateral = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in zip(WIDTHS, WIDTHS[1:], strict=False))
        self.up = nn.ModuleList(Residual(a) for a in WIDTHS[:-1])
        self.heads = nn.Conv2d(WIDTHS[0], OUTPUTS, 1)
        nn.init.zeros_(self.heads.weight)
        assert self.heads.bias is not None
        nn.init.zeros_(self.heads.bias)

    def forward(self, photo: Tensor, classes: Tensor, hints: Tensor) -> Tensor:
        """Judge the motion.

        Args:
            photo: (n, 3, H, W) RGB 0..1, H and W multiples of 32.
            classes: (n, 10, H/4, W/4) probabilities.
            hints: (n, 6, H, W), laid out by ``stillflow.flow.hint_planes``.

        Returns:
            (n, OUTPUTS, H/4, W/4), see ``velocity_of``.
        """
        told = functional.avg_pool2d(hints, 4)
        arrows = told[:, 3:5]
        length = torch.sqrt((arrows * arrows).sum(1, keepdim=True) + 1e-8)
        typical = length.mean((2, 3), keepdim=True) + 1e-6
        planes = torch.cat(
            [
                told[:, 0:3],
                arrows / typical,
                length / typical,
                torch.log(typical + 0.003) + 0.0 * length,
                told[:, 5:6],
            ],
            1,
        )
        x = self.join(torch.cat([self.stem((photo - 0.45) * 4.0), classes, planes], 1))
        features = []
        for down in self.down:
            features.append(x)
            x = down(x)
        x = torch.relu(x + self.whole(x.mean((2, 3), keepdim=True)))
        for lateral, up, feature in zip(
            reversed(self.lateral), reversed(self.up), reversed(features), strict=True
        ):
            x = up(torch.relu(feature + functional.interpolate(lateral(x), scale_factor=2.0, mode="nearest")))
        out: Tensor = self.heads(x)
        return out


def velocity_of(out: Tensor) -> Tensor:
    """Velocity (n, 2, h, w), picture widths a second times 10, of the network's output.

    Direction times the exponential of a log-speed, since speeds span two orders of magnitude. A direction much
    shorter than 0.1 is no direction: the velocity shrinks with it.
    """
    direction = out[:, 0:2]
    length = torch.sqrt((direction * direction).sum(1, keepdim=True) + 0.01)
    return direction / length * torch.exp(torch.clamp(out[:, 2:3] - LOG_SPEED, -6.0, 3.0))


def spread_of(out: Tensor) -> Tensor:
    """Log of the velocity's expected error, (n, 1, h, w), in its own unit."""
    return out[:, 3:4]


def either_of(out: Tensor) -> Tensor:
    """Logit of whether the opposite direction would be as true, (n, 1, h, w)."""
    return out[:, 4:5]
