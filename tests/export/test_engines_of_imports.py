# SPDX-License-Identifier: Apache-2.0
"""Engines of an imported generator: its real layers, narrow and with random weights, really built and read back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

torch = pytest.importorskip("torch", reason="export needs the extra: pip install 'stillflow[export]'")

from stillflow.build.adapter import find_module  # noqa: E402
from stillflow.build.layers import named_nodes  # noqa: E402
from stillflow.build.plan import settings_for  # noqa: E402
from stillflow.build.process import run_child  # noqa: E402
from stillflow.build.profile import load_profile  # noqa: E402
from stillflow.build.request import Request, Result  # noqa: E402
from stillflow.bundle import Bundle  # noqa: E402
from stillflow.bundle.manifest import Graph  # noqa: E402
from stillflow_export.onnx_export import export_onnx  # noqa: E402
from stillflow_export.plan import GraphPlan  # noqa: E402
from stillflow_export.published_graphs import generator_parts, generator_plans  # noqa: E402

WIDTH = 2
"""Channels of the first blocks; published ones have 32. The exporter's time goes by layers, not by channels."""

pytestmark = pytest.mark.skipif(
    find_module("tensorrt_rtx") is None, reason="TensorRT-RTX is not installed: pip install 'stillflow[rtx]'"
)


@pytest.fixture(scope="module")
def plans() -> dict[str, GraphPlan]:
    torch.manual_seed(5)
    parts = {name: part.eval() for name, part in generator_parts(WIDTH, layered=False).items()}
    return {plan.name: plan for plan in generator_plans(parts, WIDTH)}


@pytest.fixture
def build(tmp_path: Path) -> Callable[[GraphPlan, bytes], Result]:
    """Build one graph in a child, for tiles of the size that this library takes."""

    def call(plan: GraphPlan, data: bytes) -> Result:
        graph = Graph(
            name=plan.name,
            what=plan.what,
            file=f"{plan.name}.onnx",
            sha256=hashlib.sha256(data).hexdigest(),
            opset=18,
            inputs=plan.inputs,
            outputs=plan.outputs,
            multiple=plan.multiple,
            long_side=plan.long_side,
            halo=plan.halo,
        )
        manifest = Bundle.open("edge").manifest
        settings, notes = settings_for(manifest, graph, load_profile("rtx-4090"), "tensorrt_rtx")
        assert not notes
        request = Request(
            builder="tensorrt_rtx",
            graph=plan.name,
            precision="fp32",
            onnx=graph.file,
            settings=settings,
            timing=None,
            engine=f"{plan.name}.engine",
            layers="layers.json",
        )
        (tmp_path / graph.file).write_bytes(data)
        (tmp_path / "request.json").write_bytes(msgspec.json.encode(request))
        return run_child(
            tmp_path / "request.json", plan.name, timeout=120, progress=lambda phase, done, of: None
        )

    return call


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_engine_of(
    name: str, plans: dict[str, GraphPlan], build: Callable[[GraphPlan, bytes], Result], tmp_path: Path
) -> None:
    plan = plans[name]
    data = export_onnx(plan).data
    result = build(plan, data)
    assert result.error is None
    layers = json.loads((tmp_path / "layers.json").read_text())["layers"]
    assert len(layers) == result.layers
    convolutions = [layer for layer in layers if layer["type"] == "CONVOLUTION"]
    wanted = sum(isinstance(part, torch.nn.Conv2d) for part in plan.network.modules())
    assert len(convolutions) >= wanted > 5
    assert {layer["outputs"][0]["dtype"] for layer in convolutions} == {"float32"}
    # What the engine's own bytes say: every convolution of the file is in it.
    inside = set(named_nodes((tmp_path / f"{name}.engine").read_bytes()))
    assert {layer["onnx"].removeprefix("[ONNX Layer: ").removesuffix("]") for layer in convolutions} <= inside
    outputs = {output["name"]: output for layer in layers for output in layer["outputs"]}
    for tensor in plan.outputs:
        assert outputs[tensor.name]["shape"] == [
            side if isinstance(side, int) else -1 for side in tensor.shape
        ]
