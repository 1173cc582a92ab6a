# SPDX-License-Identifier: Apache-2.0
"""What SLR-SFS version 1 adds to the generator: a still background, and how opaque it and the fluid are."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stillflow_export.networks.published.blocks import PreActivationBlock
from stillflow_export.networks.published.generator import (
    DECODER_RESAMPLINGS,
    WIDTH,
    PartialDecoder,
    decoder_channels,
    encoder_channels,
)


class BackgroundNetwork(nn.Module):
    """Photo to what lies behind the fluid."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        channels = decoder_channels(width, 3, 3)
        self.blocks = nn.Sequential(
            *(
                PreActivationBlock(i, o, how)
                for (i, o), how in zip(channels, DECODER_RESAMPLINGS, strict=True)
            )
        )

    def forward(self, photo: Tensor) -> Tensor:
        """(n, 3, h, w) in -1..1, h and w multiples of 4, to the same."""
        return torch.tanh(self.blocks(photo))


class AlphaEncoder(nn.Module):
    """Photo to how opaque background and fluid are."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(PreActivationBlock(i, o) for i, o in encoder_channels(width, 2)))

    def forward(self, photo: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 3, h, w) in -1..1 to two logits (n, 1, h, w): of the background, of the fluid."""
        out = self.blocks(photo)
        return out[:, 0:1], out[:, 1:2]


class AlphaDecoder(nn.Module):
    """Splatted features and splatted fluid logit to how opaque the fluid is in a frame."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.partial = PartialDecoder(width, 2 * width + 1, 1)

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """As ``FeatureDecoder``: features (n, 2 width + 1, h, w); returns alpha (n, 1, h, w) in 0..1 and closed."""
        x, closed = self.partial(features, mask)
        return torch.sigmoid(x), closed
