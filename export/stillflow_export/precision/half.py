# SPDX-License-Identifier: Apache-2.0
"""A float32 graph becomes a typed float16 graph: every tensor's type stands in the file, none is left to an engine.

Inputs and outputs stay float32, so that all precisions of a graph are used alike. ``rules`` says which nodes compute
in float32 as before; between them and the others stand Casts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from stillflow.errors import StillflowError
from stillflow_export.plain_layers import check_plain
from stillflow_export.precision.constants import constants_to_weights, copy_of
from stillflow_export.precision.ranges import Range, element_types, measure_ranges
from stillflow_export.precision.rules import FLOAT_INPUTS, SAFETY, Wiring, name_of, nodes_to_keep
from stillflow_export.samples import Sample


@dataclass(frozen=True)
class HalfGraph:
    """A graph in float16.

    Attributes:
        data: the ONNX file.
        kept_fp32: name and reason of every node that still computes in float32.
        half: number of nodes that compute in float16.
        casts: number of conversions between the two.
        ranges: what was measured, by the tensor's name in the float32 graph.
    """

    data: bytes
    kept_fp32: dict[str, str]
    half: int
    casts: int
    ranges: dict[str, Range]

    def as_json(self) -> dict[str, Any]:
        """What a receipt says of it."""
        widest = sorted(self.ranges.items(), key=lambda item: -max(item[1].magnitude, item[1].sums))[:8]
        return {
            "bytes": len(self.data),
            "nodes_half": self.half,
            "nodes_kept_fp32": self.kept_fp32,
            "casts": self.casts,
            "safety": SAFETY,
            "widest": {
                name: {"low": r.low, "high": r.high, "largest_sum_of_absolute_products": r.sums}
                for name, r in widest
            },
        }


def to_half(data: bytes, samples: Iterable[Sample], *, keep: Collection[str] = ()) -> HalfGraph:
    """Turn a float32 graph into a typed float16 graph.

    Args:
        data: an ONNX file of plain layers; weights may be stored in float16 with a Cast.
        samples: inputs to measure ranges with, real photos among them.
        keep: names of nodes to keep in float32 on top of what the rules keep.

    Returns:
        The graph. Same inputs, same bytes.

    Raises:
        StillflowError: the graph does not run on a sample, holds NaN or infinity there, or has a name in
            ``keep`` that it does not know.
    """
    model = onnx.load_from_string(data)
    constants_to_weights(model)
    ranges = measure_ranges(model.SerializeToString(), samples)
    graph = Wiring(model)
    kept = nodes_to_keep(graph, ranges, keep)
    casts = _rewrite(graph, {i for i, node in enumerate(graph.nodes) if name_of(node) in kept})
    check_typed(model)
    check_plain(model, f"cannot use the graph {model.graph.name} in float16", also=frozenset({"Cast"}))
    half = sum(1 for node in graph.nodes if graph.is_float(node) and name_of(node) not in kept)
    return HalfGraph(model.SerializeToString(deterministic=True), kept, half, casts, ranges)


def check_typed(model: onnx.ModelProto) -> None:
    """Check that no node mixes float32 with float16, and that inputs and outputs are float32.

    Raises:
        StillflowError: with the node's name.
    """
    what = f"the graph {model.graph.name} is not strongly typed"
    types = element_types(model)
    for node in model.graph.node:
        exempt = FLOAT_INPUTS.get(node.op_type, ())
        names = [name for i, name in enumerate(node.input) if name and i not in exempt]
        floats = {types[n] for n in (*names, *node.output) if n} & {TensorProto.FLOAT, TensorProto.FLOAT16}
        if len(floats) > 1 and node.op_type not in ("Cast", "QuantizeLinear", "DequantizeLinear"):
            why = f"{node.op_type} {name_of(node)} has inputs or outputs in float32 and in float16"
            raise StillflowError(what, why, "export the graph again")
    for value in (*model.graph.input, *model.graph.output):
        if types[value.name] == TensorProto.FLOAT16:
            raise StillflowError(what, f"{value.name} is float16", "keep inputs and outputs in float32")


def _rewrite(graph: Wiring, full: set[int]) -> int:
    """Give every node outside of ``full`` float16 weights and tensors; returns the number of casts."""
    writer = _Writer(graph, full)
    for i, node in enumerate(graph.nodes):
        writer.add(i, copy_of(node))
    proto = graph.model.graph
    del proto.node[:], proto.initializer[:], proto.value_info[:]
    proto.node.extend(writer.nodes)
    proto.initializer.extend(writer.weights.values())
    return writer.casts


@dataclass
class _Writer:
    """Writes nodes with the types they were given, and the casts between them."""

    graph: Wiring
    full: set[int]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: dict[str, onnx.TensorProto] = field(default_factory=dict)
    casts: int = 0
    _there: dict[tuple[str, bool], str] = field(default_factory=dict)
    """(name in the float32 graph, whether half) -> name in the new one, where it exists already."""

    def add(self, i: int, node: onnx.NodeProto) -> None:
        """Append a node."""
        graph = self.graph
        half = graph.is_float(node) and i not in self.full
        exempt = FLOAT_INPUTS.get(node.op_type, ())
        for at, name in enumerate(node.input):
            if not name:
                continue
            if graph.types[name] != TensorProto.FLOAT:
                self._plain_weight(name)
            elif not graph.is_float(node) and node.op_type != "Cast":
                node.input[at] = self._any(name)  # Shape reads what there is
            else:
                node.input[at] = self._typed(name, half and at not in exempt)
        outputs = {value.name for value in graph.model.graph.output}
        made = [name for name in node.output if name and graph.types[name] == TensorProto.FLOAT]
        if half:
            for at, name in enumerate(node.output):
                if name in outputs:
                    node.output[at] = self._free(f"{name}_half")
                if name:
                    self._there[name, True] = node.output[at]
        else:
            self._there.update({(name, False): name for name in made})
        self.nodes.append(node)
        for name in made:
            if half and name in outputs:
                self._cast(node.output[list(graph.nodes[i].output).index(name)], name, TensorProto.FLOAT)
                self._there[name, False] = name

    def _plain_weight(self, name: str) -> None:
        if name in self.graph.weights:
            self.weights[name] = self.graph.weights[name]

    def _any(self, name: str) -> str:
        return self._there.get((name, True)) or self._typed(name, False)

    def _typed(self, name: str, half: bool) -> str:
        """The name under which a float tensor is there in a type; makes it when it is not."""
        if (name, half) in self._there:
            return self._there[name, half]
        if name in self.graph.weights:
            new = self._weight(name, half)
        elif name not in self.graph.maker and not half:  # an input of the graph
            new = name
        else:
            source = self._there.get((name, not half), name)
            new = self._free(f"{name}_{'half' if half else 'full'}")
            self._cast(source, new, TensorProto.FLOAT16 if half else TensorProto.FLOAT)
        self._there[name, half] = new
        return new

    def _weight(self, name: str, half: bool) -> str:
        tensor = self.graph.weights[name]
        new = (
            name
            if (name, not half) not in self._there
            else self._free(f"{name}_{'half' if half else 'full'}")
        )
        if half:
            array = numpy_helper.to_array(tensor).astype(np.float16)
            self.weights[new] = numpy_helper.from_array(array, new)
        else:
            self.weights[new] = onnx.TensorProto()
            self.weights[new].CopyFrom(tensor)
            self.weights[new].name = new
        return new

    def _free(self, name: str) -> str:
        """A name that the graph does not use yet."""
        while name in self.graph.types or name in self._there.values():
            name += "_"
        return name

    def _cast(self, source: str, target: str, to: int) -> None:
        self.nodes.append(helper.make_node("Cast", [source], [target], name=f"cast_{target}", to=to))
        self.casts += 1
