# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from stillflow_export import cli


@pytest.fixture(scope="module")
def golden(source_tree: Path) -> Path:
    return source_tree / "tests" / "data" / "bundles" / "golden-1.0"


def broken_flow(path: Path, target: Path, node_name: str) -> Path:
    """Write a copy of a graph in which one convolution is 10 % too strong."""
    model = onnx.load(path)
    (node,) = [node for node in model.graph.node if node.name == node_name]
    # A weight may be stored in float16, with a Cast behind it.
    casts = {n.output[0]: n.input[0] for n in model.graph.node if n.op_type == "Cast"}
    name = casts.get(node.input[1], node.input[1])
    (weight,) = [w for w in model.graph.initializer if w.name == name]
    array = numpy_helper.to_array(weight).copy()
    array *= array.dtype.type(1.1)
    weight.CopyFrom(numpy_helper.from_array(array, weight.name))
    onnx.save(model, target)
    return target


def test_two_engines_agree_on_the_golden_bundle(golden: Path, tmp_path: Path, capsys: Any) -> None:
    plot, figures = tmp_path / "plot.svg", tmp_path / "figures.json"
    words = ["compare", str(golden), "@openvino", "--threads", "1", "-o", str(plot), "-o", str(figures)]
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    assert "A  flow of golden-1.0, fp32, on onnxruntime" in said
    assert "no layer jumps" in said
    assert "no layer exceeds 0.0001" in said
    assert "marking changes the outputs of" in said
    ElementTree.parse(plot)
    found = json.loads(figures.read_text())
    assert found["exceeds"] is None
    assert len(found["layers"]) == found["matched"]


def test_a_broken_layer_of_the_default_flow_graph_is_named(
    source_tree: Path, tmp_path: Path, capsys: Any
) -> None:
    path = source_tree / "engines" / "stillflow_engines" / "edge" / "flow.onnx"
    convs = [n.name for n in onnx.load(path).graph.node if n.op_type == "Conv"]
    broken = broken_flow(path, tmp_path / "broken.onnx", convs[len(convs) // 2])
    for more in ([], ["--bisect"]):
        words = ["compare", "edge", str(broken), "--graph", "flow", "--count", "1", "--json", *more]
        assert cli.main(words) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["exceeds"]["node"] == convs[len(convs) // 2]


def test_inputs_and_photos(golden: Path, tmp_path: Path, source_tree: Path, capsys: Any) -> None:
    np.savez(tmp_path / "in.npz", photo=np.zeros((1, 3, 32, 32)), hints=np.zeros((1, 6, 32, 32)))
    words = ["compare", str(golden), "@openvino", "--json"]
    assert cli.main([*words, "--inputs", str(tmp_path / "in.npz")]) == 0
    assert json.loads(capsys.readouterr().out)["samples"] == ["in.npz"]
    assert cli.main([*words, "--photos", str(source_tree / "samples"), "--count", "2"]) == 0
    assert len(json.loads(capsys.readouterr().out)["samples"]) == 2


def test_mistakes_are_explained(golden: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "empty").mkdir()
    bundle = str(golden)
    for words, why in (
        ([bundle, bundle], "both sides are the same"),
        ([bundle, "@abacus"], "does not know it"),
        ([bundle, "@openvino", "--inputs", str(tmp_path / "none.npz")], "no such file"),
        ([bundle, "@openvino", "--photos", str(tmp_path / "empty")], "no .jpg"),
        ([bundle, "@openvino", "--photos", "x", "--inputs", "y"], "leave one out"),
        ([bundle, "@openvino", "-o", str(tmp_path / "x.png")], "ends in '.png'"),
        ([bundle, "@openvino", "--threshold", "0"], "threshold"),
    ):
        assert cli.main(["compare", *words]) == 2
        said = capsys.readouterr().err
        assert why in said
        assert "fix:" in said or "see:" in said
        assert "Traceback" not in said
