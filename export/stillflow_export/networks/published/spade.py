# SPDX-License-Identifier: Apache-2.0
"""Spatially adaptive normalisation: what the picture shows at a place decides how a feature there is scaled.

Park et al., Semantic Image Synthesis with Spatially-Adaptive Normalization (2019). The published flow networks take
their whole input for the map of labels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

HIDDEN = 128
"""Channels between the input and the two modulations."""

EPS = 1e-5


class InstanceNorm(nn.Module):
    """Each channel minus its mean over the picture, over its standard deviation."""

    ones: Tensor
    zeros: Tensor

    def __init__(self, channels: int, eps: float = EPS) -> None:
        super().__init__()
        self.eps = eps
        # Said, not left out: so it is exported as one InstanceNormalization. On the CPU, also in a network that is
        # built without memory and gets its weights later: these are no weights.
        self.register_buffer("ones", torch.ones(channels, device="cpu"), persistent=False)
        self.register_buffer("zeros", torch.zeros(channels, device="cpu"), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, ...) to the same shape."""
        normed: Tensor = functional.instance_norm(x, weight=self.ones, bias=self.zeros, eps=self.eps)
        return normed


class Spade(nn.Module):
    """``norm(x) * (1 + gamma) + beta`` with gamma and beta made of the picture; the 1 lies in gamma's bias.

    Args:
        channels: of what is normalised.
        labels: channels of the picture.
    """

    def __init__(self, channels: int, labels: int) -> None:
        super().__init__()
        self.norm = InstanceNorm(channels)
        self.shared = nn.Conv2d(labels, HIDDEN, 3, padding=1)
        self.gamma = nn.Conv2d(HIDDEN, channels, 3, padding=1)
        self.beta = nn.Conv2d(HIDDEN, channels, 3, padding=1)

    def forward(self, x: Tensor, picture: Tensor) -> Tensor:
        """(n, channels, h, w) and (n, labels, h, w) to (n, channels, h, w)."""
        hidden = torch.relu(self.shared(picture))
        modulated: Tensor = self.norm(x) * self.gamma(hidden) + self.beta(hidden)
        return modulated


class Pictures(nn.Module):
    """The network's input at every size that a normalisation needs: bilinear, but the mask nearest.

    Args:
        levels: how often it is halved.
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        """(n, c, h, w), whose channel 3 is the mask, to ``levels + 1`` pictures, each half the size of the last."""
        return (picture, *(_smaller(picture, 0.5**level) for level in range(1, self.levels + 1)))


def _smaller(picture: Tensor, scale: float) -> Tensor:
    # Straight from the full size, and without a low-pass, as published: a pixel in two, in four, ... is looked at.
    smooth = functional.interpolate(picture, scale_factor=scale, mode="bilinear", align_corners=False)
    mask = functional.interpolate(picture[:, 3:4], scale_factor=scale, mode="nearest")
    parts = [smooth[:, :3], mask]
    if picture.shape[1] > 4:
        parts.append(smooth[:, 4:])
    return torch.cat(parts, 1)
