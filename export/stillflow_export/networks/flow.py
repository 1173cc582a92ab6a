# SPDX-License-Identifier: Apache-2.0
"""The flow network: what moves in a photo and which way, from the photo and the user's hints.

A residual U-Net of plain layers (Conv, BatchNorm, ReLU, Add, Resize by 2, one global mean), under a
million weights: the labelled photos are few, and the network runs on a CPU once a photo.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

CLASSES = 10
"""Classes of ``stillflow.motion.CLASS_NAMES``."""

WIDTHS = (20, 32, 48, 72, 96)
"""Channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input."""


def conv_block(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """3x3 convolution, batch norm (folded on export), ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=dilation, dilation=dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two 3x3 convolutions beside an identity."""

    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = conv_block(width, width, dilation=dilation)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to the same shape."""
        return torch.relu(x + self.second(self.first(x)))


class FlowNetwork(nn.Module):
    """Photo and hints to classes, moves, velocity and spread, at half the input's size."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_block(3 + 6, WIDTHS[0], stride=2), Residual(WIDTHS[0]))
        self.down = nn.ModuleList(
            nn.Sequential(conv_block(a, b, stride=2), Residual(b)) for a, b in zip(WIDTHS, WIDTHS[1:], strict=False)
        )
        deep = WIDTHS[-1]
        self.context = nn.Sequential(Residual(deep, dilation=2), nn.Dropout2d(0.1), Residual(deep))
        self.whole = nn.Sequential(nn.Conv2d(deep, deep, 1), nn.ReLU(inplace=True), nn.Conv2d(deep, deep, 1))
        self.lateral = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in zip(WIDTHS, WIDTHS[1:], strict=False))
        self.up = nn.ModuleList(Residual(a) for a in WIDTHS[:-1])
        self.heads = nn.Conv2d(WIDTHS[0], CLASSES + 1 + 2 + 1 + 1, 3, padding=1)

    def forward(self, photo: Tensor, hints: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Run the network.

        Args:
            photo: (n, 3, H, W) RGB 0..1, H and W multiples of 32.
            hints: (n, 6, H, W), laid out by ``stillflow.flow.hint_planes``.

        Returns:
            classes (n, 10, H/2, W/2) logits; moves (n, 1, H/2, W/2) logit; velocity (n, 2, H/2, W/2)
            widths a second times 10; spread (n, 1, H/2, W/2), log of the velocity's expected error.
        """
        x = self.stem(torch.cat([photo - 0.5, hints], 1))
        skips = []
        for stage in self.down:
            skips.append(x)
            x = stage(x)
        x = self.context(x)
        x = x + self.whole(x.mean((2, 3), keepdim=True))
        for lateral, up, skip in zip(reversed(self.lateral), reversed(self.up), reversed(skips), strict=True):
            x = up(skip + nn.functional.interpolate(lateral(x), scale_factor=2.0, mode="nearest"))
        out = self.heads(x)
        classes, moves, raw, scale, spread = torch.split(out, [CLASSES, 1, 2, 1, 1], 1)
        # The closed form's velocity (zero without arrows) plus a correction whose scale is learned apart,
        # since speeds span two orders of magnitude.
        given = nn.functional.avg_pool2d(hints[:, 3:5], 2)
        return classes, moves, given + raw * torch.exp(torch.clamp(scale, -4.0, 2.0)), spread


def build_flow_network() -> FlowNetwork:
    """Return an untrained flow network."""
    return FlowNetwork()


def load_flow_network(weights: str | Path) -> FlowNetwork:
    """Return the flow network with trained weights (safetensors), in eval mode."""
    network = FlowNetwork()
    network.load_state_dict(load_file(weights))
    return network.eval()
