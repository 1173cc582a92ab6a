# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch
from torch import nn

from stillflow_export.networks.published.text_reader import GroupNorm, TextReader


def test_group_norm_is_torchs() -> None:
    torch.manual_seed(0)
    ours, theirs = GroupNorm(64), nn.GroupNorm(32, 64, eps=1e-6)
    for norm in (ours, theirs):
        nn.init.normal_(norm.weight, generator=torch.Generator().manual_seed(1))
        nn.init.normal_(norm.bias, generator=torch.Generator().manual_seed(2))
    x = torch.randn(1, 64, 6, 10) * 3 + 1
    assert (ours(x) - theirs(x)).abs().max() < 1e-5


def test_each_place_reads_for_itself() -> None:
    """Beside the group norm no place sees another: swapping two places swaps two answers."""
    torch.manual_seed(1)
    reader, x, context = TextReader(32, 12), torch.randn(1, 32, 4, 4), torch.randn(1, 5, 12)
    other = x.clone()
    other[..., 0, 0], other[..., 3, 2] = x[..., 3, 2], x[..., 0, 0]
    got, swapped = reader(x, context), reader(other, context)
    assert torch.allclose(got[..., 0, 0], swapped[..., 3, 2], atol=1e-5)
    assert torch.allclose(got[..., 1, 1], swapped[..., 1, 1], atol=1e-5)


def test_the_order_of_tokens_does_not_matter() -> None:
    torch.manual_seed(2)
    reader, x, context = TextReader(32, 12), torch.randn(1, 32, 4, 4), torch.randn(1, 5, 12)
    assert torch.allclose(reader(x, context), reader(x, context.flip(1)), atol=1e-5)
