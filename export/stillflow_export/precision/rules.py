# SPDX-License-Identifier: Apache-2.0
"""Which nodes of a float32 graph stay in float32 when it becomes float16, and why.

A node stays when one of these holds; the reason begins with the word:

1. **overflow**: a value, or a partial sum in whatever order, comes within a factor `SAFETY` of 65504; or a weight
   exceeds that.
2. **constants**: it adds or compares with a constant below 2^-14, which float16 holds badly or not at all.
3. **underflow**: all its values lie below 2^-14.
4. **reduction**: it sums over the picture; thousands of terms in float16 lose the small ones.
5. **amplifiers**: it divides, or takes a root, a logarithm, a power or an exponential; and the light arithmetic around
   it: what is rounded before it is magnified, and a logarithm of -5 in float16 is off by 0.002.
6. **ends**: it is light arithmetic between an input and the first layer, or between the last layer and an output.
7. **asked**: the caller names it, because a gate measured that it matters.
8. **between**: it only moves values from one such node to others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from stillflow.errors import StillflowError
from stillflow_export.precision.ranges import SUMMING, Range, element_types

HALF_MAX = 65504.0
"""Largest float16."""

HALF_TINY = 2.0**-14
"""Smallest float16 with all its 11 digits; below, digits are lost, and below 2^-25 everything is."""

SAFETY = 8.0
"""A measured range times this must fit: other photos reach further than the ones that were measured."""

LIGHT_CHANNELS = 16
LIGHT_WEIGHTS = 256
"""Tensors of so few channels and filters of so few weights cost next to nothing in float32."""

AMPLIFIERS = frozenset({"Sqrt", "Log", "Exp", "Pow", "Reciprocal", "Div", "Softplus"})
REDUCTIONS = frozenset({"ReduceMean", "ReduceSum", "GlobalAveragePool", "InstanceNormalization"})
VIEWS = frozenset(
    {"Slice", "Split", "Reshape", "Transpose", "Identity", "Squeeze", "Unsqueeze", "Expand", "Gather"}
)
ARITHMETIC = frozenset(
    {"Add", "Sub", "Mul", "Abs", "Neg", "Clip", "Min", "Max", "AveragePool", "MaxPool", "Resize", "Concat"}
)
ACTIVATIONS = frozenset({"Tanh", "Sigmoid", "HardSigmoid", "Softmax"})
"""Those that end networks: their results are what is looked at."""
SQUARES = frozenset({"Mul", "Pow", "ReduceMean", "ReduceSum"})
"""What leads to a variance: kept with the root that follows, however wide."""

FLOAT_INPUTS = {"Resize": (1, 2)}
"""Inputs that are float32 whatever the node computes in: a region, and factors of size."""


class Wiring:
    """A model with what the rules ask of it: who makes and who reads a tensor, its type and its channels."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.nodes = list(model.graph.node)
        self.types = element_types(model)
        self.weights = {tensor.name: tensor for tensor in model.graph.initializer}
        self.maker = {name: i for i, node in enumerate(self.nodes) for name in node.output if name}
        self.readers: dict[str, list[int]] = {}
        for i, node in enumerate(self.nodes):
            for name in node.input:
                self.readers.setdefault(name, []).append(i)
        inferred = onnx.shape_inference.infer_shapes(model).graph
        self._channels: dict[str, int] = {}
        for value in (*inferred.input, *inferred.value_info, *inferred.output):
            dims = value.type.tensor_type.shape.dim
            if len(dims) < 2:
                self._channels[value.name] = 1
            elif dims[1].dim_value:
                self._channels[value.name] = dims[1].dim_value

    def float_inputs(self, node: onnx.NodeProto) -> list[str]:
        """Inputs that take the type the node computes in."""
        exempt = FLOAT_INPUTS.get(node.op_type, ())
        return [
            n
            for i, n in enumerate(node.input)
            if n and i not in exempt and self.types[n] == TensorProto.FLOAT
        ]

    def is_float(self, node: onnx.NodeProto) -> bool:
        """Whether its type is open: it makes float values and is no conversion."""
        return node.op_type != "Cast" and any(self.types[n] == TensorProto.FLOAT for n in node.output if n)

    def is_open(self, node: onnx.NodeProto) -> bool:
        """Whether it is of open type and light."""
        return self.is_float(node) and self.is_light(node)

    def is_light(self, node: onnx.NodeProto) -> bool:
        """Whether it costs next to nothing in float32."""
        if node.op_type in SUMMING:
            return (
                sum(int(np.prod(self.weights[n].dims)) for n in node.input if n in self.weights)
                <= LIGHT_WEIGHTS
            )
        channels = [self._channels.get(n, LIGHT_CHANNELS + 1) for n in node.output if n]
        return max(channels) <= LIGHT_CHANNELS


def name_of(node: onnx.NodeProto) -> str:
    """The node's name, or that of its first output."""
    return str(node.name or node.output[0])


def nodes_to_keep(graph: Wiring, ranges: Mapping[str, Range], keep: Collection[str]) -> dict[str, str]:
    """Decide which nodes stay in float32, and why."""
    known = {name_of(node) for node in graph.nodes}
    for name in keep:
        if name not in known:
            what = f"cannot keep the node {name} of {graph.model.graph.name} in float32"
            raise StillflowError(what, "the graph has no node of that name", "see its nodes in the report")
    kept: dict[str, str] = {}
    start: list[int] = []
    for i, node in enumerate(graph.nodes):
        if not graph.is_float(node):
            continue
        if name_of(node) in keep:
            kept[name_of(node)] = "asked: a gate measured that it matters"
        elif reason := _reason(graph, node, ranges):
            kept[name_of(node)] = reason
            if node.op_type in AMPLIFIERS or reason.startswith("constants"):
                start.append(i)
    _keep_before(graph, start, kept)
    _keep_after(graph, start, kept)
    _keep_ends(graph, kept)
    _keep_between(graph, kept)
    order = {name_of(node): i for i, node in enumerate(graph.nodes)}
    return dict(sorted(kept.items(), key=lambda item: order[item[0]]))


def _reason(graph: Wiring, node: onnx.NodeProto, ranges: Mapping[str, Range]) -> str | None:
    """Say why a node cannot compute in float16, None when it can."""
    floats = graph.float_inputs(node)
    for name in (*floats, *node.output):
        span = ranges.get(name, Range(0, 0))
        if span.magnitude * SAFETY > HALF_MAX:
            return f"overflow: values of {name} reach {span.magnitude:.4g}"
        if name in node.output and span.sums * SAFETY > HALF_MAX:
            return f"overflow: sums of {name} reach {span.sums:.4g}"
    for name in floats:
        if name in graph.weights:
            values = np.abs(numpy_helper.to_array(graph.weights[name]))
            largest = float(values.max()) if values.size else 0.0
            if largest > HALF_MAX:
                return f"overflow: the constant {name} reaches {largest:.4g}"
            if 0 < largest < HALF_TINY:
                return f"constants: {name} is {largest:.3g} at most"
    for name in node.output:
        if name in ranges and 0 < ranges[name].magnitude < HALF_TINY:
            return f"underflow: {name} reaches {ranges[name].magnitude:.3g} at most"
    if node.op_type in REDUCTIONS and not _over_channels_only(graph, node):
        return f"reduction: {node.op_type} sums over the picture"
    if node.op_type in AMPLIFIERS:
        return f"amplifiers: {node.op_type} magnifies what is rounded before it"
    return None


def _over_channels_only(graph: Wiring, node: onnx.NodeProto) -> bool:
    """Whether a reduction takes the channels of one place only."""
    if len(node.input) < 2 or node.input[1] not in graph.weights or node.op_type == "InstanceNormalization":
        return False
    return bool((numpy_helper.to_array(graph.weights[node.input[1]]) == 1).all())


def _keep_before(graph: Wiring, start: list[int], kept: dict[str, str]) -> None:
    """Keep the arithmetic that leads to nodes which magnify, as far as it is light."""
    todo, done = list(start), set(start)
    while todo:
        node = graph.nodes[todo.pop()]
        for name in graph.float_inputs(node):
            i = graph.maker.get(name)
            if i is None or i in done:
                continue
            before = graph.nodes[i]
            through = before.op_type in ARITHMETIC | VIEWS | REDUCTIONS | AMPLIFIERS | SUMMING
            if through and (graph.is_light(before) or before.op_type in SQUARES):
                kept.setdefault(name_of(before), f"amplifiers: {name_of(node)} follows")
                done.add(i)
                todo.append(i)


def _keep_after(graph: Wiring, start: list[int], kept: dict[str, str]) -> None:
    """Keep the light arithmetic that comes after nodes which magnify, up to the next layer."""
    todo, done = list(start), set(start)
    while todo:
        node = graph.nodes[todo.pop()]
        for i in (i for name in node.output for i in graph.readers.get(name, [])):
            after = graph.nodes[i]
            if i not in done and after.op_type in ARITHMETIC | VIEWS and graph.is_open(after):
                kept.setdefault(name_of(after), f"amplifiers: after {name_of(node)}")
                done.add(i)
                todo.append(i)


def _keep_ends(graph: Wiring, kept: dict[str, str]) -> None:
    """Keep light arithmetic on inputs, and light arithmetic that makes outputs."""
    plain = ARITHMETIC | VIEWS
    early = {value.name for value in graph.model.graph.input} | set(graph.weights)
    for node in graph.nodes:
        if node.op_type in plain and graph.is_open(node) and set(graph.float_inputs(node)) <= early:
            kept.setdefault(name_of(node), "ends: light arithmetic on inputs")
            early.update(node.output)
    late = {value.name for value in graph.model.graph.output}
    for node in reversed(graph.nodes):
        read = {i for name in node.output for i in graph.readers.get(name, [])}
        ends = bool(read or late & set(node.output))
        rest = [i for i in read if not late & set(graph.nodes[i].output)]
        if node.op_type in plain | ACTIVATIONS and graph.is_open(node) and ends and not rest:
            kept.setdefault(name_of(node), "ends: light arithmetic that makes outputs")
            late.update(node.output)


def _keep_between(graph: Wiring, kept: dict[str, str]) -> None:
    """Keep what only moves values from inputs or nodes in float32 to nodes in float32."""
    outputs = {value.name for value in graph.model.graph.output}
    changed = True
    while changed:
        changed = False
        for node in graph.nodes:
            if node.op_type not in VIEWS or name_of(node) in kept or not graph.is_float(node):
                continue
            makers = [graph.maker.get(name) for name in graph.float_inputs(node)]
            before = all(i is None or name_of(graph.nodes[i]) in kept for i in makers)
            readers = [i for name in node.output for i in graph.readers.get(name, [])]
            after = all(name_of(graph.nodes[i]) in kept for i in readers)
            if before and after and (readers or outputs & set(node.output)):
                kept[name_of(node)] = "between: it moves values from float32 to float32"
                changed = True
