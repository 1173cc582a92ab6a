# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from stillflow.bundle.manifest import Tensor as Described
from stillflow.errors import StillflowError
from stillflow.sessions import open_session
from stillflow_export import onnx_export
from stillflow_export.gates import run_network
from stillflow_export.graphs import FLOW_INPUTS, FLOW_OUTPUTS
from stillflow_export.onnx_export import ExportedGraph, export_onnx, write_onnx
from stillflow_export.plain_layers import OPSET, PLAIN_LAYERS
from stillflow_export.plan import GraphPlan


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

    def __init__(self, kind: str = "none") -> None:
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
        if self.kind == "half":
            return x.half()
        if self.kind == "coarse":
            return nn.functional.avg_pool2d(x, 2)
        return x


def image(name: str, channels: int = 3) -> Described:
    return Described(name=name, dtype="float32", shape=(1, channels, "height", "width"))


def plan_of(network: nn.Module, **fields: Any) -> GraphPlan:
    """A plan for a network with one image in and one out, unless said otherwise."""
    said = {"inputs": (image("x"),), "outputs": (image("y"),), "multiple": 2, **fields}
    return GraphPlan(name="odd", what="a test", network=network, samples=lambda photos: iter(()), **said)


@pytest.mark.parametrize("kind", ["grid", "scatter", "random", "branch"])
def test_what_is_no_plain_layer_is_refused(kind: str) -> None:
    with pytest.raises(StillflowError, match="cannot export the network odd") as caught:
        export_onnx(plan_of(Odd(kind)))
    assert "plain layers" in caught.value.fix


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(value: float) -> None:
    network = Odd()
    nn.init.constant_(network.weight, value)
    with pytest.raises(StillflowError, match="weight weight holds NaN or infinite"):
        export_onnx(plan_of(network))


class Told(nn.Module):
    """An image and a text of fixed length, as networks that listen to a prompt have them."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(2, 4, 3, stride=2, padding=1)
        self.words = nn.Linear(6, 4)

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        y = self.down(x) * self.words(context).mean(1)[..., None, None]
        return nn.functional.interpolate(y, scale_factor=2.0, mode="bilinear"), y[:, :1]


def told_plan() -> GraphPlan:
    torch.manual_seed(0)
    half = Described(name="half", dtype="float32", shape=(1, 1, "height/2", "width/2"))
    context = Described(name="context", dtype="float32", shape=(1, 5, 6))
    inputs, outputs = (image("x", 2), context), (image("y", 4), half)
    return plan_of(Told(), inputs=inputs, outputs=outputs, multiple=8, halo=3)


@pytest.fixture(scope="session")
def told() -> ExportedGraph:
    return export_onnx(told_plan(), metadata={"licence": "MIT"})


def test_fixed_inputs_stay_fixed_and_sides_are_free(told: ExportedGraph) -> None:
    model = onnx.load_from_string(told.data)
    assert dimensions(model.graph.input) == {"x": [1, 2, "height", "width"], "context": [1, 5, 6]}
    session = open_session(told.data, "onnxruntime", name="told")
    rng = np.random.default_rng(0)
    for height, width in ((8, 8), (16, 40)):
        arrays = {"x": rng.normal(size=(1, 2, height, width)), "context": rng.normal(size=(1, 5, 6))}
        arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
        y, half = run_network(told_plan().network, list(arrays.values()))
        got = session.run(arrays)
        np.testing.assert_allclose(got["y"], y, atol=1e-5)
        np.testing.assert_allclose(got["half"], half, atol=1e-5)


def test_metadata_says_what_sides_divide_by(told: ExportedGraph) -> None:
    said = {entry.key: entry.value for entry in onnx.load_from_string(told.data).metadata_props}
    assert said == {
        "name": "odd",
        "licence": "MIT",
        "multiple": "8",
        "halo": "3",
        "exporter": f"torch {torch.__version__} dynamo",
    }


def test_the_same_network_gives_the_same_bytes(told: ExportedGraph) -> None:
    assert export_onnx(told_plan(), metadata={"licence": "MIT"}).data == told.data


def test_a_network_that_is_no_network_of_float32_is_refused() -> None:
    with pytest.raises(StillflowError, match="y is not float32"):
        export_onnx(plan_of(Odd("half")))


def test_outputs_of_another_size_than_said_are_refused() -> None:
    fixed = Described(name="y", dtype="float32", shape=(1, 3, 8, 8))
    for plan in (plan_of(Odd(), outputs=(fixed,)), plan_of(Odd(), outputs=(image("y", 4),))):
        with pytest.raises(StillflowError, match="y came out as"):
            export_onnx(plan)


def test_another_number_of_outputs_than_said_is_refused() -> None:
    with pytest.raises(StillflowError, match="cannot export the network odd"):
        export_onnx(plan_of(Odd(), outputs=(image("y"), image("z"))))


def test_a_file_above_two_gibibytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "MAX_FILE_BYTES", 100)
    with pytest.raises(StillflowError, match="2 GiB"):
        export_onnx(plan_of(Odd()))


def test_write_leaves_both_files_or_none(tmp_path: Path) -> None:
    write_onnx(tmp_path / "a.onnx", b"graph", {"passed": True})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.onnx", "a.receipt.json"]
    with pytest.raises(StillflowError, match="cannot write"):
        write_onnx(tmp_path / "none" / "a.onnx", b"graph", {})
    (tmp_path / "b.onnx").mkdir()
    with pytest.raises(StillflowError, match="not a plain file"):
        write_onnx(tmp_path / "b.onnx", b"graph", {"passed": True})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.onnx", "a.receipt.json", "b.onnx"]
