# SPDX-License-Identifier: Apache-2.0
"""Large graphs without their weights: simplifiers and checkers copy what they are given, several times over.

Left out, the export of a network of 320 million weights (``stillflow-export onnx`` of text2cinemagraph's) takes 5.6 GB
of memory, and not 11.8.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

LARGE_MODEL = 256 << 20
"""Bytes of weights from which on they are left out: below, simplifiers may fold them as they like."""

LARGE_WEIGHT = 1 << 20
"""Bytes of a weight that is left out; smaller ones are constants that folding needs."""


def is_large(model: onnx.ModelProto) -> bool:
    """Whether a model's weights are worth leaving out."""
    return sum(len(tensor.raw_data) for tensor in model.graph.initializer) > LARGE_MODEL


def without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy in which large weights are inputs of the graph: the same layers, of the same shapes."""
    graph = model.graph
    light = onnx.ModelProto(ir_version=model.ir_version)
    light.opset_import.extend(model.opset_import)
    light.functions.extend(model.functions)
    light.graph.name = graph.name
    for name in ("node", "input", "output", "value_info"):
        getattr(light.graph, name).extend(getattr(graph, name))
    for tensor in graph.initializer:
        if len(tensor.raw_data) < LARGE_WEIGHT:
            light.graph.initializer.add().CopyFrom(tensor)
        else:
            light.graph.input.append(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    return light


def with_weights_of(model: onnx.ModelProto, light: onnx.ModelProto) -> onnx.ModelProto:
    """Give a model the layers of what came of `without_weights`, in place, so that its weights are not copied.

    Args:
        model: with the weights.
        light: what was made of it without them; it reads the same ones, or fewer.

    Returns:
        ``model``.
    """
    graph = model.graph
    read = {name for node in light.graph.node for name in node.input}
    for i in reversed(range(len(graph.initializer))):
        tensor = graph.initializer[i]
        if len(tensor.raw_data) < LARGE_WEIGHT or tensor.name not in read:
            del graph.initializer[i]
    weights = {tensor.name for tensor in graph.initializer}
    inputs = {value.name for value in graph.input}
    graph.initializer.extend(light.graph.initializer)
    for name in ("node", "input", "output", "value_info"):
        graph.ClearField(name)
        getattr(graph, name).extend(
            part
            for part in getattr(light.graph, name)
            if name != "input" or (part.name in inputs and part.name not in weights)
        )
    return model


def check_sizes(model: onnx.ModelProto) -> None:
    """Check that weights hold as many bytes as their shapes say: what a checker does not see without them.

    Raises:
        ValueError: with the weight's name.
    """
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) >= LARGE_WEIGHT:
            size = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize
            if len(tensor.raw_data) != size * int(np.prod(tensor.dims)):
                raise ValueError(
                    f"the weight {tensor.name} holds {len(tensor.raw_data)} bytes, not its shape's"
                )
