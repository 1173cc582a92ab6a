# SPDX-License-Identifier: Apache-2.0
"""The published flow network that reads a text: photo, moving region and the text's encoding to velocity.

text2cinemagraph (2023) publishes its weights: a U-Net whose inner levels look the text up, each place for itself.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from stillflow_export.networks.published.spade import Pictures, Spade
from stillflow_export.networks.published.text_reader import TextReader

WIDTH = 320
"""Channels of the first convolution in the published weights."""

MULTIPLE = 64
"""Six halvings."""

LONG_SIDE = 512
"""Pixels; the size it was trained at."""

LABELS = 4
"""Colours and mask."""

CONTEXT = (77, 768)
"""Tokens of a text, and what CLIP ViT-L/14 says of each."""

_HALVED = (True, True, True, True, False, True, False, True)
"""Convolutions on the way down that are followed by a halving."""

_DOUBLED = (True, False, True, False, True, True, True, True)
"""Convolutions on the way up that a doubling comes before."""

_FIRST_READER = 3
"""Level on the way down from which on the text is read; on the way up it is read by the first four."""


def down_channels(width: int) -> tuple[tuple[int, int], ...]:
    """(inputs, outputs) of the eight convolutions on the way down."""
    steps = (LABELS, *(width * share for share in (1, 1, 2, 2, 2, 4, 4, 4)))
    return tuple(zip(steps, steps[1:], strict=False))


def up_channels(width: int) -> tuple[tuple[int, int], ...]:
    """(inputs, outputs) of the eight convolutions on the way up; inputs count the skipped features too."""
    outputs = (*(width * share for share in (4, 4, 2, 2, 2, 1, 1)), 2)
    skips = [outputs_ for _, outputs_ in down_channels(width)][::-1]
    inputs = [skips[0], *(outputs[i] + skips[i + 1] for i in range(7))]
    return tuple(zip(inputs, outputs, strict=True))


class TextFlow(nn.Module):
    """Photo, mask and text to velocity.

    Args:
        width: channels of the first convolution, a multiple of 32.
        scale: what the output, -1 to 1, is multiplied by.
    """

    def __init__(self, width: int = WIDTH, *, scale: float = 64.0) -> None:
        super().__init__()
        self.scale = scale
        self.pictures = Pictures(5)
        down, up = down_channels(width), up_channels(width)
        self.down = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in down)
        self.up = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in up)
        self.down_norms = nn.ModuleList(Spade(o, LABELS) for _, o in down[1:7])
        self.up_norms = nn.ModuleList(Spade(o, LABELS) for _, o in up[:7])
        self.down_readers = nn.ModuleList(TextReader(o, CONTEXT[1]) for _, o in down[_FIRST_READER:7])
        self.middle_reader = TextReader(down[7][1], CONTEXT[1])
        self.up_readers = nn.ModuleList(TextReader(o, CONTEXT[1]) for _, o in up[:4])

    def forward(self, photo: Tensor, mask: Tensor, context: Tensor) -> Tensor:
        """Judge the motion.

        Args:
            photo: (n, 3, h, w) in -1..1, h and w multiples of 64.
            mask: (n, 1, h, w), 1 where it moves.
            context: (n, 77, 768), the last hidden state of CLIP ViT-L/14's text encoder.

        Returns:
            (n, 2, h, w), pixels a frame at this size.
        """
        pictures = self.pictures(torch.cat([photo, mask], 1))
        x = functional.avg_pool2d(self.down[0](pictures[0]), 2)
        features, sizes = [x], [1]
        for level in range(1, 8):
            x = self.down[level](functional.leaky_relu(x, 0.2))
            size = sizes[-1] + _HALVED[level]
            if _HALVED[level]:
                x = functional.avg_pool2d(x, 2)
            if level < 7:
                x = self.down_norms[level - 1](x, pictures[size])
                if level >= _FIRST_READER:
                    x = self.down_readers[level - _FIRST_READER](x, context)
            else:
                x = self.middle_reader(x, context)
            features.append(x)
            sizes.append(size)
        x, size = features.pop(), sizes[-1]
        for step in range(8):
            x = torch.relu(x)
            if _DOUBLED[step]:
                x = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            size -= _DOUBLED[step]
            x = self.up[step](x)
            if step < 7:
                x = self.up_norms[step](x, pictures[size])
                if step < 4:
                    x = self.up_readers[step](x, context)
                x = torch.cat([x, features.pop()], 1)
        return torch.tanh(x) * self.scale
