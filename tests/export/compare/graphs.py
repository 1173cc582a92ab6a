# SPDX-License-Identifier: Apache-2.0
"""Small graphs that differ in one place, and bundles that hold them."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

DEPTH = 6


def chain(depth: int = DEPTH, middle: NodeProto | None = None) -> onnx.ModelProto:
    """Convolutions conv0, conv1... with a ReLU after each; ``middle`` takes "mid_in" and gives "mid_out"."""
    rng = np.random.default_rng(5)
    nodes, weights, last = [], {}, "photo"
    for i in range(depth):
        weights[f"w{i}"] = rng.normal(scale=0.3, size=(4, 3 if i == 0 else 4, 3, 3)).astype(np.float32)
        weights[f"b{i}"] = rng.normal(scale=0.1, size=4).astype(np.float32)
        out = f"c{i}"
        nodes.append(helper.make_node("Conv", [last, f"w{i}", f"b{i}"], [out], name=f"conv{i}", pads=[1] * 4))
        if middle is not None and i == depth // 2:
            middle.input[0], middle.output[0] = out, "mid_out"
            nodes.append(middle)
            out = "mid_out"
        last = "velocity" if i == depth - 1 else f"r{i}"
        nodes.append(helper.make_node("Relu", [out], [last], name=f"relu{i}"))
    # A side branch that comes late in the file and early in the graph.
    nodes.append(helper.make_node("GlobalAveragePool", ["r0"], ["suited"], name="pool"))
    side = [1, 3, "height", "width"]
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("photo", TensorProto.FLOAT, side)],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("velocity", "suited")],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    if middle is not None and middle.op_type == "Resize":
        graph.initializer.append(numpy_helper.from_array(np.array([1, 1, 0.5, 0.5], np.float32), "scales"))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def with_weight(model: onnx.ModelProto, name: str, factor: float) -> onnx.ModelProto:
    """A copy in which the first values of one weight are multiplied."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    (tensor,) = [t for t in copy.graph.initializer if t.name == name]
    array = numpy_helper.to_array(tensor).copy()
    array[0] *= factor
    tensor.CopyFrom(numpy_helper.from_array(array, name))
    return copy


def renamed(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with other names for all inner tensors, as conversions give them; nodes keep theirs."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    kept = {v.name for v in (*copy.graph.input, *copy.graph.output)} | {
        t.name for t in copy.graph.initializer
    }
    for node in copy.graph.node:
        node.input[:] = [n if n in kept else f"{n}_cast" for n in node.input]
        node.output[:] = [n if n in kept else f"{n}_cast" for n in node.output]
    return copy


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that computes in float16 between casts at its inputs and outputs."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    outputs = [v.name for v in copy.graph.output]
    for node in copy.graph.node:
        node.input[:] = [
            "photo_half" if n == "photo" else f"{n}_half" if n in outputs else n for n in node.input
        ]
        node.output[:] = [f"{n}_half" if n in outputs else n for n in node.output]
    for tensor in copy.graph.initializer:
        with np.errstate(over="ignore"):
            array = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    first = helper.make_node("Cast", ["photo"], ["photo_half"], name="cast_in", to=TensorProto.FLOAT16)
    lasts = [
        helper.make_node("Cast", [f"{n}_half"], [n], name=f"cast_{n}", to=TensorProto.FLOAT) for n in outputs
    ]
    nodes = [first, *copy.graph.node, *lasts]
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy
