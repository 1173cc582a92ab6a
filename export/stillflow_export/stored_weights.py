# SPDX-License-Identifier: Apache-2.0
"""Weights stored as float16 in a graph that computes in float32: half the file, the same arithmetic.

Our own networks are trained to float16 weights. So the file holds float16 initializers, each followed by a Cast to
float32, which engines fold when they load or build. Folding a batch norm multiplies the weights by numbers that are
not float16, hence the order: fold, round, export. What the rounding does is measured and goes into the bundle.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from stillflow.bundle.manifest import Tolerance
from stillflow.errors import StillflowError
from stillflow_export.gates import run_network
from stillflow_export.gates.receipt import Tally
from stillflow_export.plan import GraphPlan
from stillflow_export.samples import Sample

SMALLEST = 1024
"""Values: what has fewer, such as biases, saves too little to be rounded."""

LARGEST = 65_504.0
"""Largest float16."""

ROUNDING = 0.002
"""Share of an output's scale that no value of it may move by."""

_SUFFIX = "_half"

_MOVED = ("max_abs", "mean_abs", "scale", "worst_sample")
"""What a receipt keeps of an `OutputReport`: there is no allowance for each value, and so no worst share of one."""


def as_stored(plan: GraphPlan) -> GraphPlan:
    """Return the plan with the network that its file is going to hold: itself, unless ``half_weights`` is set."""
    return replace(plan, network=rounded_network(plan.network)) if plan.half_weights else plan


def rounded_network(network: nn.Module) -> nn.Module:
    """Return a copy with batch norms folded into their convolutions and large weights rounded to float16 values.

    Folded is a batch norm that follows its convolution in an ``nn.Sequential``; in float64. What is already rounded
    comes back the same.
    """
    made = copy.deepcopy(network).float().eval()
    for block in made.modules():
        if isinstance(block, nn.Sequential):
            for i in range(len(block) - 1):
                conv, norm = block[i], block[i + 1]
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    block[i] = fuse_conv_bn_eval(conv.double(), norm.double()).float()
                    block[i + 1] = nn.Identity()
    with torch.no_grad():
        for weight in made.parameters():
            if weight.numel() >= SMALLEST and float(weight.abs().max()) <= LARGEST:
                weight.copy_(weight.half().float())
    return made


def pack_weights(model: onnx.ModelProto) -> int:
    """Store weights that are float16 values as float16, in place; the graph computes what it did, bit by bit.

    Returns:
        Number of bytes saved.
    """
    saved = 0
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < SMALLEST:
            continue
        values = numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, name + _SUFFIX))
        casts.append(
            helper.make_node("Cast", [tensor.name], [name], name=f"{name}_cast", to=TensorProto.FLOAT)
        )
        saved += values.nbytes - half.nbytes
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])
    return saved


def unpack_weights(model: onnx.ModelProto) -> None:
    """Undo `pack_weights` in place: float32 initializers, and no Cast of a weight."""
    stored = {t.name: t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT16}
    kept = []
    for node in model.graph.node:
        tensor = stored.get(node.input[0]) if node.op_type == "Cast" and node.input else None
        if tensor is None:
            kept.append(node)
        else:
            values = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, node.output[0]))
    del model.graph.node[:]
    model.graph.node.extend(kept)


def measure_rounding(trained: GraphPlan, stored: GraphPlan, samples: Iterable[Sample]) -> dict[str, Any]:
    """Compare the network as trained with the network as stored.

    Args:
        trained: the plan as it was given.
        stored: what `as_stored` made of it.
        samples: inputs, real photos among them.

    Returns:
        A receipt of plain values: for each output how far it moved.

    Raises:
        StillflowError: an output moved by more than ``ROUNDING`` of its scale.
    """
    tallies = {tensor.name: Tally(Tolerance(absolute=1e-9)) for tensor in trained.outputs}
    names = []
    for sample in samples:
        names.append(sample.name)
        arrays = [sample.inputs[t.name] for t in trained.inputs]
        pair = zip(run_network(stored.network, arrays), run_network(trained.network, arrays), strict=True)
        for output, (got, expected) in zip(tallies, pair, strict=True):
            tallies[output].add(sample.name, got, expected)
    moved = {}
    for output, tally in tallies.items():
        report = tally.report()
        moved[output] = {key: getattr(report, key) for key in _MOVED}
        if not report.max_abs <= ROUNDING * max(report.scale, 1e-6):
            raise StillflowError(
                f"the graph {trained.name} cannot store its weights as float16",
                f"{output} moves by {report.max_abs:.3g} of {report.scale:.3g} on '{report.worst_sample}'",
                "store them whole: --whole-weights",
            )
    return {
        "what": "the network as trained against the network with weights stored as float16, both in float32",
        "limit": {"share_of_scale": ROUNDING},
        "outputs": moved,
        "samples": names,
    }
