# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from stillflow.generator import plate_mean
from stillflow_export.networks.blocks import Residual, conv_block
from stillflow_export.networks.generator import build_generator_network, load_generator_network


def field(height: int, width: int) -> torch.Tensor:
    torch.manual_seed(1)
    planes = torch.rand(1, 9, height, width)
    planes[:, 3] = (planes[:, 3] > 0.5).float()
    return planes


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (160, 64)])
def test_untrained_it_is_its_own_baseline(size: tuple[int, int]) -> None:
    planes = field(*size)
    with torch.no_grad():
        plate, trust = build_generator_network().eval()(planes)
    mean = planes[0, :3].permute(1, 2, 0).numpy() * 255
    expected = torch.from_numpy(plate_mean(mean)).permute(2, 0, 1) / 255
    assert torch.allclose(plate[0, :, 8:-8, 8:-8], expected[:, 8:-8, 8:-8], atol=1e-5)
    assert trust.shape == (1, 2, *size)
    assert (trust[:, 0] == 1).all()
    assert not trust[:, 1].any()


def test_what_is_known_is_never_painted_over() -> None:
    network = build_generator_network().eval()
    torch.nn.init.normal_(network.heads.weight, std=0.1)
    planes = field(64, 64)
    known = planes[:, 3:4].expand(-1, 3, -1, -1) > 0
    with torch.no_grad():
        before, _ = build_generator_network().eval()(planes)
        plate, trust = network(planes)
    assert torch.equal(plate[known], before[known])
    assert not torch.equal(plate[~known], before[~known])
    assert 0 <= plate.min() <= plate.max() <= 1
    assert trust[:, 1].any()
    assert 0 <= trust[:, 0].min() <= trust[:, 0].max() <= 1


def test_weights_come_back_from_their_file(tmp_path: Path) -> None:
    network = build_generator_network()
    torch.nn.init.normal_(network.heads.weight, std=0.1)
    save_file(network.state_dict(), tmp_path / "generator.safetensors")
    again = load_generator_network(tmp_path / "generator.safetensors")
    assert not again.training
    planes = field(32, 32)
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(again(planes), network.eval()(planes), strict=True))


def test_blocks_keep_or_halve_the_size() -> None:
    x = torch.rand(2, 4, 32, 48)
    assert conv_block(4, 8, stride=2)(x).shape == (2, 8, 16, 24)
    assert conv_block(4, 8, dilation=2)(x).shape == (2, 8, 32, 48)
    assert Residual(4, dilation=2)(x).shape == x.shape
