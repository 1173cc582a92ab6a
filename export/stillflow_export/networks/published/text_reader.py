# SPDX-License-Identifier: Apache-2.0
"""A transformer block in which every place of a feature map looks a text up, and no other place."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from stillflow_export.networks.published.spade import InstanceNorm

HEADS = 8
GROUPS, GROUP_EPS = 32, 1e-6


class GroupNorm(nn.Module):
    """Group norm, written as the norm of 32 long channels: torch's own brings operators that are no plain layers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.norm = InstanceNorm(GROUPS, GROUP_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) to the same shape."""
        n, c, h, w = x.shape
        normed = self.norm(x.reshape(n, GROUPS, c // GROUPS * h, w)).reshape(n, c, h, w)
        return normed * self.weight[:, None, None] + self.bias[:, None, None]


class TextReader(nn.Module):
    """Cross attention to a text, then a gated layer, both added to what was there.

    Args:
        channels: of the feature map; a multiple of 32.
        text: numbers a token.
    """

    def __init__(self, channels: int, text: int) -> None:
        super().__init__()
        self.norm = GroupNorm(channels)
        self.enter = nn.Conv2d(channels, channels, 1)
        self.norm_text = nn.LayerNorm(channels)
        self.query = nn.Linear(channels, channels, bias=False)
        self.key = nn.Linear(text, channels, bias=False)
        self.value = nn.Linear(text, channels, bias=False)
        self.join = nn.Linear(channels, channels)
        self.norm_mlp = nn.LayerNorm(channels)
        self.wide = nn.Linear(channels, 8 * channels)
        self.narrow = nn.Linear(4 * channels, channels)
        self.leave = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """(n, channels, h, w) and (n, tokens, text) to (n, channels, h, w)."""
        n, c, h, w = x.shape
        places = self.enter(self.norm(x)).reshape(n, c, h * w).transpose(1, 2)
        places = places + self._read(self.norm_text(places), context)
        value, gate = self.wide(self.norm_mlp(places)).chunk(2, dim=2)
        # The exact form of GELU: the one with tanh is off by up to 5e-4.
        places = places + self.narrow(value * (0.5 * gate * (1.0 + torch.erf(gate * math.sqrt(0.5)))))
        return self.leave(places.transpose(1, 2).reshape(n, c, h, w)) + x

    def _read(self, places: Tensor, context: Tensor) -> Tensor:
        n, count, c = places.shape
        tokens = context.shape[1]
        query = self.query(places).reshape(n, count, HEADS, c // HEADS).transpose(1, 2)
        key = self.key(context).reshape(n, tokens, HEADS, c // HEADS).permute(0, 2, 3, 1)
        value = self.value(context).reshape(n, tokens, HEADS, c // HEADS).transpose(1, 2)
        weights = torch.softmax(query @ key * (c // HEADS) ** -0.5, 3)
        return self.join((weights @ value).transpose(1, 2).reshape(n, count, c))
