# SPDX-License-Identifier: Apache-2.0
"""The published flow network with hints: photo, moving region and a sparse field of arrows to velocity.

SLR-SFS, text2cinemagraph and 3D-Cinemagraphy publish weights of this form: a U-Net of eight levels, normalised by
what the input shows at each place.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from stillflow_export.networks.published.spade import Pictures, Spade

WIDTH = 32
"""Channels of the first convolution in all published weights."""

MULTIPLE = 256
"""Eight halvings."""

LONG_SIDE = 768
"""Pixels; the largest of the sizes that published scripts run it at."""

LABELS = 6
"""Colours, mask, x and y of the hint."""


def down_channels(width: int) -> tuple[tuple[int, int], ...]:
    """(inputs, outputs) of the eight convolutions on the way down."""
    steps = (LABELS, *(width * share for share in (1, 2, 4, 8, 8, 8, 8, 8)))
    return tuple(zip(steps, steps[1:], strict=False))


def up_channels(width: int) -> tuple[tuple[int, int], ...]:
    """(inputs, outputs) of the eight convolutions on the way up; inputs count the skipped features too."""
    outputs = (*(width * share for share in (8, 8, 8, 8, 4, 2, 1)), 2)
    skips = [outputs_ for _, outputs_ in down_channels(width)][::-1]
    inputs = [skips[0], *(outputs[i] + skips[i + 1] for i in range(7))]
    return tuple(zip(inputs, outputs, strict=True))


class HintedFlow(nn.Module):
    """Photo, mask and hint to velocity.

    Args:
        width: channels of the first convolution.
        bounded: whether a tanh comes last, before the scale.
        scale: what the output is multiplied by.
    """

    def __init__(self, width: int = WIDTH, *, bounded: bool = False, scale: float = 1.0) -> None:
        super().__init__()
        self.bounded = bounded
        self.scale = scale
        self.pictures = Pictures(7)
        self.down = nn.ModuleList(nn.Conv2d(i, o, 4, 2, 1) for i, o in down_channels(width))
        self.up = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in up_channels(width))
        self.down_norms = nn.ModuleList(Spade(o, LABELS) for _, o in down_channels(width)[1:7])
        self.up_norms = nn.ModuleList(Spade(o, LABELS) for _, o in up_channels(width)[:7])

    def forward(self, photo: Tensor, mask: Tensor, hint: Tensor) -> Tensor:
        """Judge the motion.

        Args:
            photo: (n, 3, h, w) in -1..1, h and w multiples of 256.
            mask: (n, 1, h, w), 1 where it moves.
            hint: (n, 2, h, w), x and y, in the unit that the weights were trained with.

        Returns:
            (n, 2, h, w), pixels a frame at this size.
        """
        pictures = self.pictures(torch.cat([photo, mask, hint], 1))
        features = [self.down[0](pictures[0])]
        for level in range(1, 8):
            x = self.down[level](functional.leaky_relu(features[-1], 0.2))
            # Neither the first nor the last convolution is normalised.
            features.append(self.down_norms[level - 1](x, pictures[level + 1]) if level < 7 else x)
        # The innermost features are cut off at 0 and doubled, all others doubled and cut off.
        x = double(torch.relu(features.pop()))
        for level in range(7, -1, -1):
            x = self.up[7 - level](x)
            if level:
                x = self.up_norms[7 - level](x, pictures[level])
                # Both are doubled at once: half as many resizings, and the exporter's time goes by those.
                both = torch.cat([x, features.pop()], 1)
                x = torch.relu(double(both, (3, x.shape[1] + 3)))
        if self.bounded:
            x = torch.tanh(x)
        return x if self.scale == 1.0 else x * self.scale


def double(x: Tensor, repeated: tuple[int, ...] = (3,)) -> Tensor:
    """Twice the size, bilinear but for some channels, which are repeated.

    Published code takes channel 3 of any tensor for the mask. The weights were trained so: without it the output is
    off by 0.4 to 0.7.
    """
    smooth = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
    some = torch.cat([x[:, i : i + 1] for i in repeated], 1)
    nearest = functional.interpolate(some, scale_factor=2.0, mode="nearest")
    parts, begin = [], 0
    for n, i in enumerate(repeated):
        parts += [smooth[:, begin:i], nearest[:, n : n + 1]]
        begin = i + 1
    return torch.cat([*parts, smooth[:, begin:]], 1)
