# SPDX-License-Identifier: Apache-2.0
"""A float32 graph becomes an int8 graph: convolutions between a pair of QuantizeLinear and DequantizeLinear.

An opt-in: int8 pays only where it was measured to. What is quantised is decided by measurement: each convolution alone
is rounded to int8, and of those that move the outputs least as many are taken as together stay within a budget.
Weights are stored as int8 with a scale for each output channel; activations have one scale, calibrated on real photos.
The rest of the graph stays in float32, and so do inputs and outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from stillflow.errors import StillflowError
from stillflow_export.plain_layers import check_plain
from stillflow_export.precision.calibration import activation_scales, quantized_weights
from stillflow_export.precision.constants import constants_to_weights, copy_of
from stillflow_export.precision.half import check_typed
from stillflow_export.precision.rules import LIGHT_CHANNELS, Wiring, name_of
from stillflow_export.samples import Sample
from stillflow_export.stored_weights import pack_weights

PAIR = frozenset({"QuantizeLinear", "DequantizeLinear"})

_ZERO = "int8/zero"
"""The zero point of all activations: scales are symmetric."""

BUDGET = 0.015
"""Share of an output's largest magnitude that the quantised layers together may move it by (rms): half of what gate B
allows, since it judges by other photos."""

JUDGED_BY = (2, 4)
"""Samples that layers are measured with: the first ones, which are drawn, and the last ones, which are photos."""


@dataclass(frozen=True)
class Int8Graph:
    """A graph whose convolutions are partly in int8.

    Attributes:
        data: the ONNX file.
        layers: name of each quantised convolution -> share by which it alone moves the outputs (rms, the worst output).
        left: name of every other convolution -> why it stays in float32.
        scales: of the quantised tensors.
    """

    data: bytes
    layers: dict[str, float]
    left: dict[str, str]
    scales: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """What a receipt says of it."""
        return {
            "bytes": len(self.data),
            "budget": BUDGET,
            "layers_int8": self.layers,
            "layers_kept_fp32": self.left,
            "scales": self.scales,
        }


def to_int8(data: bytes, samples: Iterable[Sample]) -> Int8Graph:
    """Turn a float32 graph into an int8 graph.

    Args:
        data: an ONNX file of plain layers; weights may be stored in float16 with a Cast.
        samples: inputs to calibrate with, real photos last.

    Returns:
        The graph. Same inputs, same bytes.

    Raises:
        StillflowError: there are no samples, the graph does not run, or no convolution fits the budget.
    """
    model = onnx.load_from_string(data)
    constants_to_weights(model)
    seen = list(samples)
    graph = Wiring(model)
    left = _unsuitable(graph)
    open_layers = [n for n in graph.nodes if n.op_type == "Conv" and name_of(n) not in left]
    scales = activation_scales(model, {node.input[0] for node in open_layers}, seen)
    first, last = JUDGED_BY
    judged = [*seen[:first], *seen[first:][-last:]]
    compare = _Compare(model, judged)
    moved = {name_of(n): compare.share(_quantised(model, {name_of(n)}, scales)) for n in open_layers}
    ranked = sorted(moved, key=lambda name: moved[name])
    count = _most(len(ranked), lambda k: compare.share(_quantised(model, set(ranked[:k]), scales)))
    taken = {name: moved[name] for name in ranked[:count]}
    left |= {
        name: f"measured: alone it moves an output by {moved[name]:.2%}, and the budget is spent"
        for name in ranked[count:]
    }
    if not taken:
        what = f"cannot use the graph {model.graph.name} in int8"
        raise StillflowError(what, f"every layer moves its outputs by more than {BUDGET:.0%}", "use fp16")
    made = _quantised(model, set(taken), scales)
    pack_weights(made)
    check_typed(made)
    check_plain(made, f"cannot use the graph {model.graph.name} in int8", also=PAIR)
    order = {name_of(node): i for i, node in enumerate(graph.nodes)}
    used = {node.input[0] for node in open_layers if name_of(node) in taken}
    return Int8Graph(
        made.SerializeToString(deterministic=True),
        dict(sorted(taken.items(), key=lambda item: order[item[0]])),
        dict(sorted(left.items(), key=lambda item: order[item[0]])),
        {name: scale for name, scale in sorted(scales.items()) if name in used},
    )


def _unsuitable(graph: Wiring) -> dict[str, str]:
    """Name the convolutions that are not tried, with the reason."""
    left: dict[str, str] = {}
    late = {value.name for value in graph.model.graph.output}
    last: set[str] = set()
    for node in reversed(graph.nodes):
        if late & set(node.output):
            if node.op_type == "Conv":
                last.add(name_of(node))
            else:
                late.update(graph.float_inputs(node))
    for node in graph.nodes:
        if node.op_type != "Conv":
            continue
        weights = graph.weights.get(node.input[1])
        if weights is None:
            left[name_of(node)] = "its weights are computed"
        elif weights.dims[1] <= LIGHT_CHANNELS:
            left[name_of(node)] = "first: it reads few channels, and costs little"
        elif name_of(node) in last:
            left[name_of(node)] = "last: no layer follows that would even its rounding out"
    return left


def _most(layers: int, share: Callable[[int], float]) -> int:
    """The largest number of layers, taken in order, that move the outputs by no more than the budget."""
    low, high = 0, layers
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if share(middle) <= BUDGET else (low, middle - 1)
    return low


class _Compare:
    """Measures how far a changed graph is from the original.

    Args:
        model: the original.
        samples: to run both with.
    """

    def __init__(self, model: onnx.ModelProto, samples: Sequence[Sample]) -> None:
        self._samples = samples
        self._before = _run(model, samples)
        outputs = range(len(self._before[0]))
        self._largest = [max(float(np.abs(run[i]).max()) for run in self._before) for i in outputs]

    def share(self, changed: onnx.ModelProto) -> float:
        """Share of its largest magnitude by which the worst output moves, in the worst sample (rms)."""
        return max(
            float(np.sqrt(((got[i] - expected[i]) ** 2).mean())) / max(size, 1e-6)
            for got, expected in zip(_run(changed, self._samples), self._before, strict=True)
            for i, size in enumerate(self._largest)
        )


def _run(model: onnx.ModelProto, samples: Sequence[Sample]) -> list[list[np.ndarray]]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # Optimised, ONNX Runtime would compute in int8 by its own rules; here the rounding alone is wanted.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return [session.run(None, dict(sample.inputs)) for sample in samples]


def _quantised(model: onnx.ModelProto, layers: set[str], scales: dict[str, float]) -> onnx.ModelProto:
    """Return a copy in which some convolutions read int8 values and have int8 weights."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    weights = {tensor.name: tensor for tensor in made.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    added: list[onnx.TensorProto] = [numpy_helper.from_array(np.zeros((), np.int8), _ZERO)]
    pairs: dict[str, str] = {}
    replaced: set[str] = set()
    for original in made.graph.node:
        node = copy_of(original)
        if name_of(node) in layers:
            read, kernel = node.input[0], node.input[1]
            if read not in pairs:
                pairs[read] = f"{read}/int8"
                added.append(numpy_helper.from_array(np.array(scales[read], np.float32), f"{read}/scale"))
                nodes += _pair(read, pairs[read], f"{read}/scale")
            if kernel not in replaced:
                replaced.add(kernel)
                values, steps = quantized_weights(numpy_helper.to_array(weights[kernel]))
                added.append(numpy_helper.from_array(values, f"{kernel}/codes"))
                added.append(numpy_helper.from_array(steps, f"{kernel}/scales"))
                dequantize = helper.make_node(
                    "DequantizeLinear",
                    [f"{kernel}/codes", f"{kernel}/scales"],
                    [f"{kernel}/int8"],
                    name=f"{kernel}/dequantize",
                    axis=0,
                )
                nodes.append(dequantize)
            node.input[0], node.input[1] = pairs[read], f"{kernel}/int8"
        nodes.append(node)
    used = {name for node in nodes for name in node.input} | {value.name for value in made.graph.output}
    kept = [t for t in (*made.graph.initializer, *added) if t.name in used]
    copies = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in kept]
    del made.graph.node[:], made.graph.initializer[:]
    made.graph.node.extend(nodes)
    made.graph.initializer.extend(copies)
    return made


def _pair(source: str, target: str, scale: str) -> list[onnx.NodeProto]:
    code, zero = f"{target}/code", _ZERO
    return [
        helper.make_node("QuantizeLinear", [source, scale, zero], [code], name=f"{target}/quantize"),
        helper.make_node("DequantizeLinear", [code, scale, zero], [target], name=f"{target}/dequantize"),
    ]
