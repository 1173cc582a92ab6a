# SPDX-License-Identifier: Apache-2.0
"""The flow network that reads a text, narrow, against the published formulas, from random tensors."""

from __future__ import annotations

import torch

from stillflow_export.networks.published.text_flow import down_channels, up_channels

from ... import published_reference as published
from .conftest import Pair

TOLERANCE = 5e-5
"""At velocities of some pixels a frame. Asked for is 1e-4."""


def test_channels_are_the_published_ones() -> None:
    assert [o for _, o in down_channels(320)] == [320, 320, 640, 640, 640, 1280, 1280, 1280]
    assert up_channels(320) == (
        (1280, 1280), (2560, 1280), (2560, 640), (1280, 640), (1280, 640), (1280, 320), (640, 320), (640, 2),
    )  # fmt: skip


def test_it_reproduces_the_formulas(text: Pair) -> None:
    for sample in text.plans["scene_flow"].samples([]):
        photo, mask, context = (
            torch.from_numpy(sample.inputs[name]) for name in ("photo", "mask", "context")
        )
        expected = published.text_flow(text.tensors, torch.cat([photo, mask], 1), context)
        assert (text.network("scene_flow")(photo, mask, context) - expected).abs().max() < TOLERANCE, (
            sample.name
        )
        assert 0.1 < expected.std() < 10


def test_the_text_matters(text: Pair) -> None:
    sample = next(iter(text.plans["scene_flow"].samples([])))
    photo, mask, context = (torch.from_numpy(sample.inputs[name]) for name in ("photo", "mask", "context"))
    network = text.network("scene_flow")
    assert (network(photo, mask, context) - network(photo, mask, context.flip(2))).abs().max() > 0.01
