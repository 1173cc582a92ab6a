# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from stillflow.bundle.manifest import Tensor as Described
from stillflow.errors import StillflowError
from stillflow.sessions import open_session
from stillflow_export.gates import gate_a, require_passed
from stillflow_export.onnx_export import ExportedGraph, export_onnx
from stillflow_export.plan import GraphPlan
from stillflow_export.samples import Sample, pictures
from stillflow_export.stored_weights import (
    LARGEST,
    SMALLEST,
    as_stored,
    measure_rounding,
    pack_weights,
    rounded_network,
    unpack_weights,
)


class Normed(nn.Module):
    """Convolutions large enough to be rounded, one of them with a batch norm that is not all ones."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first = nn.Sequential(nn.Conv2d(3, 48, 3, padding=1, bias=False), nn.BatchNorm2d(48), nn.ReLU())
        self.small = nn.Conv2d(48, 1, 1)
        self.last = nn.Conv2d(48, 3, 3, padding=1)
        norm = self.first[1]
        assert norm.running_mean is not None
        assert norm.running_var is not None
        for values in (norm.weight.data, norm.running_var):
            values.uniform_(0.5, 1.5)
        for values in (norm.bias.data, norm.running_mean):
            values.uniform_(-0.5, 0.5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        return self.last(y) * torch.sigmoid(self.small(y))


def image_samples(photos: object, sizes: object = ((32, 48), (64, 32))) -> object:
    for picture in pictures((), sizes, multiple=8, long_side=64):  # type: ignore[arg-type]
        yield Sample(picture.name, {"x": np.ascontiguousarray(picture.pixels.transpose(2, 0, 1)[None])})


@pytest.fixture(scope="module")
def plan() -> GraphPlan:
    x, y = (Described(name=n, dtype="float32", shape=(1, 3, "height", "width")) for n in "xy")
    return GraphPlan(
        name="normed", what="a test", network=Normed().eval(), inputs=(x,), outputs=(y,), multiple=8,
        samples=image_samples, half_weights=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def stored(plan: GraphPlan) -> GraphPlan:
    return as_stored(plan)


@pytest.fixture(scope="module")
def graph(stored: GraphPlan) -> ExportedGraph:
    return export_onnx(stored)


def test_large_weights_become_float16_values_and_norms_go(plan: GraphPlan, stored: GraphPlan) -> None:
    assert not any(isinstance(m, nn.BatchNorm2d) for m in stored.network.modules())
    assert any(isinstance(m, nn.BatchNorm2d) for m in plan.network.modules()), (
        "the given network stays as it was"
    )
    sizes = {n: p.numel() for n, p in stored.network.named_parameters() if torch.equal(p, p.half().float())}
    assert sizes == {"first.0.weight": 1296, "last.weight": 1296}
    assert all(numel >= SMALLEST for numel in sizes.values())


def test_rounding_twice_changes_nothing(stored: GraphPlan) -> None:
    again = rounded_network(stored.network).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in stored.network.state_dict().items())


def test_weights_beyond_float16_are_left_alone() -> None:
    network = nn.Conv2d(64, 64, 1)
    with torch.no_grad():
        network.weight[0, 0] = 2 * LARGEST
    assert torch.equal(rounded_network(network).weight, network.weight)


def test_the_file_holds_halves_and_computes_what_torch_does(stored: GraphPlan, graph: ExportedGraph) -> None:
    model = onnx.load_from_string(graph.data)
    halves = [t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT16]
    assert [int(np.prod(t.dims)) for t in halves] == [1296, 1296]
    assert graph.operators["Cast"] == 2
    assert graph.operators["Conv"] == 3
    require_passed(
        gate_a(stored.network, graph.data, stored.inputs, stored.outputs, stored.samples(()), name="normed")
    )


def test_packing_changes_no_bit_of_what_comes_out(stored: GraphPlan, graph: ExportedGraph) -> None:
    model = onnx.load_from_string(graph.data)
    unpack_weights(model)
    assert not any(n.op_type == "Cast" for n in model.graph.node)
    whole = model.SerializeToString(deterministic=True)
    assert len(whole) > len(graph.data) + 2 * 2 * 1296 - 500
    for sample in stored.samples(()):
        got, expected = (
            open_session(data, "onnxruntime", name="normed").run(sample.inputs)["y"]
            for data in (graph.data, whole)
        )
        np.testing.assert_array_equal(got, expected)
    assert pack_weights(model) == 2 * 2 * 1296
    assert {n.op_type for n in model.graph.node if n.op_type == "Cast"} == {"Cast"}


def test_a_weight_that_is_no_float16_value_stays_whole() -> None:
    values = np.full((64, 64), 1.0, np.float32)
    values[3, 3] = 1.0 + 2.0**-12
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 64]) for n in "xy"]
    model = helper.make_model(
        helper.make_graph([node], "g", ends[:1], ends[1:], [numpy_helper.from_array(values, "w")])
    )
    before = model.SerializeToString()
    assert pack_weights(model) == 0
    assert model.SerializeToString() == before


def test_the_receipt_says_how_far_each_output_moved(plan: GraphPlan, stored: GraphPlan) -> None:
    receipt = json.loads(json.dumps(measure_rounding(plan, stored, plan.samples(())), allow_nan=False))
    moved = receipt["outputs"]["y"]
    assert 0 < moved["mean_abs"] <= moved["max_abs"] < 0.001 * moved["scale"]
    assert moved["worst_sample"] in receipt["samples"]
    assert len(receipt["samples"]) == 2


def test_a_network_that_rounding_spoils_is_refused(plan: GraphPlan) -> None:
    # 1 + 1/4096 is 1 as float16: the difference of two such channels, times 4096, goes from 1 to 0.
    network = nn.Sequential(nn.Conv2d(3, 400, 1, bias=False), nn.Conv2d(400, 3, 1, bias=False))
    with torch.no_grad():
        network[0].weight.fill_(1.0)
        network[0].weight[::2] += 2.0**-12
        network[1].weight[:] = 1024.0
        network[1].weight[:, 1::2] = -1024.0
    spoilt = replace(plan, network=network.eval(), samples=partial(image_samples, sizes=[(16, 16)]))
    with pytest.raises(StillflowError, match="cannot store its weights as float16") as caught:
        measure_rounding(spoilt, as_stored(spoilt), spoilt.samples(()))
    assert "procedural 16x16" in caught.value.why


def test_a_plan_without_the_wish_is_left_alone(plan: GraphPlan) -> None:
    whole = replace(plan, half_weights=False)
    assert as_stored(whole) is whole
