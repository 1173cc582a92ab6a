# SPDX-License-Identifier: Apache-2.0
"""Encoder and decoder of published size against the published formulas, from random tensors."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from torch import Tensor

from stillflow_export.networks.published.generator import (
    DECODER_HALO,
    ENCODER_HALO,
    FeatureDecoder,
    FeatureEncoder,
    decoder_channels,
    encoder_channels,
)

from ... import published_reference as published
from .conftest import Pair

TOLERANCE = 1e-5
"""Outputs are of the order of 1. Asked for is 1e-4."""


def test_channels_are_the_published_ones() -> None:
    assert encoder_channels(32, 65) == (
        (3, 32), (32, 32), (32, 32), (32, 64), (64, 64), (64, 64), (64, 64), (64, 65),
    )  # fmt: skip
    assert decoder_channels(32, 64, 3) == (
        (64, 64), (64, 128), (128, 256), (256, 256), (256, 128), (128, 128), (128, 128), (128, 3),
    )  # fmt: skip


def test_encoder_reproduces_the_formulas(layered: Pair) -> None:
    for sample in layered.plans["encoder"].samples([]):
        photo = torch.from_numpy(sample.inputs["photo"])
        features, weight = layered.network("encoder")(photo)
        expected, logit = published.encode(layered.tensors, photo)
        assert (features - expected).abs().max() < TOLERANCE, sample.name
        assert (weight - logit).abs().max() < TOLERANCE, sample.name
        assert 0.1 < expected.std() < 3


def test_decoder_reproduces_the_formulas(layered: Pair) -> None:
    closed = []
    for sample in islice(layered.plans["decoder"].samples([]), 4):
        features, mask = (torch.from_numpy(sample.inputs[name]) for name in ("features", "mask"))
        frame, seen = layered.network("decoder")(features, mask)
        expected, last = published.decode(layered.tensors, features)
        assert (frame - torch.tanh(expected)).abs().max() < TOLERANCE, sample.name
        assert torch.equal(seen, last), sample.name
        assert torch.tanh(expected).std() > 0.1
        closed.append(float(seen.min()))
    assert set(closed) == {0.0, 1.0}, "samples have holes that close and holes that do not"


@pytest.mark.parametrize(("size", "closes"), [(68, True), (76, False)])
def test_holes_close_up_to_their_size_and_are_grey_beyond(size: int, closes: bool) -> None:
    mask = torch.ones(1, 1, 160, 160)
    mask[..., 40 : 40 + size, 40 : 40 + size] = 0
    frame, closed = FeatureDecoder(1)(torch.zeros(1, 2, 160, 160), mask)
    assert bool((closed == 1).all()) is closes
    assert torch.equal(frame[(closed == 0).expand_as(frame)], torch.zeros(int((closed == 0).sum()) * 3))


def tile(network: torch.nn.Module, inputs: list[Tensor], halo: int) -> tuple[Tensor, Tensor]:
    """One tile in the middle, run with a halo, and the same place of the whole."""
    y, x, side = 64, 68, 32
    whole = network(*inputs)[0][..., y : y + side, x : x + side]
    cut = [i[..., y - halo : y + side + halo, x - halo : x + side + halo] for i in inputs]
    return network(*cut)[0][..., halo : halo + side, halo : halo + side], whole


def test_tiles_with_a_halo_are_the_whole() -> None:
    torch.manual_seed(3)
    photo = torch.rand(1, 3, 160, 164) * 2 - 1
    got, whole = tile(FeatureEncoder(4), [photo], ENCODER_HALO)
    assert (got - whole).abs().max() < 1e-6
    features, mask = torch.randn(1, 8, 160, 164), (torch.rand(1, 1, 160, 164) > 0.3).float()
    got, whole = tile(FeatureDecoder(4), [features * mask, mask], DECODER_HALO)
    assert (got - whole).abs().max() < 1e-6
    got, whole = tile(FeatureDecoder(4), [features * mask, mask], 12)
    assert (got - whole).abs().max() > 1e-6, "a halo that is too small shows"
