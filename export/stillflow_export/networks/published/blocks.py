# SPDX-License-Identifier: Apache-2.0
"""The two residual blocks that published generators are made of, as they run: every constant is folded.

A published block has a normalisation with stored statistics before each of its two convolutions. The first stays,
as a scale and a shift. The second follows a convolution and is folded into it (``checkpoints.folding``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_ONE_OF_NINE = 1.0 / 9.0
"""Smallest mean of a 3x3 window of a mask that is not all 0."""


class ScaleShift(nn.Module):
    """Each channel times a number, plus a number."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))
        self.shift = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) to the same shape."""
        return x * self.scale + self.shift


class PreActivationBlock(nn.Module):
    """Normalisation before activation before convolution, twice, beside a shortcut.

    Args:
        inputs: channels.
        outputs: channels.
        resampling: "same", "down" (half the size) or "up" (twice).
    """

    def __init__(self, inputs: int, outputs: int, resampling: str = "same") -> None:
        super().__init__()
        self.resampling = resampling
        self.norm = ScaleShift(inputs)
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if has_shortcut(inputs, outputs, resampling) else None

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) to (n, outputs, h', w')."""
        main = self.second(torch.relu(self.first(torch.relu(self.norm(x)))))
        # One resampling of the sum: published blocks resample both terms, which is the same linear map twice.
        return resample(main + (x if self.shortcut is None else self.shortcut(x)), self.resampling)


class PartialConv(nn.Module):
    """A 3x3 convolution that sees only what a mask shows, and makes up for what it does not see.

    ``y = (W * (x m)) r + b`` with ``r = 9 / (sum of m over the window)``. Beyond the border the mask is 0, so r is
    larger than 1 along the border even where there is no hole. Published networks carry one mask per channel, all of
    them equal: one is enough, and its sums stay below 10, which float16 counts exactly (2304 it does not).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Convolve.

        Args:
            x: (n, inputs, h, w), already 0 where the mask is.
            mask: (n, 1, h, w), 0 or 1.

        Returns:
            (n, outputs, h, w), not yet masked, and the new mask (n, 1, h, w): 1 where the window showed anything.
        """
        # A floor of 1/9 in place of the published 1e-8 under the fraction, which float16 rounds to 0: where the
        # window is empty the convolution is 0 anyway.
        share = torch.clamp(functional.avg_pool2d(mask, 3, 1, 1), min=_ONE_OF_NINE)
        return self.conv(x) / share + self.bias, functional.max_pool2d(mask, 3, 1, 1)


class PartialBlock(nn.Module):
    """The same with partial convolutions; whatever no window has seen stays 0.

    Args:
        inputs: channels.
        outputs: channels.
        resampling: as above; the mask is resampled along.
    """

    def __init__(self, inputs: int, outputs: int, resampling: str = "same") -> None:
        super().__init__()
        self.resampling = resampling
        self.norm = ScaleShift(inputs)
        self.first = PartialConv(inputs, outputs)
        self.second = PartialConv(outputs, outputs)
        shortcut = has_shortcut(inputs, outputs, resampling)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False) if shortcut else None

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(n, inputs, h, w) and (n, 1, h, w) to (n, outputs, h', w') and (n, 1, h', w')."""
        main, seen = self.first(torch.relu(self.norm(x)) * mask, mask)
        main, seen = self.second(torch.relu(main) * seen, seen)
        out = main * seen + (x if self.shortcut is None else self.shortcut(x))
        return resample(out, self.resampling), resample_mask(seen, self.resampling)


def has_shortcut(inputs: int, outputs: int, resampling: str) -> bool:
    """Whether a block's shortcut is a 1x1 convolution; else it is the input itself."""
    return inputs != outputs or resampling != "same"


def resample(x: Tensor, how: str) -> Tensor:
    """Halve by means of 3x3 (zeros beyond the border), or double bilinearly."""
    if how == "down":
        return functional.avg_pool2d(x, 3, 2, 1)
    if how == "up":
        return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
    return x


def resample_mask(mask: Tensor, how: str) -> Tensor:
    """Halve by the largest of 3x3, or double by repetition."""
    if how == "down":
        return functional.max_pool2d(mask, 3, 2, 1)
    if how == "up":
        return functional.interpolate(mask, scale_factor=2.0, mode="nearest")
    return mask
