# SPDX-License-Identifier: Apache-2.0
"""What the manifest says of our networks is what the networks do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from stillflow import flow, generator
from stillflow_export.graphs import INPUTS, LONG_SIDE, MULTIPLE, OUTPUTS, describe
from stillflow_export.networks.flow import build_flow_network
from stillflow_export.networks.generator import build_generator_network


@pytest.mark.parametrize(
    ("name", "build"), [("flow", build_flow_network), ("generator", build_generator_network)]
)
def test_networks_have_the_described_inputs_and_outputs(name: str, build: Callable[[], nn.Module]) -> None:
    sizes = {"height": 64, "width": 96, "height/2": 32, "width/2": 48}
    inputs = [torch.zeros([sizes.get(d, d) for d in tensor.shape]) for tensor in INPUTS[name]]
    with torch.no_grad():
        made = build().eval()(*inputs)
    shapes = [tuple(sizes.get(d, d) for d in tensor.shape) for tensor in OUTPUTS[name]]
    assert [tuple(value.shape) for value in made] == shapes


def test_the_runtime_works_at_the_sizes_that_are_written_down() -> None:
    assert flow.LONG_SIDE < generator.LONG_SIDE == LONG_SIDE
    assert flow.MULTIPLE == generator.MULTIPLE == MULTIPLE


def test_describe_fills_in_file_and_hash() -> None:
    graph = describe("flow", "flow.onnx", "0" * 64)
    assert (graph.name, graph.file, graph.sha256, graph.precision) == ("flow", "flow.onnx", "0" * 64, "fp32")
    assert all(tensor.meaning for tensor in (*graph.inputs, *graph.outputs))
