# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from stillflow_export.networks.published.spade import InstanceNorm, Pictures, Spade


def test_instance_norm_is_torchs() -> None:
    x = torch.randn(1, 5, 7, 9) * 4 + 2
    assert torch.equal(InstanceNorm(5)(x), functional.instance_norm(x, eps=1e-5))


def test_a_network_without_memory_keeps_its_constants() -> None:
    with torch.device("meta"):
        norm = InstanceNorm(5)
    assert torch.equal(norm.ones, torch.ones(5))
    assert norm.state_dict() == {}


def test_the_one_lies_in_gammas_bias() -> None:
    spade = Spade(4, 6)
    for layer in (spade.gamma, spade.beta):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    x, picture = torch.randn(1, 4, 8, 8), torch.randn(1, 6, 8, 8)
    assert torch.equal(spade(x, picture), torch.zeros_like(x))
    nn.init.ones_(spade.gamma.bias)
    assert torch.allclose(spade(x, picture), functional.instance_norm(x, eps=1e-5))


@pytest.mark.parametrize("channels", [4, 6])
def test_pictures_are_read_from_the_full_size(channels: int) -> None:
    x = torch.rand(1, channels, 32, 48)
    x[:, 3] = (x[:, 3] > 0.5).float()
    sizes = Pictures(3)(x)
    assert sizes[0] is x
    for level, small in enumerate(sizes):
        size = (32 >> level, 48 >> level)
        smooth = functional.interpolate(x, size=size, mode="bilinear", align_corners=False)
        mask = functional.interpolate(x[:, 3:4], size=size, mode="nearest")
        assert torch.allclose(small[:, :3], smooth[:, :3], atol=1e-6)
        assert torch.equal(small[:, 3:4], mask)
        assert torch.allclose(small[:, 4:], smooth[:, 4:], atol=1e-6)
