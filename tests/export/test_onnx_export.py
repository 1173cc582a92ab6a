# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from stillflow.bundle.manifest import Tensor as Described
from stillflow.errors import StillflowError
from stillflow_export.graphs import FLOW_INPUTS, FLOW_OUTPUTS, OPSET
from stillflow_export.onnx_export import PLAIN_LAYERS, ExportedGraph, check_plain, export_onnx, write_onnx


@pytest.fixture(scope="session")
def model(exported: ExportedGraph) -> onnx.ModelProto:
    return onnx.load_from_string(exported.data)


def dimensions(values: object) -> dict[str, list[object]]:
    return {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in values  # type: ignore[attr-defined]
    }


def test_dimensions_carry_the_manifests_names(model: onnx.ModelProto) -> None:
    assert dimensions(model.graph.input) == {t.name: list(t.shape) for t in FLOW_INPUTS}
    assert dimensions(model.graph.output) == {t.name: list(t.shape) for t in FLOW_OUTPUTS}


def test_plain_layers_of_the_said_opset(model: onnx.ModelProto, exported: ExportedGraph) -> None:
    assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)]
    assert set(exported.operators) <= PLAIN_LAYERS
    assert exported.operators["Conv"] == 3
    assert "BatchNormalization" not in exported.operators, "batch norms are folded into their convolutions"
    assert not {"Shape", "Gather"} & set(exported.operators), "no arithmetic of sizes is left"


def test_metadata_says_what_and_who(model: onnx.ModelProto) -> None:
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert said["name"] == "flow"
    assert said["licence"] == "Apache-2.0"
    assert said["exporter"].startswith("torch ")
    assert model.producer_name == "stillflow-export"


def test_no_path_and_no_stack_trace_is_left(exported: ExportedGraph) -> None:
    assert not re.findall(rb"/(?:home|root|Users|work|tmp)/\w+|stack_trace|\.py\b", exported.data)


def test_small_constants_survive(model: onnx.ModelProto) -> None:
    # 1e-9 under the square root of the tiny network: the exporter's own optimiser drops it.
    values = [float(onnx.numpy_helper.to_array(t)) for t in model.graph.initializer if not t.dims]
    constants = [
        float(onnx.numpy_helper.to_array(n.attribute[0].t).reshape(-1)[0])
        for n in model.graph.node
        if n.op_type == "Constant"
    ]
    assert any(abs(value - 1e-9) < 1e-12 for value in (*values, *constants))


class Odd(nn.Module):
    """One input and one output, with whatever in between."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        x = x * self.weight
        if self.kind == "grid":
            grid = x.permute(0, 2, 3, 1)[..., :2]
            return nn.functional.grid_sample(x, grid, align_corners=False)
        if self.kind == "scatter":
            return x.scatter_add(2, torch.zeros_like(x, dtype=torch.int64), x)
        if self.kind == "random":
            return x + torch.rand_like(x)
        if self.kind == "branch":
            return x if float(x.sum()) > 0 else -x
        return x


ONE = (Described(name="x", dtype="float32", shape=(1, 3, "height", "width")),)
OUT = (Described(name="y", dtype="float32", shape=(1, 3, "height", "width")),)


@pytest.mark.parametrize("kind", ["grid", "scatter", "random", "branch"])
def test_what_is_no_plain_layer_is_refused(kind: str) -> None:
    with pytest.raises(StillflowError, match="cannot export the network odd") as caught:
        export_onnx(Odd(kind), ONE, OUT, name="odd")
    assert "plain layers" in caught.value.fix


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(value: float) -> None:
    network = Odd("none")
    nn.init.constant_(network.weight, value)
    with pytest.raises(StillflowError, match="weight weight holds NaN or infinite"):
        export_onnx(network, ONE, OUT, name="odd")


def small_model(node: onnx.NodeProto, *domains: str) -> onnx.ModelProto:
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3]) for n in ("x", "y")]
    graph = helper.make_graph([node], "small", values[:1], values[1:])
    opsets = [helper.make_opsetid("", OPSET), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=opsets)


def test_custom_domain_is_refused() -> None:
    with pytest.raises(StillflowError, match=r"domain 'com\.example'"):
        check_plain(small_model(helper.make_node("Relu", ["x"], ["y"]), "com.example"))


def test_operator_outside_the_list_is_named() -> None:
    with pytest.raises(StillflowError, match=r"ai\.onnx\.Erf"):
        check_plain(small_model(helper.make_node("Erf", ["x"], ["y"])))


def test_invalid_graph_is_refused() -> None:
    with pytest.raises(StillflowError, match=r"onnx\.checker refuses"):
        check_plain(small_model(helper.make_node("Relu", ["nowhere"], ["y"])))


def test_weights_in_another_file_are_refused(tmp_path: Path) -> None:
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1, 3], [1.0, 2.0, 3.0])
    model = small_model(helper.make_node("Add", ["x", "w"], ["y"]))
    model.graph.initializer.append(weight)
    assert check_plain(model) == {"Add": 1}
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL
    with pytest.raises(StillflowError, match=r"another file|onnx\.checker"):
        check_plain(model)


def test_write_leaves_both_files_or_none(tmp_path: Path) -> None:
    write_onnx(tmp_path / "a.onnx", b"graph", {"passed": True})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.onnx", "a.receipt.json"]
    with pytest.raises(StillflowError, match="cannot write"):
        write_onnx(tmp_path / "none" / "a.onnx", b"graph", {})
