# SPDX-License-Identifier: Apache-2.0
"""A gate is worth what it refuses: most of these tests break a graph and want to see it fail."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import onnx
import pytest
import torch
from torch import nn

from stillflow.bundle.manifest import Tensor
from stillflow.errors import StillflowError
from stillflow_export.gates import GATE_A, GateReceipt, gate_a, require_passed
from stillflow_export.graphs import FLOW_INPUTS, FLOW_OUTPUTS
from stillflow_export.onnx_export import ExportedGraph
from stillflow_export.plan import GraphPlan
from stillflow_export.samples import flow_samples

SIZES = ((64, 64), (96, 160))

FLOW_NAMES = {tensor.name for tensor in FLOW_OUTPUTS}


def judge(network: nn.Module, data: bytes) -> GateReceipt:
    return gate_a(network, data, FLOW_INPUTS, FLOW_OUTPUTS, flow_samples(sizes=SIZES), name="flow")


def test_a_sound_graph_passes_far_inside_the_tolerance(flow_plan: GraphPlan, exported: ExportedGraph) -> None:
    receipt = judge(flow_plan.network, exported.data)
    require_passed(receipt)
    assert receipt.passed
    assert all(0 <= r.max_abs < GATE_A.absolute / 10 for r in receipt.outputs.values())
    assert all(r.scale > 0 for r in receipt.outputs.values())


def test_the_receipt_is_plain_json_and_complete(flow_plan: GraphPlan, exported: ExportedGraph) -> None:
    content = json.loads(json.dumps(judge(flow_plan.network, exported.data).as_json(), allow_nan=False))
    assert content["gate"] == "A"
    assert content["tolerance"] == {"absolute": 1e-4, "relative": 1e-4}
    assert set(content["outputs"]) == FLOW_NAMES
    assert content["outputs"]["velocity"]["worst_sample"] in content["samples"]
    assert {"torch", "engine", "onnx", "onnxslim"} <= set(content["versions"])


def weight(model: onnx.ModelProto, part: str) -> onnx.TensorProto:
    return next(t for t in model.graph.initializer if part in t.name and len(t.dims) == 4)


def one_weight_changed(model: onnx.ModelProto) -> None:
    tensor = weight(model, "heads")
    values = onnx.numpy_helper.to_array(tensor).copy()
    values[12, 3, 1, 1] += 0.01
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def one_weight_nan(model: onnx.ModelProto) -> None:
    tensor = weight(model, "heads")
    values = onnx.numpy_helper.to_array(tensor).copy()
    values[0, 0, 0, 0] = np.nan
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def halves_swapped(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        if node.op_type == "Concat":
            node.input[:] = [node.input[1], node.input[0]]
            return


def other_interpolation(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        if node.op_type == "Resize":
            for attribute in node.attribute:
                if attribute.name == "mode":
                    attribute.s = b"linear"


def activation_dropped(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        if node.op_type == "Relu":
            node.op_type = "Identity"


BROKEN = {
    "one weight changed": (one_weight_changed, {"velocity"}),
    "one weight NaN": (one_weight_nan, {"classes"}),
    "inputs swapped": (halves_swapped, FLOW_NAMES),
    "other interpolation": (other_interpolation, FLOW_NAMES),
    "activation dropped": (activation_dropped, FLOW_NAMES),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_graph_fails_where_it_is_broken(
    kind: str, flow_plan: GraphPlan, exported: ExportedGraph
) -> None:
    spoil: Callable[[onnx.ModelProto], None]
    spoil, where = BROKEN[kind]
    model = onnx.load_from_string(exported.data)
    spoil(model)
    assert model.SerializeToString() != exported.data
    receipt = judge(flow_plan.network, model.SerializeToString())
    assert not receipt.passed
    assert {name for name, report in receipt.outputs.items() if not report.passed} == where
    json.dumps(receipt.as_json(), allow_nan=False)
    with pytest.raises(StillflowError, match="fails gate A") as caught:
        require_passed(receipt)
    assert "procedural" in caught.value.why


def test_a_graph_of_other_weights_fails(flow_plan: GraphPlan, exported: ExportedGraph) -> None:
    other = copy.deepcopy(flow_plan.network)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.001)
    assert not judge(other, exported.data).passed


def test_a_gate_without_samples_does_not_pass(flow_plan: GraphPlan, exported: ExportedGraph) -> None:
    with pytest.raises(StillflowError, match="no samples"):
        gate_a(flow_plan.network, exported.data, FLOW_INPUTS, FLOW_OUTPUTS, (), name="flow")


def test_the_absolute_allowance_counts_in_units_of_the_output(
    flow_plan: GraphPlan, exported: ExportedGraph
) -> None:
    """In a range of 64 a velocity may be off by 64 times as much, and no more; without a range nothing changes."""
    wide = [
        msgspec.structs.replace(t, range=(-64.0, 64.0)) if t.name == "velocity" else t for t in FLOW_OUTPUTS
    ]
    sample = next(flow_samples(sizes=SIZES[:1]))

    class Shifted(nn.Module):
        def __init__(self, by: float) -> None:
            super().__init__()
            self.by = by

        def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
            made = flow_plan.network(*inputs)
            return tuple(m + self.by * (t.name == "velocity") for t, m in zip(wide, made, strict=True))

    def passed(by: float, outputs: Sequence[Tensor]) -> bool:
        return gate_a(Shifted(by), exported.data, FLOW_INPUTS, outputs, [sample], name="flow").passed

    assert passed(50 * GATE_A.absolute, wide) and not passed(80 * GATE_A.absolute, wide)
    assert not passed(5 * GATE_A.absolute, FLOW_OUTPUTS)
