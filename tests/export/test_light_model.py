# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from stillflow.errors import StillflowError
from stillflow_export import light_model
from stillflow_export.light_model import check_sizes, is_large, with_weights_of, without_weights
from stillflow_export.onnx_export import export_onnx
from stillflow_export.plain_layers import OPSET, check_plain
from stillflow_export.plan import GraphPlan

SIDE = 600  # 600 x 600 float32 weights are 1.4 MB: left out


def two_products(seed: int = 0) -> onnx.ModelProto:
    """y = (x a) b + c: two large weights and a small one, and a third large one that nothing reads."""
    rng = np.random.default_rng(seed)
    weights = [
        numpy_helper.from_array(rng.normal(size=size).astype(np.float32), name)
        for name, size in (("a", (SIDE, SIDE)), ("b", (SIDE, SIDE)), ("c", (SIDE,)), ("unread", (SIDE, SIDE)))
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["xa"]),
        helper.make_node("MatMul", ["xa", "b"], ["xab"]),
        helper.make_node("Add", ["xab", "c"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["rows", SIDE]) for n in "xy"]
    graph = helper.make_graph(nodes, "products", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])


def test_large_weights_become_inputs_and_small_ones_stay() -> None:
    light = without_weights(two_products())
    assert len(light.SerializeToString()) < 10_000
    assert [v.name for v in light.graph.input] == ["x", "a", "b", "unread"]
    assert [t.name for t in light.graph.initializer] == ["c"]
    onnx.checker.check_model(light, full_check=True)


def test_weights_come_back_to_what_still_reads_them() -> None:
    model, expected = two_products(), two_products()
    light = without_weights(model)
    light.graph.node[2].op_type = "Sub"
    made = with_weights_of(model, light)
    assert made is model
    assert sorted(t.name for t in made.graph.initializer) == ["a", "b", "c"]
    assert [v.name for v in made.graph.input] == ["x"]
    assert [n.op_type for n in made.graph.node] == ["MatMul", "MatMul", "Sub"]
    kept = {t.name: numpy_helper.to_array(t) for t in made.graph.initializer}
    for tensor in expected.graph.initializer:
        if tensor.name in kept:
            np.testing.assert_array_equal(kept[tensor.name], numpy_helper.to_array(tensor))
    onnx.checker.check_model(made, full_check=True)


def test_a_weight_that_is_cut_off_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    model = two_products()
    check_sizes(model)
    model.graph.initializer[1].raw_data = model.graph.initializer[1].raw_data[:-4]
    with pytest.raises(ValueError, match="weight b holds"):
        check_sizes(model)
    monkeypatch.setattr(light_model, "LARGE_MODEL", 1 << 20)
    with pytest.raises(StillflowError, match="weight b holds"):
        check_plain(model)


def test_a_large_model_is_checked_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    model = two_products()
    assert not is_large(model)
    expected = check_plain(model)
    monkeypatch.setattr(light_model, "LARGE_MODEL", 1 << 20)
    assert is_large(model)
    assert check_plain(model) == expected == {"Add": 1, "MatMul": 2}
    model.graph.node[0].op_type = "Mod"
    with pytest.raises(StillflowError, match="Mod"):
        check_plain(model)


def test_a_network_exported_without_its_weights_at_hand_is_the_same(
    flow_plan: GraphPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = onnx.load_from_string(export_onnx(flow_plan).data)
    monkeypatch.setattr(light_model, "LARGE_MODEL", 0)
    monkeypatch.setattr(light_model, "LARGE_WEIGHT", 1000)
    light = onnx.load_from_string(export_onnx(flow_plan).data)
    assert [n.op_type for n in light.graph.node] == [n.op_type for n in whole.graph.node]
    first, second = (
        sorted(numpy_helper.to_array(t).tobytes() for t in m.graph.initializer) for m in (whole, light)
    )
    assert first == second
