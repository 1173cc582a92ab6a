# SPDX-License-Identifier: Apache-2.0
"""Tensors inside of graphs: which of two graphs are the same, and graphs that also return some of them.

Marking a tensor as an output may change what an engine fuses, and so what it computes: see ``Comparison.marking``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import onnx
from onnx import NodeProto, TensorProto, helper

from stillflow.errors import StillflowError
from stillflow_export.macs import read_model, with_shapes

FLOATS = {TensorProto.FLOAT: 4, TensorProto.FLOAT16: 2}
"""Element types that are compared, and their bytes."""


@dataclass(frozen=True)
class Match:
    """One tensor that both graphs have.

    Attributes:
        name: in A.
        twin: name in B.
        node: that makes it in A.
        operator: of that node.
        inputs: names in A of the tensors that the node reads and that are not weights.
        half: it, or what it is made of, is in float16 on one of the sides.
        quantised: it is made from integers on one of the sides.
        bytes: that it takes on both sides together.
    """

    name: str
    twin: str
    node: str
    operator: str
    inputs: tuple[str, ...]
    half: bool
    quantised: bool
    bytes: int


class MarkedGraph:
    """A graph that can be asked for its inner tensors.

    Args:
        data: an ONNX file.
        shapes: of its inputs; those of inner tensors, and so their bytes, follow.
        label: for messages.
    """

    def __init__(self, data: bytes, shapes: Mapping[str, tuple[int, ...]], label: str) -> None:
        self.label = label
        self.data = data
        model = read_model(data, label)
        for value in model.graph.input:
            for dimension, side in zip(
                value.type.tensor_type.shape.dim, shapes.get(value.name, ()), strict=False
            ):
                dimension.dim_value = side
        inferred = with_shapes(model).graph
        self.nodes: list[NodeProto] = list(inferred.node)
        self.outputs = [value.name for value in inferred.output]
        self.types: dict[str, int] = {weight.name: weight.data_type for weight in inferred.initializer}
        self.bytes: dict[str, int] = {}
        for value in (*inferred.input, *inferred.value_info, *inferred.output):
            tensor = value.type.tensor_type
            self.types[value.name] = tensor.elem_type
            sides = [d.dim_value for d in tensor.shape.dim]
            if tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim):
                self.bytes[value.name] = math.prod(sides) * FLOATS.get(tensor.elem_type, 8)
        self.weights = {weight.name for weight in inferred.initializer}
        self.makers: dict[str, NodeProto] = {}
        for node in self.nodes:  # in the file's order, so what a node reads is known before it
            if node.op_type == "Constant" or (node.input and all(n in self.weights for n in node.input if n)):
                self.weights.update(node.output)  # made of weights alone: the same in every run
            self.makers |= {name: node for name in node.output if name}

    def tensors(self) -> Iterator[str]:
        """Names of the float tensors that change with the inputs, in the order they are made."""
        for node in self.nodes:
            for name in node.output:
                if name and name not in self.weights and self.types.get(name) in FLOATS:
                    yield name

    def marked(self, names: Collection[str]) -> bytes:
        """The ONNX file with these tensors as further outputs.

        Raises:
            StillflowError: the file is too large to be written again.
        """
        model = onnx.ModelProto()
        model.ParseFromString(self.data)
        there = {value.name for value in model.graph.output}
        for name in names:
            if name not in there:
                there.add(name)
                model.graph.output.append(helper.make_tensor_value_info(name, self.types[name], None))
        try:
            return bytes(model.SerializeToString())
        except ValueError as error:  # protobuf ends at 2 GiB
            what = f"cannot mark tensors of {self.label}"
            raise StillflowError(
                what, f"the file is too large ({error})", "compare its outputs only"
            ) from error

    def computes_in_half(self, name: str) -> bool:
        """Whether a tensor, or what its node reads, is in float16."""
        node = self.makers[name]
        return TensorProto.FLOAT16 in {self.types.get(n) for n in (name, *node.input)}

    def made_from_integers(self, name: str) -> bool:
        """Whether a tensor comes out of a dequantization, or its node reads one that does."""
        node = self.makers[name]
        before = [self.makers.get(n) for n in node.input]
        return any(n is not None and n.op_type == "DequantizeLinear" for n in (node, *before))


def match_tensors(a: MarkedGraph, b: MarkedGraph) -> tuple[list[Match], int, int]:
    """Pair the tensors of two graphs: by name, else by the node that makes them.

    Conversions to float16 insert casts and rename what they cast; they keep the names of nodes. A tensor of B
    is paired once.

    Returns:
        Pairs in A's order, and how many float tensors A and B have.
    """
    of_a, of_b = list(a.tensors()), list(b.tensors())
    left = set(of_b)
    pairs: dict[str, str] = {name: name for name in of_a if name in left}
    left -= set(pairs)
    named = {(node.name, node.op_type): node for node in b.nodes if node.name}
    for name in of_a:
        maker = a.makers[name]
        twin = named.get((maker.name, maker.op_type))
        if name in pairs or twin is None:
            continue
        at = list(maker.output).index(name)
        if at < len(twin.output) and twin.output[at] in left:
            pairs[name] = twin.output[at]
            left.discard(twin.output[at])
    found = []
    for name in of_a:
        if name not in pairs:
            continue
        twin_name, node = pairs[name], a.makers[name]
        found.append(
            Match(
                name=name,
                twin=twin_name,
                node=node.name or name,
                operator=node.op_type,
                inputs=tuple(n for n in node.input if n and n not in a.weights),
                half=a.computes_in_half(name) or b.computes_in_half(twin_name),
                quantised=a.made_from_integers(name) or b.made_from_integers(twin_name),
                bytes=a.bytes.get(name, 0) + b.bytes.get(twin_name, 0),
            )
        )
    return found, len(of_a), len(of_b)


def in_chunks(matches: Sequence[Match], budget: int) -> Iterator[list[Match]]:
    """Split into runs that take at most so many bytes each; a tensor that is larger alone comes alone.

    Tensors of unknown size count as an eighth of the budget.
    """
    chunk: list[Match] = []
    used = 0
    for match in matches:
        size = match.bytes or budget // 8
        if chunk and used + size > budget:
            yield chunk
            chunk, used = [], 0
        chunk.append(match)
        used += size
    if chunk:
        yield chunk
