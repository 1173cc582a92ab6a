# SPDX-License-Identifier: Apache-2.0
"""What the manifest says of our networks is what the networks do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from stillflow import flow, generator
from stillflow.errors import StillflowError
from stillflow_export.graphs import MULTIPLE, own_trained, training_receipt
from stillflow_export.networks.flow import build_flow_network
from stillflow_export.networks.generator import build_generator_network

BUILD: dict[str, Callable[[], nn.Module]] = {
    "flow": build_flow_network,
    "generator": build_generator_network,
}


@pytest.mark.parametrize("name", BUILD)
def test_networks_have_the_described_inputs_and_outputs(name: str) -> None:
    (plan,) = own_trained(name, BUILD[name]()).plans
    sizes = {"height": 64, "width": 96, "height/2": 32, "width/2": 48}
    inputs = [torch.zeros([sizes.get(d, d) for d in tensor.shape]) for tensor in plan.inputs]
    with torch.no_grad():
        made = plan.network.eval()(*inputs)
    shapes = [tuple(sizes.get(d, d) for d in tensor.shape) for tensor in plan.outputs]
    assert [tuple(value.shape) for value in made] == shapes
    assert all(tensor.meaning for tensor in (*plan.inputs, *plan.outputs))


def test_the_runtime_works_at_the_sizes_that_are_written_down() -> None:
    assert flow.MULTIPLE == generator.MULTIPLE == MULTIPLE
    for name, side in (("flow", flow.LONG_SIDE), ("generator", generator.LONG_SIDE)):
        assert own_trained(name, nn.Identity()).plans[0].long_side == side


def test_a_receipt_says_where_the_weights_came_from_and_at_what_size(sample_photo: Path) -> None:
    receipt = {"step": 7, "command": "python -m recipe", "config": {"long_side": 96}}
    trained = own_trained("flow", nn.Identity(), Path("flow.safetensors"), receipt)
    assert trained.source == "trained from nothing by `python -m recipe`, 7 steps"
    (plan,) = trained.plans
    assert plan.long_side == 96
    assert list(plan.samples([sample_photo]))[-1].inputs["photo"].shape == (1, 3, 64, 96)
    assert own_trained("flow", nn.Identity()).source == "trained with stillflow_training"


def test_only_our_own_graphs_are_known() -> None:
    with pytest.raises(KeyError):
        own_trained("decoder", nn.Identity())


def test_the_receipt_beside_weights_is_read_or_refused(tmp_path: Path) -> None:
    assert training_receipt(tmp_path / "flow.safetensors") is None
    beside = tmp_path / "flow.receipt.json"
    beside.write_text('{"step": 5}')
    assert training_receipt(tmp_path / "flow.safetensors") == {"step": 5}
    for content in ("[1", "[1]", "[" * 100_000):
        beside.write_text(content)
        with pytest.raises(StillflowError, match="receipt"):
            training_receipt(tmp_path / "flow.safetensors")
