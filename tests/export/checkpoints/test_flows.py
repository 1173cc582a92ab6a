# SPDX-License-Identifier: Apache-2.0
"""What the folded networks compute is tested in tests/export/networks/published."""

from __future__ import annotations

import torch

from stillflow_export.checkpoints.flows import hinted_width, take_hinted_flow, take_text_flow, text_width
from stillflow_export.checkpoints.taking import Taking
from stillflow_export.networks.published.hinted_flow import HintedFlow
from stillflow_export.networks.published.text_flow import TextFlow

from ..published_checkpoints import random_tensors


def taking(tensors: dict[str, torch.Tensor]) -> Taking:
    return Taking(tensors, lambda tensor: tensor)  # type: ignore[arg-type, return-value]


def shapes(tensors: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in tensors.items()}


def test_every_tensor_of_a_flow_network_with_hints_is_used() -> None:
    found = taking(random_tensors("hinted_flow", 4))
    weights = take_hinted_flow(found, hinted_width(found.tensors))
    assert found.problems == found.left() == []
    assert shapes(weights) == shapes(HintedFlow(4).state_dict())


def test_every_tensor_of_a_flow_network_that_reads_a_text_is_used() -> None:
    found = taking(random_tensors("text_flow", 32))
    weights = take_text_flow(found, text_width(found.tensors))
    assert found.problems == found.left() == []
    assert shapes(weights) == shapes(TextFlow(32).state_dict())


def test_published_counts() -> None:
    hinted = random_tensors("hinted_flow")
    assert len(hinted) == 142
    assert sum(v.numel() for n, v in hinted.items() if not n.endswith(("weight_u", "weight_v"))) == 15_565_826
    text = random_tensors("text_flow", device="meta")
    assert len(text) == 281
    assert sum(value.numel() for value in text.values()) == 320_441_090
    with torch.device("meta"):
        assert sum(value.numel() for value in TextFlow().parameters()) == 320_441_090


def test_one_misshapen_tensor_does_not_change_the_width() -> None:
    hinted = random_tensors("hinted_flow", 4)
    for name in ("conv2.weight_orig", "conv7.weight_orig", "dconv7.weight_orig"):
        assert hinted_width({**hinted, name: torch.zeros(1, 1)}) == 4
    assert hinted_width({}) == 32
    text = random_tensors("text_flow", 32)
    for name in ("conv1.weight", "conv6.weight", "dconv7.weight"):
        assert text_width({**text, name: torch.zeros(1, 1)}) == 32
    assert text_width({}) == 320
