# SPDX-License-Identifier: Apache-2.0
"""The published generator: an encoder that sees the photo once, a decoder that paints every frame.

Animating Pictures with Eulerian Motion Fields (2021) describes it; SLR-SFS and text2cinemagraph publish weights of
this form. The splat between the two is no part of them: it is a kernel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stillflow_export.networks.published.blocks import PartialBlock, PreActivationBlock

WIDTH = 32
"""Channels of the first encoder blocks in all published weights; every other number of channels follows."""

MULTIPLE = 4
"""The decoder halves twice."""

ENCODER_HALO, DECODER_HALO = 16, 48
"""Pixels that an output can depend on: 16 convolutions deep, and 41 with the halvings, rounded up to the 4 that
tiles align to."""

DECODER_RESAMPLINGS = ("same", "down", "down", "same", "up", "up", "same", "same")


def encoder_channels(width: int, outputs: int) -> tuple[tuple[int, int], ...]:
    """(inputs, outputs) of the eight blocks of an encoder of a photo."""
    steps = (3, width, width, width, *(2 * width,) * 4, outputs)
    return tuple(zip(steps, steps[1:], strict=False))


def decoder_channels(width: int, inputs: int, outputs: int) -> tuple[tuple[int, int], ...]:
    """(inputs, outputs) of the eight blocks of a decoder; ``width`` is the encoder's."""
    f = 2 * width
    steps = (inputs, f, 2 * f, 4 * f, 4 * f, 2 * f, 2 * f, 2 * f, outputs)
    return tuple(zip(steps, steps[1:], strict=False))


class FeatureEncoder(nn.Module):
    """Photo to features and splat weights."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.features = 2 * width
        channels = encoder_channels(width, self.features + 1)
        self.blocks = nn.Sequential(*(PreActivationBlock(i, o) for i, o in channels))

    def forward(self, photo: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 3, h, w) in -1..1 to features (n, 2 width, h, w) and the logarithm of splat weights (n, 1, h, w)."""
        out = self.blocks(photo)
        return out[:, : self.features], out[:, self.features :]


class PartialDecoder(nn.Module):
    """Eight partial blocks, which close holes from their edges inwards.

    Args:
        width: the encoder's.
        inputs: channels.
        outputs: channels.
    """

    def __init__(self, width: int, inputs: int, outputs: int) -> None:
        super().__init__()
        channels = decoder_channels(width, inputs, outputs)
        self.blocks = nn.ModuleList(
            PartialBlock(i, o, how) for (i, o), how in zip(channels, DECODER_RESAMPLINGS, strict=True)
        )

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(n, inputs, h, w) and (n, 1, h, w) to (n, outputs, h, w), linear, and the mask (n, 1, h, w) at the end."""
        x = features
        for block in self.blocks:
            x, mask = block(x, mask)
        return x, mask


class FeatureDecoder(nn.Module):
    """Splatted features to a frame."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.partial = PartialDecoder(width, 2 * width, 3)

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Paint.

        Args:
            features: (n, 2 width, h, w), h and w multiples of 4.
            mask: (n, 1, h, w), 1 where anything landed.

        Returns:
            frame (n, 3, h, w) in -1..1 and closed (n, 1, h, w): 0 where a hole was too wide and the frame is grey.
        """
        x, closed = self.partial(features, mask)
        return torch.tanh(x), closed
