# SPDX-License-Identifier: Apache-2.0
"""Background and alphas of published size against the published formulas, from random tensors."""

from __future__ import annotations

from itertools import islice

import torch

from ... import published_reference as published
from .conftest import Pair

TOLERANCE = 1e-5
"""Outputs are of the order of 1. Asked for is 1e-4."""


def test_background_and_alpha_encoder_reproduce_the_formulas(layered: Pair) -> None:
    sample = next(iter(layered.plans["background"].samples([])))
    photo = torch.from_numpy(sample.inputs["photo"])
    expected = published.background(layered.tensors, photo)
    assert (layered.network("background")(photo) - expected).abs().max() < TOLERANCE
    assert expected.std() > 0.1
    still, fluid = layered.network("alpha_encoder")(photo)
    for got, logit in zip(
        (still, fluid), published.encode(layered.tensors, photo, "net_alpha_encoder"), strict=True
    ):
        assert (got - logit).abs().max() < TOLERANCE
        assert logit.std() > 0.1


def test_alpha_decoder_reproduces_the_formulas(layered: Pair) -> None:
    for sample in islice(layered.plans["alpha_decoder"].samples([]), 2):
        features, mask = (torch.from_numpy(sample.inputs[name]) for name in ("features", "mask"))
        assert features.shape[1] == 65
        alpha, closed = layered.network("alpha_decoder")(features, mask)
        expected, last = published.decode(layered.tensors, features, "net_alpha_decoder")
        assert (alpha - torch.sigmoid(expected)).abs().max() < TOLERANCE, sample.name
        assert torch.equal(closed, last)
