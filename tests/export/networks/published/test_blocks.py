# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from stillflow_export.networks.published.blocks import (
    PartialBlock,
    PartialConv,
    PreActivationBlock,
    has_shortcut,
)

HOWS = {"same": 1.0, "down": 0.5, "up": 2.0}


@pytest.mark.parametrize("how", HOWS)
def test_sizes(how: str) -> None:
    x, mask = torch.randn(1, 3, 8, 12), torch.ones(1, 1, 8, 12)
    h, w = int(8 * HOWS[how]), int(12 * HOWS[how])
    assert PreActivationBlock(3, 5, how)(x).shape == (1, 5, h, w)
    out, seen = PartialBlock(3, 5, how)(x, mask)
    assert (out.shape, seen.shape) == ((1, 5, h, w), (1, 1, h, w))


def test_a_shortcut_is_a_layer_only_where_it_must() -> None:
    assert [has_shortcut(4, 4, "same"), has_shortcut(4, 5, "same"), has_shortcut(4, 4, "up")] == [
        False,
        True,
        True,
    ]
    assert PreActivationBlock(4, 4).shortcut is None


def test_partial_convolution_makes_up_for_what_is_hidden() -> None:
    """A constant picture stays constant, along borders and holes too: what is missing is not taken for black."""
    layer = PartialConv(2, 1)
    torch.nn.init.constant_(layer.conv.weight, 1 / 18)
    mask = torch.ones(1, 1, 6, 6)
    mask[..., 2:4, 3:] = 0
    with torch.no_grad():
        out, seen = layer(torch.full((1, 2, 6, 6), 0.7) * mask, mask)
    assert (out[seen > 0] - 0.7).abs().max() < 1e-6
    assert torch.equal(seen, torch.ones_like(seen))


def test_a_mask_grows_by_one_pixel_a_convolution() -> None:
    mask = torch.zeros(1, 1, 9, 9)
    mask[..., 4, 4] = 1
    with torch.no_grad():
        _, seen = PartialConv(2, 3)(torch.zeros(1, 2, 9, 9), mask)
    assert seen.sum() == 9
    assert set(seen.unique().tolist()) == {0.0, 1.0}


def test_nothing_is_not_a_number_where_nothing_is_seen() -> None:
    torch.manual_seed(0)
    block = PartialBlock(2, 3)
    with torch.no_grad():
        out, seen = block(torch.zeros(1, 2, 9, 9), torch.zeros(1, 1, 9, 9))
    assert torch.equal(out, torch.zeros_like(out))
    assert torch.equal(seen, torch.zeros_like(seen))
    half_share = torch.nn.functional.avg_pool2d(torch.zeros(1, 1, 3, 3).half().float(), 3, 1, 1)
    assert torch.isfinite(1 / half_share.clamp(min=1 / 9)).all()
