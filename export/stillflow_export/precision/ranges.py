# SPDX-License-Identifier: Apache-2.0
"""How large the tensors of a graph become on real inputs, and how large a sum inside a layer may become on its way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from stillflow.errors import StillflowError
from stillflow_export.samples import Sample

SUMMING = frozenset({"Conv", "Gemm", "MatMul"})
"""Layers whose values are sums of products. Such a sum may be taken in half precision, in any order."""

_MARK = "range_of/"


@dataclass(frozen=True)
class Range:
    """What one tensor held over all samples.

    Attributes:
        low: smallest value.
        high: largest value.
        sums: for the output of a convolution or matrix product, the largest sum of absolute products at
            any place: no partial sum, in whichever order, exceeds it. Elsewhere 0.
    """

    low: float
    high: float
    sums: float = 0.0

    @property
    def magnitude(self) -> float:
        """Largest absolute value."""
        return max(abs(self.low), abs(self.high))

    def joined(self, other: Range) -> Range:
        """The range of both."""
        return Range(min(self.low, other.low), max(self.high, other.high), max(self.sums, other.sums))


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    """Infer the element type of every tensor of a model.

    Raises:
        StillflowError: a tensor's type cannot be told, or two types meet in one node.
    """
    what = f"cannot tell the types of the graph {model.graph.name}"
    try:
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    # onnx raises types of its own, with the node's name in the text.
    except Exception as error:
        why = f"onnx says: {' '.join(str(error).split())[:300]}"
        raise StillflowError(what, why, "export the graph again") from error
    graph = inferred.graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        types[value.name] = value.type.tensor_type.elem_type
    for node in graph.node:
        for name in node.output:
            if name and not types.get(name):
                raise StillflowError(what, f"that of '{name}' does not follow", "export the graph again")
    return types


def measure_ranges(data: bytes, samples: Iterable[Sample]) -> dict[str, Range]:
    """Run a float32 graph and note the range of every float tensor, inputs included.

    The extremes are taken inside the graph, so that memory does not grow with its length.

    Args:
        data: an ONNX file in float32.
        samples: at least one; real photos among them, or the ranges say little.

    Returns:
        Range by tensor name.

    Raises:
        StillflowError: the graph does not run, there are no samples, or a tensor holds NaN or infinity.
    """
    model = onnx.load_from_string(data)
    what = f"cannot measure the graph {model.graph.name}"
    types = element_types(model)
    tensors = [v.name for v in model.graph.input] + [o for n in model.graph.node for o in n.output if o]
    marks: dict[str, str] = {}
    for tensor in tensors:
        if types[tensor] == TensorProto.FLOAT:
            for kind in ("Min", "Max", "Sum"):  # extremes skip NaN, a sum does not
                marks[_mark(model, f"Reduce{kind}", tensor, kind)] = tensor
    for tensor in _add_sums(model):
        marks[_mark(model, "ReduceMax", f"{_MARK}{tensor}/sum", "Most")] = tensor
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    ranges: dict[str, Range] = {}
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        for sample in samples:
            found = dict(zip(marks, session.run(list(marks), dict(sample.inputs)), strict=True))
            broken = next((tensor for mark, tensor in marks.items() if not np.isfinite(found[mark])), None)
            if broken is not None:
                why = f"'{broken}' holds NaN or infinity on the sample '{sample.name}'"
                raise StillflowError(what, why, "train or import it again")
            for tensor, span in _spans(found, marks).items():
                ranges[tensor] = span.joined(ranges[tensor]) if tensor in ranges else span
    except StillflowError:
        raise
    except Exception as error:  # its exception types share no base but Exception
        why = f"onnxruntime says: {' '.join(str(error).split())[:300]}"
        raise StillflowError(what, why, "check it with gate A first") from error
    if not ranges:
        raise StillflowError(what, "there are no samples", "give at least one")
    return ranges


def _mark(model: onnx.ModelProto, operator: str, tensor: str, kind: str) -> str:
    """Add an output that reduces a tensor to one number; returns its name."""
    name = f"{_MARK}{tensor}/{kind}"
    model.graph.node.append(helper.make_node(operator, [tensor], [name], name=name, keepdims=0))
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, []))
    return name


def _add_sums(model: onnx.ModelProto) -> list[str]:
    """Add, beside every layer with constant weights that sums, its sum of absolute products.

    Returns:
        The outputs of those layers.
    """
    weights = {t.name: t for t in model.graph.initializer}
    stored = {n.output[0]: weights[n.input[0]] for n in model.graph.node
              if n.op_type == "Cast" and n.input[0] in weights}  # fmt: skip
    weights |= stored
    done: list[str] = []
    for node in list(model.graph.node):
        constant = [name for name in node.input[1:] if name in weights]
        if node.op_type not in SUMMING or len(constant) != len([n for n in node.input[1:] if n]):
            continue
        output = node.output[0]
        names = []
        for tensor in node.input[1:]:
            if tensor:
                array = np.abs(numpy_helper.to_array(weights[tensor]).astype(np.float32))
                names.append(f"{_MARK}{output}/{tensor}")
                model.graph.initializer.append(numpy_helper.from_array(array, names[-1]))
            else:
                names.append("")
        size, total = f"{_MARK}{output}/abs", f"{_MARK}{output}/sum"
        model.graph.node.append(helper.make_node("Abs", [node.input[0]], [size], name=size))
        twin = helper.make_node(node.op_type, [size, *names], [total], name=total)
        twin.attribute.extend(node.attribute)
        model.graph.node.append(twin)
        done.append(output)
    return done


def _spans(found: Mapping[str, np.ndarray], marks: Mapping[str, str]) -> dict[str, Range]:
    values: dict[str, dict[str, float]] = {}
    for mark, tensor in marks.items():
        values.setdefault(tensor, {})[mark.rsplit("/", 1)[1]] = float(found[mark])
    return {tensor: Range(v["Min"], v["Max"], v.get("Most", 0.0)) for tensor, v in values.items()}
