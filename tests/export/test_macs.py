# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from stillflow.errors import StillflowError
from stillflow_export.macs import graph_cost, heaviest

SIZE = {"height": 8, "width": 12}


def model(
    nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], shape: list[int | str], opset: int = 18
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    return bytes(made.SerializeToString())


def weight(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.ones(shape, dtype)


IMAGE: list[int | str] = [1, 4, "height", "width"]


def test_convolutions_by_hand() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Conv", ["a", "g"], ["c"], group=6),
        helper.make_node("ConvTranspose", ["c", "t"], ["y"], strides=[2, 2]),
    ]
    weights = {"w": weight(6, 4, 3, 3), "b": weight(6), "g": weight(6, 1, 1, 1), "t": weight(6, 5, 2, 2)}
    cost = graph_cost(model(nodes, weights, IMAGE), SIZE)
    assert [layer.shape for layer in cost.layers] == [(1, 6, 4, 6), (1, 6, 4, 6), (1, 5, 8, 12)]
    assert [layer.macs for layer in cost.layers] == [6 * 4 * 6 * 4 * 9, 6 * 4 * 6, 6 * 4 * 6 * 5 * 4]
    assert [layer.parameters for layer in cost.layers] == [6 * 4 * 9 + 6, 6, 6 * 5 * 4]
    assert cost.weight_bytes == 4 * cost.parameters
    assert cost.macs == sum(layer.macs or 0 for layer in cost.layers)
    assert not cost.unknown
    assert not cost.uncounted
    assert [layer.macs for layer in heaviest(cost, 1)] == [6 * 4 * 6 * 4 * 9]


@pytest.mark.parametrize(("turned", "shape"), [(0, [7, 5]), (1, [5, 7])])
def test_products_by_hand(turned: int, shape: list[int | str]) -> None:
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["a"], transA=turned),
        helper.make_node("MatMul", ["a", "m"], ["y"]),
    ]
    cost = graph_cost(model(nodes, {"w": weight(5, 3), "b": weight(3), "m": weight(3, 2)}, shape), {})
    assert [layer.macs for layer in cost.layers] == [7 * 3 * 5, 7 * 2 * 3]
    assert cost.parameters == 15 + 3 + 6


def test_what_is_not_counted_is_named() -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Resize", ["a", "", "s"], ["b"], mode="nearest"),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    cost = graph_cost(model(nodes, {"s": np.array([1, 1, 2, 2], np.float32)}, IMAGE), SIZE)
    assert cost.uncounted == {"Relu": 2, "Resize": 1}
    assert cost.macs == 0
    assert cost.parameters == 0, "the scales of a Resize are no weights"
    assert cost.layers[1].shape == (1, 4, 16, 24)


def test_peak_counts_what_is_alive() -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["c"]),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    one = 4 * 4 * 8 * 12
    # x and a; a and b; a, b and c; c and y
    assert graph_cost(model(nodes, {}, IMAGE), SIZE).peak_bytes == 3 * one


def test_half_of_a_dimension_and_a_dimension_without_a_size() -> None:
    data = model([helper.make_node("Relu", ["x"], ["y"])], {}, [1, 4, "height/2", "width/2"])
    assert graph_cost(data, SIZE).layers[0].shape == (1, 4, 4, 6)
    with pytest.raises(StillflowError, match="dimension 'height/2' of its input 'x' has no size"):
        graph_cost(data, {"width": 4})


def test_precision_is_that_of_the_file() -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16),
        helper.make_node("Conv", ["h", "w"], ["a"], name="half"),
        helper.make_node("Cast", ["a"], ["f"], to=TensorProto.FLOAT),
        # a weight that is kept in float16 and widened: no layer, and its reader is one in float32
        helper.make_node("Cast", ["v"], ["v32"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["f", "v32"], ["y"], name="full"),
    ]
    weights = {"w": weight(6, 4, 1, 1, dtype="float16"), "v": weight(2, 6, 1, 1, dtype="float16")}
    cost = graph_cost(model(nodes, weights, IMAGE), SIZE)
    named = {layer.name: layer.precision for layer in cost.layers}
    assert named == {"h": "fp32 to fp16", "half": "fp16", "f": "fp16 to fp32", "full": "fp32"}
    assert cost.by_precision == {"fp16": 24 * 96, "fp32": 12 * 96}
    assert (cost.parameters, cost.weight_bytes) == (36, 72)


def test_quantised_layers_are_int8() -> None:
    scale, zero = np.float32(0.1), np.int8(0)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["wd"]),
        helper.make_node("Conv", ["d", "wd"], ["y"], name="conv"),
    ]
    weights = {"w": weight(6, 4, 1, 1, dtype="int8"), "s": np.array(scale), "z": np.array(zero)}
    cost = graph_cost(model(nodes, weights, IMAGE), SIZE)
    conv = cost.layers[-1]
    assert (conv.precision, conv.parameters, conv.weight_bytes, conv.macs) == ("int8", 24, 24, 24 * 96)
    assert len(cost.layers) == 3, "dequantising a weight is no layer"


def test_weights_that_are_widened_and_then_quantised_are_weights() -> None:
    nodes = [
        helper.make_node("Cast", ["w"], ["w32"], to=TensorProto.FLOAT),
        helper.make_node("QuantizeLinear", ["w32", "s", "z"], ["wq"]),
        helper.make_node("DequantizeLinear", ["wq", "s", "z"], ["wd"]),
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("Conv", ["d", "wd"], ["y"], name="conv"),
    ]
    weights = {
        "w": weight(6, 4, 1, 1, dtype="float16"),
        "s": np.array(0.1, np.float32),
        "z": np.array(0, np.int8),
    }
    cost = graph_cost(model(nodes, weights, IMAGE), SIZE)
    assert [layer.name for layer in cost.layers] == ["q", "d", "conv"]
    assert (cost.layers[-1].precision, cost.parameters, cost.weight_bytes) == ("int8", 24, 48)


def test_shapes_of_the_default_flow_graph_are_all_known(source_tree: Path) -> None:
    path = source_tree / "engines" / "stillflow_engines" / "edge" / "flow.onnx"
    cost = graph_cost(path.read_bytes(), {"height": 96, "width": 192}, "flow")
    assert not cost.unknown
    assert 300e6 < cost.macs < 3e9
    assert 1e6 < cost.parameters < 10e6


def test_garbage_is_refused() -> None:
    for data in (b"", b"garbage", b"\x00" * 100):
        with pytest.raises(StillflowError, match="not an ONNX file"):
            graph_cost(data, SIZE)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_circles_and_empty_nodes_are_measured_or_refused(data: st.DataObject) -> None:
    names = st.sampled_from(["x", "a", "b", "w", "", "y"])
    kinds = st.sampled_from(
        ["Conv", "Cast", "Gemm", "MatMul", "Identity", "DequantizeLinear", "Constant", "Relu"]
    )
    nodes = [
        onnx.NodeProto(
            op_type=data.draw(kinds),
            input=data.draw(st.lists(names, max_size=3)),
            output=data.draw(st.lists(names, max_size=2)),
        )
        for _ in range(data.draw(st.integers(1, 4)))
    ]
    graph = onnx.GraphProto(name="g", node=nodes, initializer=[numpy_helper.from_array(weight(2, 2), "w")])
    graph.input.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, IMAGE))
    whole = helper.make_model(graph).SerializeToString()
    try:
        cost = graph_cost(whole, SIZE)
    except StillflowError as error:
        assert error.fix
    else:
        assert cost.macs >= 0
