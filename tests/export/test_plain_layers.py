# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from stillflow.errors import StillflowError
from stillflow_export.plain_layers import OPSET, check_plain


def small_model(node: onnx.NodeProto, *domains: str) -> onnx.ModelProto:
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3]) for n in ("x", "y")]
    graph = helper.make_graph([node], "small", values[:1], values[1:])
    opsets = [helper.make_opsetid("", OPSET), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=opsets)


def test_custom_domain_is_refused() -> None:
    with pytest.raises(StillflowError, match=r"domain 'com\.example'"):
        check_plain(small_model(helper.make_node("Relu", ["x"], ["y"]), "com.example"))


def test_operator_outside_the_list_is_named() -> None:
    with pytest.raises(StillflowError, match=r"ai\.onnx\.Sinh"):
        check_plain(small_model(helper.make_node("Sinh", ["x"], ["y"])))


def test_attributes_that_engines_compute_differently_are_refused() -> None:
    def pool(ceil_mode: int) -> onnx.ModelProto:
        node = helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], ceil_mode=ceil_mode)
        values = [
            helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 1, *s])
            for n, s in (("x", (4, 4)), ("y", (3, 3)))
        ]
        graph = helper.make_graph([node], "small", values[:1], values[1:])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])

    assert check_plain(pool(0)) == {"AveragePool": 1}
    with pytest.raises(StillflowError, match="sets ceil_mode"):
        check_plain(pool(1))


def test_invalid_graph_is_refused() -> None:
    with pytest.raises(StillflowError, match=r"onnx\.checker refuses"):
        check_plain(small_model(helper.make_node("Relu", ["nowhere"], ["y"])))


def test_weights_in_another_file_are_refused() -> None:
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1, 3], [1.0, 2.0, 3.0])
    model = small_model(helper.make_node("Add", ["x", "w"], ["y"]))
    model.graph.initializer.append(weight)
    assert check_plain(model) == {"Add": 1}
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL
    with pytest.raises(StillflowError, match=r"another file|onnx\.checker"):
        check_plain(model)


def test_functions_are_refused() -> None:
    model = small_model(helper.make_node("Relu", ["x"], ["y"]), "local")
    twice = helper.make_function(
        "local",
        "Twice",
        ["a"],
        ["b"],
        [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", OPSET)],
    )
    model.functions.append(twice)
    with pytest.raises(StillflowError, match="functions of its own"):
        check_plain(model)


def cast_model(source: str, to: int, stored: type = np.float16) -> onnx.ModelProto:
    """x + cast(source), where "w" is a stored weight and "x" flows through the graph."""
    model = small_model(helper.make_node("Add", ["x", "w32"], ["y"]))
    model.graph.initializer.append(numpy_helper.from_array(np.ones((1, 3), stored), "w"))
    model.graph.node.insert(0, helper.make_node("Cast", [source], ["w32"], to=to))
    return model


def test_a_stored_half_may_be_cast_to_float32() -> None:
    assert check_plain(cast_model("w", TensorProto.FLOAT)) == {"Add": 1, "Cast": 1}


@pytest.mark.parametrize(("source", "stored"), [("x", np.float16), ("w", np.int32), ("w", np.float64)])
def test_no_other_cast_is_plain(source: str, stored: type) -> None:
    with pytest.raises(StillflowError, match="it casts " + source):
        check_plain(cast_model(source, TensorProto.FLOAT, stored))


def test_mixed_precision_may_cast_between_floats_and_nothing_else() -> None:
    also = frozenset({"Cast"})
    assert check_plain(cast_model("x", TensorProto.FLOAT), also=also) == {"Add": 1, "Cast": 1}
    model = small_model(helper.make_node("Cast", ["x"], ["y"], to=TensorProto.INT32))
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT32
    with pytest.raises(StillflowError, match="it casts x"):
        check_plain(model, also=also)


def test_more_operators_are_allowed_by_name() -> None:
    model = small_model(helper.make_node("Sinh", ["x"], ["y"]))
    assert check_plain(model, also=frozenset({"Sinh"})) == {"Sinh": 1}
