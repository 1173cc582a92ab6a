# SPDX-License-Identifier: Apache-2.0
"""What is constant in a graph, as initializers: where the conversions look for it."""

from __future__ import annotations

import onnx
from onnx import numpy_helper

from stillflow_export.stored_weights import unpack_weights


def constants_to_weights(model: onnx.ModelProto) -> None:
    """Turn Constant nodes, and Casts of stored float16 weights, into plain initializers."""
    unpack_weights(model)
    nodes = [copy_of(node) for node in model.graph.node]
    del model.graph.node[:]
    for node in nodes:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            array = numpy_helper.to_array(node.attribute[0].t)
            model.graph.initializer.append(numpy_helper.from_array(array, node.output[0]))
        else:
            model.graph.node.append(node)


def copy_of(node: onnx.NodeProto) -> onnx.NodeProto:
    """A copy that does not belong to a graph."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy
