# SPDX-License-Identifier: Apache-2.0
"""The class network: what each place of a photo is, what of it moves, and whether a loop of it can look right.

A residual pyramid with a view of the whole picture. Plain layers only (Conv, ReduceMean, Resize by 2).
Batch norm, since it folds into the convolutions of the exported graph.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES = 10
"""Classes of ``stillflow.motion.CLASS_NAMES``."""

STRIDE = 4
"""The outputs are this many times coarser than the photo."""

WIDTHS = (24, 48, 80, 128, 160)
"""Channels at 1/2, 1/4 ... 1/32 of the photo's size."""

BLOCKS = (0, 1, 2, 2, 1)
"""Residual blocks at each of these sizes."""

EDGES = 15
"""Channels of ``edge_energy``: five filters at three scales."""

DECODER = 48
"""Channels on the way back up."""

DROPOUT, DROP_PATH = 0.25, 0.1
"""Shares of channels, and of residual branches, that are left out at each training step."""


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, channels: int, drop: float = 0.0) -> None:
        super().__init__()
        self.first = normed_conv(channels, channels)
        self.second = normed_conv(channels, channels)
        self.drop = drop

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) to the same shape."""
        y = self.second(torch.relu(self.first(x)))
        if self.training and self.drop:
            kept = torch.rand(x.shape[0], 1, 1, 1, device=x.device) >= self.drop
            y = y * kept / (1.0 - self.drop)
        return torch.relu(x + y)


def normed_conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution with batch norm."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
    )


def edge_energy(photo: Tensor, filters: Tensor) -> Tensor:
    """Logarithm of five edge filters' strength at three scales: what a surface is like, whatever its brightness.

    Args:
        photo: (n, 3, H, W) 0..1, H and W multiples of 16.
        filters: (5, 1, 3, 3).

    Returns:
        (n, EDGES, H/4, W/4), near -1..1.
    """
    level = 0.3 * photo[:, 0:1] + 0.6 * photo[:, 1:2] + 0.1 * photo[:, 2:3]
    parts = []
    for pool in (4, 2, 1):
        # The outermost pixels see the zeros beyond the border as an edge: half gray keeps it low.
        edges = functional.conv2d(level - 0.5, filters, padding=1).abs()
        parts.append(torch.log(functional.avg_pool2d(edges, pool) + 0.003))
        level = functional.avg_pool2d(level, 2)
    return torch.cat(parts, 1) * 0.4 + 1.4


class ClassNetwork(nn.Module):
    """Photo to classes, moves and suitability."""

    edges: Tensor

    def __init__(self) -> None:
        super().__init__()
        filters = torch.tensor(
            [
                [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
                [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
                [[0, 2, 0], [2, -8, 2], [0, 2, 0]],
                [[-2, -1, 0], [-1, 0, 1], [0, 1, 2]],
                [[0, -1, -2], [1, 0, -1], [2, 1, 0]],
            ],
            dtype=torch.float32,
        )
        self.register_buffer("edges", filters[:, None] / 8, persistent=False)
        stages = []
        for i, (width, blocks) in enumerate(zip(WIDTHS, BLOCKS, strict=True)):
            down = normed_conv(4 if i == 0 else WIDTHS[i - 1], width, stride=2)
            stages.append(
                nn.Sequential(down, nn.ReLU(), *(Residual(width, DROP_PATH) for _ in range(blocks)))
            )
        self.stages = nn.ModuleList(stages)
        self.grain = nn.Conv2d(EDGES, WIDTHS[1], 1)
        top = WIDTHS[-1]
        self.whole = nn.Sequential(
            nn.Conv2d(top, top, 1), nn.ReLU(), nn.Dropout(DROPOUT), nn.Conv2d(top, top, 1)
        )
        self.lateral = nn.ModuleList(nn.Conv2d(width, DECODER, 1) for width in WIDTHS[1:])
        self.up = nn.ModuleList(Residual(DECODER) for _ in WIDTHS[1:])
        self.dropout = nn.Dropout2d(DROPOUT)
        self.heads = nn.Conv2d(DECODER, CLASSES + 1, 1)
        self.picture = nn.Conv2d(top, CLASSES + 1, 1)

    def forward(self, photo: Tensor, row: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Look at a photo.

        Args:
            photo: (n, 3, H, W) RGB 0..1, H and W multiples of 32.
            row: (n, 1, H, W), 0 at the top to 1 at the bottom.

        Returns:
            logits of the classes (n, 10, H/4, W/4) and of moves (n, 1, H/4, W/4), and of the whole picture
            (n, 11, 1, 1): whether each class occurs, and whether it suits a loop.
        """
        x = torch.cat([(photo - 0.45) * 4.0, row * 2.0 - 1.0], 1)
        grain = self.grain(edge_energy(photo, self.edges))
        features = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i == 1:
                x = torch.relu(x + grain)
            features.append(x)
        mean = x.mean((2, 3), keepdim=True)
        whole = self.whole(mean)
        features[-1] = torch.relu(x + whole)
        picture = self.picture(torch.relu(whole + mean))
        y = None
        for lateral, up, feature in zip(
            reversed(self.lateral), reversed(self.up), reversed(features[1:]), strict=True
        ):
            z = lateral(feature)
            if y is not None:
                z = z + functional.interpolate(y, scale_factor=2.0, mode="nearest")
            y = up(torch.relu(z))
        assert y is not None
        out = self.heads(self.dropout(y))
        return out[:, :CLASSES], out[:, CLASSES:], picture
