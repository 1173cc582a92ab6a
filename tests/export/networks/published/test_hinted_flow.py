# SPDX-License-Identifier: Apache-2.0
"""The flow network with hints, of published size, against the published formulas, from random tensors."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from stillflow_export.networks.published.hinted_flow import HintedFlow, double, down_channels, up_channels

from ... import published_reference as published
from .conftest import Pair

TOLERANCE = 5e-5
"""At velocities of some pixels a frame. Asked for is 1e-4."""


def test_channels_are_the_published_ones() -> None:
    assert [o for _, o in down_channels(32)] == [32, 64, 128, 256, 256, 256, 256, 256]
    assert up_channels(32) == (
        (256, 256), (512, 256), (512, 256), (512, 256), (512, 128), (256, 64), (128, 32), (64, 2),
    )  # fmt: skip


@pytest.mark.parametrize("source", ["slr", "t2c"])
def test_it_reproduces_the_formulas(source: str, hinted: dict[str, Pair]) -> None:
    pair = hinted[source]
    # The second size is no square: there the order of a doubling and a cut at 0 shows.
    first, _, wide = list(pair.plans["scene_flow"].samples([]))
    for sample in (first, wide):
        photo, mask, hint = (torch.from_numpy(sample.inputs[name]) for name in ("photo", "mask", "hint"))
        expected = published.hinted_flow(pair.tensors, torch.cat([photo, mask, hint], 1))
        if source == "t2c":
            expected = torch.tanh(expected) * 64
        got = pair.network("scene_flow")(photo, mask, hint)
        assert (got - expected).abs().max() < TOLERANCE, sample.name
        assert expected.std() > 0.1
    count = sum(weight.numel() for weight in pair.network("scene_flow").parameters())
    assert count == 15_565_826 or source == "t2c"


def test_channel_3_is_repeated_and_the_others_are_not() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 6, 4, 5)
    got = double(x)
    assert torch.equal(got[:, 3:4], x[:, 3:4].repeat_interleave(2, 2).repeat_interleave(2, 3))
    smooth = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    others = [0, 1, 2, 4, 5]
    assert torch.equal(got[:, others], smooth[:, others])
    assert not torch.equal(got[:, 3], smooth[:, 3])


def test_two_are_doubled_at_once_as_each_by_itself() -> None:
    torch.manual_seed(2)
    x, y = torch.randn(1, 8, 4, 5), torch.randn(1, 5, 4, 5)
    assert torch.equal(double(torch.cat([x, y], 1), (3, 11)), torch.cat([double(x), double(y)], 1))


def test_the_scale_multiplies_and_the_bound_holds() -> None:
    torch.manual_seed(1)
    plain, scaled, bounded = HintedFlow(8), HintedFlow(8, scale=20.0), HintedFlow(8, bounded=True, scale=64.0)
    for other in (scaled, bounded):
        other.load_state_dict(plain.state_dict())
    inputs = [torch.randn(1, c, 256, 256) * 3 for c in (3, 1, 2)]
    velocity = plain(*inputs)
    assert torch.allclose(scaled(*inputs), velocity * 20)
    assert torch.allclose(bounded(*inputs), torch.tanh(velocity) * 64)
