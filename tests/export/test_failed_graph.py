# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from stillflow.errors import StillflowError
from stillflow_export import cli
from stillflow_export.failed_graph import keep_failed
from stillflow_export.gates import GateReceipt, gate_a
from stillflow_export.onnx_export import ExportedGraph
from stillflow_export.plan import GraphPlan


def broken(data: bytes) -> bytes:
    """The tiny flow network with one weight of its last convolution changed."""
    model = onnx.load_from_string(data)
    tensor = next(t for t in model.graph.initializer if "heads" in t.name and len(t.dims) == 4)
    values = numpy_helper.to_array(tensor).copy()
    values[0, 0, 1, 1] += 1
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return model.SerializeToString()


def judged(plan: GraphPlan, data: bytes) -> GateReceipt:
    return gate_a(plan.network, data, plan.inputs, plan.outputs, plan.samples(()), name=plan.name)


def test_compare_reads_what_was_kept_and_names_the_layer(
    flow_plan: GraphPlan, exported: ExportedGraph, tmp_path: Path, capsys: Any
) -> None:
    bad = broken(exported.data)
    receipt = judged(flow_plan, bad)
    (tmp_path / "flow.onnx").write_bytes(exported.data)
    graph, inputs = keep_failed(tmp_path / "flow.onnx", bad, receipt, flow_plan, ())
    assert (graph.name, inputs.name) == ("flow.failed.onnx", "flow.failed.npz")
    assert graph.read_bytes() == bad
    assert not json.loads((tmp_path / "flow.failed.receipt.json").read_text())["passed"]
    worst = receipt.outputs["classes"].worst_sample
    sample = next(s for s in flow_plan.samples(()) if s.name == worst)
    with np.load(inputs) as arrays:
        assert all(np.array_equal(arrays[name], value) for name, value in sample.inputs.items())
    arguments = [str(tmp_path / "flow.onnx"), str(graph), "--inputs", str(inputs), "--json"]
    assert cli.main(["compare", *arguments]) == 0
    found = json.loads(capsys.readouterr().out)
    convolutions = [n for n in onnx.load_from_string(bad).graph.node if n.op_type == "Conv"]
    assert found["jumps"]["node"] == convolutions[-1].name


def test_a_folder_that_is_not_there(flow_plan: GraphPlan, exported: ExportedGraph, tmp_path: Path) -> None:
    bad = broken(exported.data)
    with pytest.raises(StillflowError, match="cannot write"):
        keep_failed(tmp_path / "no" / "flow.onnx", bad, judged(flow_plan, bad), flow_plan, ())
