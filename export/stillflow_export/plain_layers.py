# SPDX-License-Identifier: Apache-2.0
"""What a graph may be made of: layers that every engine parses, with the weights inside the file."""

from __future__ import annotations

import onnx
from onnx import TensorProto

from stillflow.errors import StillflowError
from stillflow_export.light_model import check_sizes, is_large, without_weights

OPSET = 18
"""The newest opset that TensorRT 8.6 parses in full, and that ONNX Runtime and OpenVINO all read."""

PLAIN_LAYERS = frozenset(
    {
        # layers
        "Conv", "Resize", "Concat", "Add", "Sub", "Mul", "Div", "GlobalAveragePool", "AveragePool", "MaxPool",
        "ReduceMean", "ReduceSum", "InstanceNormalization", "LayerNormalization", "BatchNormalization",
        "Gemm", "MatMul",
        # activations
        "Relu", "LeakyRelu", "PRelu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Softplus", "Clip", "Softmax",
        "Exp", "Log", "Sqrt", "Pow", "Abs", "Neg", "Min", "Max", "Reciprocal", "Erf",
        # views, and the arithmetic of sizes that group norm needs under dynamic shapes
        "Slice", "Split", "Reshape", "Transpose", "Constant", "Identity", "Shape", "Gather", "Squeeze", "Unsqueeze",
        "Expand",
    }
)  # fmt: skip
"""Operators that TensorRT 8.6 to 11, TensorRT-RTX, ONNX Runtime and OpenVINO all parse and agree on.

LayerNormalization and Erf (of the exact GELU) are there for the transformer blocks of imported networks; TensorRT
parses both since 8.6.

Left out on purpose: GridSample (its rounding differs, and opset 20's is wrong on TensorRT 10.13), every
Scatter (races, refused by TensorRT-RTX), loops, branches, random numbers, and custom domains."""

UNEQUAL = (("Resize", "antialias"), ("AveragePool", "ceil_mode"))
"""Attributes that may not be set: ONNX Runtime 1.32 and OpenVINO 2026.4 compute different values with them."""

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)


def check_plain(
    model: onnx.ModelProto, what: str = "cannot use the graph", also: frozenset[str] = frozenset()
) -> dict[str, int]:
    """Check that a model is valid, carries its weights inside, and holds plain layers only.

    A Cast may only widen a weight that is stored as float16 (see ``stored_weights``), unless ``also`` allows
    it: graphs of mixed precision cast what flows between their layers.

    Args:
        model: an ONNX model.
        what: for the message.
        also: operators that may be there beside the plain layers; "Cast" stands for those between float32
            and float16.

    Returns:
        How often each operator occurs, by name.

    Raises:
        StillflowError: with the first operator or weight that may not be there.
    """
    fix = f"build it of plain layers: {', '.join(sorted(PLAIN_LAYERS))}"
    try:
        large = is_large(model)
        if large:
            check_sizes(model)
        onnx.checker.check_model(without_weights(model) if large else model, full_check=True)
    except Exception as error:
        raise StillflowError(what, f"onnx.checker refuses it: {str(error).strip()[:300]}", fix) from error
    if len(model.functions):
        raise StillflowError(what, "it defines functions of its own", fix)
    for opset in model.opset_import:
        if opset.domain not in ("", "ai.onnx"):
            raise StillflowError(what, f"it needs the operators of the domain '{opset.domain}'", fix)
    halves = {t.name for t in model.graph.initializer if t.data_type == TensorProto.FLOAT16}
    counts: dict[str, int] = {}
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx"):
            raise StillflowError(what, f"it needs the operator {node.domain}.{node.op_type}", fix)
        if node.op_type == "Cast":
            to = next(a.i for a in node.attribute if a.name == "to")
            widens = node.input[0] in halves and to == TensorProto.FLOAT
            if not widens and not ("Cast" in also and to in _FLOATS):
                raise StillflowError(
                    what,
                    f"it casts {node.input[0]}, and only stored float16 weights may be cast, to float32",
                    "let the network compute in float32 throughout",
                )
        elif node.op_type not in PLAIN_LAYERS | also:
            raise StillflowError(what, f"it needs the operator ai.onnx.{node.op_type}", fix)
        for attribute in node.attribute:
            if (node.op_type, attribute.name) in UNEQUAL and attribute.i:
                raise StillflowError(
                    what,
                    f"its {node.op_type} {node.name} sets {attribute.name}, which engines compute differently",
                    f"build it without {attribute.name}",
                )
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    for weight in model.graph.initializer:
        if weight.data_location == TensorProto.EXTERNAL:
            raise StillflowError(
                what, f"its weight {weight.name} lies in another file", "save it in one file"
            )
    return dict(sorted(counts.items()))
