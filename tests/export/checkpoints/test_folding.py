# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from stillflow_export.checkpoints.folding import after_convolution, scale_and_shift, spectral_weight


def test_spectral_weight_is_what_torch_applies() -> None:
    torch.manual_seed(0)
    old = nn.utils.spectral_norm(nn.Conv2d(3, 5, 3)).eval()
    new = nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 5, 3)).eval()
    x = torch.randn(1, 3, 8, 8)
    for layer, names in (
        (old, ("weight_orig", "weight_u", "weight_v")),
        (
            new,
            (
                "parametrizations.weight.original",
                "parametrizations.weight.0._u",
                "parametrizations.weight.0._v",
            ),
        ),
    ):
        state = layer.state_dict()
        folded = spectral_weight(*(state[name] for name in names))
        assert folded.dtype == torch.float64
        with torch.no_grad():
            assert (
                functional.conv2d(x, folded.float(), layer.bias) - layer(x)
            ).abs().max() < 1e-5  # of values up to 6


def test_stored_vectors_count_and_not_the_largest_singular_value() -> None:
    weight = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    u, v = torch.tensor([0.8, 0.6]), torch.tensor([0.6, 0.8])
    # 0.8 * 3 * 0.6 + 0.6 * 1 * 0.8 = 1.92, where a decomposition gives 3.
    assert torch.allclose(spectral_weight(weight, u, v), (weight / 1.92).double())


def test_scale_and_shift_are_a_batch_norm() -> None:
    torch.manual_seed(1)
    norm = nn.BatchNorm2d(4, affine=False).eval()
    norm.running_mean, norm.running_var = torch.randn(4), torch.rand(4) + 0.01
    x = torch.randn(2, 4, 5, 6)
    scale, shift = scale_and_shift(norm.running_mean, norm.running_var)
    got = x.double() * scale[:, None, None] + shift[:, None, None]
    assert (got - norm(x)).abs().max() < 1e-5


def test_a_norm_behind_a_convolution_is_folded_exactly() -> None:
    torch.manual_seed(2)
    weight, bias = torch.randn(6, 3, 3, 3).double(), torch.randn(6).double()
    scale, shift = torch.rand(6).double() + 0.5, torch.randn(6).double()
    x = torch.randn(1, 3, 7, 7).double()
    expected = functional.conv2d(x, weight, bias, padding=1) * scale[:, None, None] + shift[:, None, None]
    got = functional.conv2d(x, *after_convolution(weight, bias, scale, shift), padding=1)
    assert (got - expected).abs().max() < 1e-12
