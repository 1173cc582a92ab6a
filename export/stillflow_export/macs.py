# SPDX-License-Identifier: Apache-2.0
"""What a graph costs at a size: multiplications, weights and memory, layer by layer, from the ONNX file alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper

from stillflow.errors import StillflowError

COUNTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators whose multiply-accumulates are counted. All others cost a few operations a value at most."""

_PRECISIONS: dict[int, str] = {
    TensorProto.FLOAT: "fp32",
    TensorProto.FLOAT16: "fp16",
    TensorProto.BFLOAT16: "bf16",
    TensorProto.INT8: "int8",
    TensorProto.UINT8: "uint8",
    TensorProto.INT32: "int32",
    TensorProto.INT64: "int64",
    TensorProto.BOOL: "bool",
}
_FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE}
_BARE = ("Cast", "QuantizeLinear", "DequantizeLinear", "Identity", "Transpose", "Reshape")
"""What may stand between a weight in the file and the layer that uses it; engines do it once, when they load."""


@dataclass(frozen=True)
class Layer:
    """One node of a graph.

    Attributes:
        name: of the node, or of its first output when it has none.
        operator: such as "Conv".
        output: name of its first output.
        shape: of that output at the size the graph was measured at; None: it could not be inferred.
        precision: that it computes in, by the types in the file: "fp32", "fp16", "int8" (its inputs come out of
            DequantizeLinear, so that an engine multiplies integers), or the type's name.
        parameters: weights that it is the first to use.
        weight_bytes: that those take in the file.
        macs: multiply-accumulates; None: not counted, see ``COUNTED``, or of unknown shape.
    """

    name: str
    operator: str
    output: str
    shape: tuple[int, ...] | None
    precision: str
    parameters: int
    weight_bytes: int
    macs: int | None


@dataclass(frozen=True)
class GraphCost:
    """What a graph costs at one size.

    Attributes:
        sizes: value of each named dimension.
        layers: in the order of the file.
        macs: sum over the layers that are counted.
        parameters: sum over the layers.
        weight_bytes: likewise.
        peak_bytes: largest sum of the values alive at once when layers run in the file's order, each value is let
            go after its last use, and nothing is fused or overwritten in place. Without the weights.
        uncounted: operator -> how many layers of it are not counted.
        unknown: names of layers whose shapes could not be inferred; the sums lack them.
    """

    sizes: Mapping[str, int]
    layers: tuple[Layer, ...]
    macs: int
    parameters: int
    weight_bytes: int
    peak_bytes: int
    uncounted: Mapping[str, int]
    unknown: tuple[str, ...]

    @property
    def by_precision(self) -> dict[str, int]:
        """Multiply-accumulates by the precision of their layers, the largest share first."""
        sums: dict[str, int] = {}
        for layer in self.layers:
            if layer.macs:
                sums[layer.precision] = sums.get(layer.precision, 0) + layer.macs
        return dict(sorted(sums.items(), key=lambda item: -item[1]))


@dataclass
class _Values:
    """What is known about the values of a graph at one size."""

    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)
    weights: dict[str, TensorProto] = field(default_factory=dict)
    makers: dict[str, NodeProto] = field(default_factory=dict)

    def constant(self, node: NodeProto) -> bool:
        """Whether a node makes the same value in every run: it is a constant, or works on weights alone."""
        return node.op_type == "Constant" or (
            node.op_type in _BARE and self.weight(node.input[0]) is not None
        )

    def weight(self, name: str) -> TensorProto | None:
        """The weight in the file that a value is, looking through casts and dequantization."""
        for _ in range(8):  # a file may be a circle
            if name in self.weights:
                return self.weights[name]
            node = self.makers.get(name)
            if node is None or node.op_type not in _BARE or not node.input:
                return None
            name = node.input[0]
        return None


def graph_cost(data: bytes, sizes: Mapping[str, int], name: str = "graph") -> GraphCost:
    """Measure a graph at one size, without running it.

    Multiply-accumulates: Conv = values of the output * (channels in / groups) * kernel; ConvTranspose =
    values of the input * (channels out / groups) * kernel; Gemm and MatMul = values of the output * inner
    dimension. Products with padding are counted, biases are not.

    Args:
        data: an ONNX file.
        sizes: value of each named dimension of the inputs, such as {"height": 192, "width": 320}.
        name: of the graph, for messages.

    Raises:
        StillflowError: not an ONNX file, or a named dimension of its inputs without a size.
    """
    model = sized_model(data, sizes, name)
    try:
        return _cost(model, sizes)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        what, why = f"cannot measure the graph {name}", f"its layers contradict each other ({error})"
        raise StillflowError(what, why, "export it again") from error


def _cost(model: onnx.ModelProto, sizes: Mapping[str, int]) -> GraphCost:
    values = _values(model)
    layers: list[Layer] = []
    seen: set[str] = set()
    for node in model.graph.node:
        if values.constant(node) or node.op_type == "Identity" or not node.output:
            continue
        parameters, weight_bytes = _weights_of(node, values, seen)
        output = node.output[0]
        layers.append(
            Layer(
                name=node.name or output,
                operator=node.op_type,
                output=output,
                shape=values.shapes.get(output),
                precision=_precision(node, values),
                parameters=parameters,
                weight_bytes=weight_bytes,
                macs=_macs(node, values),
            )
        )
    counted = [layer for layer in layers if layer.operator in COUNTED]
    uncounted: dict[str, int] = {}
    for layer in layers:
        if layer.operator not in COUNTED:
            uncounted[layer.operator] = uncounted.get(layer.operator, 0) + 1
    unknown = [layer.name for layer in layers if layer.shape is None]
    unknown += [layer.name for layer in counted if layer.macs is None and layer.shape is not None]
    return GraphCost(
        sizes=dict(sizes),
        layers=tuple(layers),
        macs=sum(layer.macs or 0 for layer in counted),
        parameters=sum(layer.parameters for layer in layers),
        weight_bytes=sum(layer.weight_bytes for layer in layers),
        peak_bytes=_peak_bytes(model, values),
        uncounted=dict(sorted(uncounted.items())),
        unknown=tuple(unknown),
    )


def sized_model(data: bytes, sizes: Mapping[str, int], name: str) -> onnx.ModelProto:
    """Read a graph and give every named dimension of its inputs a size; shapes are inferred from there.

    Raises:
        StillflowError: not an ONNX file, or a named dimension of its inputs without a size.
    """
    model = read_model(data, name)
    for value in model.graph.input:
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.HasField("dim_value"):
                continue
            label, _, share = dimension.dim_param.partition("/")
            if label not in sizes or (share and not share.isdecimal()) or share == "0":
                raise StillflowError(
                    f"cannot measure the graph {name}",
                    f"the dimension '{dimension.dim_param}' of its input '{value.name}' has no size",
                    f"give a size for it beside {', '.join(sizes) or 'none'}",
                )
            dimension.dim_value = sizes[label] // int(share or 1)
    return with_shapes(model)


def read_model(data: bytes, name: str) -> onnx.ModelProto:
    """Parse an ONNX file.

    Raises:
        StillflowError: it is none, or has no layers.
    """
    model = onnx.ModelProto()
    what = f"cannot read the graph {name}"
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf's DecodeError has no public name
        raise StillflowError(what, f"it is not an ONNX file ({error})", "export it again") from error
    if not model.graph.node:
        raise StillflowError(what, "it is not an ONNX file, or it has no layers", "export it again")
    return model


def with_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Infer the shape of every value from those of the inputs, as far as it goes."""
    # What the file says of inner values and outputs was said for free dimensions.
    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        return onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception:  # of many kinds; without shapes there are still layers, types and weights to tell of
        return model


def _values(model: onnx.ModelProto) -> _Values:
    values = _Values()
    graph = model.graph
    for weight in graph.initializer:
        values.weights[weight.name] = weight
    for node in graph.node:
        for output in node.output:
            values.makers[output] = node
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            node.attribute[0].t.name = node.output[0]
            values.weights[node.output[0]] = node.attribute[0].t
    for name, weight in values.weights.items():
        values.shapes[name], values.types[name] = tuple(weight.dims), weight.data_type
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        values.types[value.name] = tensor.elem_type
        known = [d.HasField("dim_value") and d.dim_value >= 0 for d in tensor.shape.dim]
        sides = [d.dim_value if there else None for d, there in zip(tensor.shape.dim, known, strict=True)]
        if tensor.HasField("shape") and None not in sides:
            values.shapes[value.name] = tuple(side for side in sides if side is not None)
    return values


def _macs(node: NodeProto, values: _Values) -> int | None:
    """Multiply-accumulates of a node; None when they are not counted or a shape is unknown."""
    if node.op_type not in COUNTED:
        return None
    if len(node.input) < 2 or not node.output:
        raise ValueError(f"{node.op_type} {node.name} without inputs or outputs")
    first, second = values.shapes.get(node.input[0]), values.shapes.get(node.input[1])
    output = values.shapes.get(node.output[0])
    if second is None or output is None or (first is None and node.op_type != "Conv"):
        return None
    if node.op_type == "Conv":  # weight: (out, in / groups, kernel...)
        return math.prod(output) * math.prod(second[1:])
    assert first is not None
    if node.op_type == "ConvTranspose":  # weight: (in, out / groups, kernel...)
        return math.prod(first) * math.prod(second[1:])
    if node.op_type == "Gemm":
        turned = next((helper.get_attribute_value(a) for a in node.attribute if a.name == "transA"), 0)
        return math.prod(output) * (first[0] if turned else first[1])
    return math.prod(output) * first[-1]


def _weights_of(node: NodeProto, values: _Values, seen: set[str]) -> tuple[int, int]:
    """(Elements, bytes) of the weights that a node is the first to use.

    A weight is a float of more than one value, or an integer that is dequantized; Resize's scales are not.
    """
    count = size = 0
    for name in node.input if node.op_type not in ("Resize", "QuantizeLinear", "DequantizeLinear") else ():
        weight = values.weight(name)
        if weight is None or weight.name in seen or math.prod(weight.dims) < 2:
            continue
        if weight.data_type not in _FLOATS and values.types.get(name) not in _FLOATS:
            continue
        seen.add(weight.name)
        count += math.prod(weight.dims)
        size += math.prod(weight.dims) * helper.tensor_dtype_to_np_dtype(weight.data_type).itemsize
    return count, size


def _precision(node: NodeProto, values: _Values) -> str:
    makers = [values.makers.get(name) for name in node.input[:2]]
    if node.op_type in COUNTED and all(m is not None and m.op_type == "DequantizeLinear" for m in makers):
        return "int8"
    # A layer computes in the type of what it reads: comparisons give bool, casts give something else.
    types = [values.types.get(name, 0) for name in node.input[:1]] or [0]
    if node.op_type in ("Cast", "QuantizeLinear", "DequantizeLinear"):
        before, after = types[0], values.types.get(node.output[0], 0)
        return f"{_PRECISIONS.get(before, 'unknown')} to {_PRECISIONS.get(after, 'unknown')}"
    return _PRECISIONS.get(types[0] or values.types.get(node.output[0], 0), "unknown")


def _peak_bytes(model: onnx.ModelProto, values: _Values) -> int:
    last: dict[str, int] = {}
    nodes = [node for node in model.graph.node if not values.constant(node)]
    for i, node in enumerate(nodes):
        for name in node.input:
            last[name] = i
    for value in model.graph.output:
        last[value.name] = len(nodes)
    alive = {v.name: _bytes(v.name, values) for v in model.graph.input if v.name not in values.weights}
    peak = now = sum(alive.values())
    for i, node in enumerate(nodes):
        for name in node.output:
            if name:
                alive[name] = _bytes(name, values)
                now += alive[name]
        peak = max(peak, now)
        for name in {*node.input, *node.output}:
            if name in alive and last.get(name, i) <= i:
                now -= alive.pop(name)
    return peak


def _bytes(name: str, values: _Values) -> int:
    shape, kind = values.shapes.get(name), values.types.get(name, 0)
    if shape is None or not kind:
        return 0
    return math.prod(shape) * np.dtype(helper.tensor_dtype_to_np_dtype(kind)).itemsize


def heaviest(cost: GraphCost, count: int) -> Iterator[Layer]:
    """Yield the layers with the most multiply-accumulates, the heaviest first."""
    yield from sorted((x for x in cost.layers if x.macs), key=lambda x: -(x.macs or 0))[:count]
