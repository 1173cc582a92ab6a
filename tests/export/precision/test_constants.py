# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import numpy_helper

from stillflow_export.precision.constants import constants_to_weights, copy_of


def test_constant_nodes_and_stored_weights_become_initializers(written: Callable[..., bytes]) -> None:
    data = written(
        "c = Constant <value = float {2.5}> () w = Cast <to = 1> (s) a = Mul(x, c) y = Mul(a, w)",
        {"s": np.float16(3)},
    )
    model = onnx.load_from_string(data)
    constants_to_weights(model)
    found = {t.name: float(numpy_helper.to_array(t)) for t in model.graph.initializer}
    assert found == {"c": 2.5, "w": 3.0}
    assert [node.op_type for node in model.graph.node] == ["Mul", "Mul"]
    onnx.checker.check_model(model)


def test_a_copy_is_on_its_own(written: Callable[..., bytes]) -> None:
    model = onnx.load_from_string(written("y = Neg(x)"))
    copy = copy_of(model.graph.node[0])
    copy.op_type = "Abs"
    assert model.graph.node[0].op_type == "Neg"
