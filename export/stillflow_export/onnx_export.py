# SPDX-License-Identifier: Apache-2.0
"""A PyTorch network becomes one ONNX file of plain layers, with named dimensions and no local paths."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import onnx_ir
import onnxscript.optimizer
import torch
from torch import nn

import stillflow
from stillflow.bundle.manifest import MAX_FILE_BYTES, Tensor
from stillflow.errors import StillflowError
from stillflow_export.graphs import MULTIPLE, OPSET

PLAIN_LAYERS = frozenset(
    {
        # layers
        "Conv", "Resize", "Concat", "Add", "Sub", "Mul", "Div", "GlobalAveragePool", "AveragePool", "MaxPool",
        "ReduceMean", "ReduceSum", "InstanceNormalization", "BatchNormalization", "Gemm", "MatMul",
        # activations
        "Relu", "LeakyRelu", "PRelu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Softplus", "Clip", "Softmax",
        "Exp", "Log", "Sqrt", "Pow", "Abs", "Neg", "Min", "Max", "Reciprocal",
        # views, and the arithmetic of sizes that group norm needs under dynamic shapes
        "Slice", "Split", "Reshape", "Transpose", "Constant", "Identity", "Shape", "Gather", "Squeeze", "Unsqueeze",
        "Expand",
    }
)  # fmt: skip
"""Operators that TensorRT 8.6 to 11, TensorRT-RTX, ONNX Runtime and OpenVINO all parse and agree on.

Left out on purpose: GridSample (its rounding differs, and opset 20's is wrong on TensorRT 10.13), every
Scatter (races, refused by TensorRT-RTX), loops, branches, random numbers, and custom domains."""

EXAMPLE_SIDES = (2 * MULTIPLE, 3 * MULTIPLE)
"""Height and width traced with: different, and neither a power of two times the other."""


@dataclass(frozen=True)
class ExportedGraph:
    """An exported network.

    Attributes:
        data: the ONNX file.
        operators: how often each operator occurs.
        parameters: number of weights.
    """

    data: bytes
    operators: Mapping[str, int]
    parameters: int


def export_onnx(
    network: nn.Module,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    *,
    name: str,
    metadata: Mapping[str, str] | None = None,
) -> ExportedGraph:
    """Export a network.

    The height and width of image inputs stay free, in multiples of 32. The graph is simplified with
    onnxslim, checked by onnx.checker and against the list of plain layers.

    Args:
        network: in any mode; exported as in eval mode, in float32.
        inputs: in the order of the network's arguments, (1, C, "height", "width").
        outputs: in the order of what it returns.
        name: of the graph.
        metadata: written into the file beside stillflow's version; such as source and licence.

    Returns:
        The graph. The same network gives the same bytes with the same versions of torch and onnxslim.

    Raises:
        StillflowError: the network cannot be exported, holds NaN or infinite weights, or needs an
            operator that is no plain layer.
    """
    what = f"cannot export the network {name}"
    for key, value in network.state_dict().items():
        if value.dtype.is_floating_point and not bool(torch.isfinite(value).all()):
            raise StillflowError(what, f"its weight {key} holds NaN or infinite values", "train it again")
    network = network.float().eval()
    height, width = EXAMPLE_SIDES
    example = tuple(torch.zeros(1, tensor.shape[1], height, width) for tensor in inputs)  # type: ignore[arg-type]
    free = {2: MULTIPLE * torch.export.Dim("height", min=1), 3: MULTIPLE * torch.export.Dim("width", min=1)}
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                network,
                example,
                dynamo=True,
                opset_version=OPSET,
                input_names=[t.name for t in inputs],
                output_names=[t.name for t in outputs],
                dynamic_shapes=tuple(free for _ in inputs),
                optimize=False,  # see _folded
                verbose=False,
            )
            assert program is not None
            model = _simplified(_folded(program.model))
    # The exporter and the simplifier raise errors of many kinds; torch's own message says which layer.
    except Exception as error:
        reason = str(error).strip().splitlines()
        raise StillflowError(
            what,
            f"torch {torch.__version__} says: {reason[0][:300] if reason else type(error).__name__}",
            "build it of plain layers, with sizes that divide by 32",
        ) from error
    _name_dimensions(model, [*inputs], [*outputs])
    _strip(model)
    model.graph.name = name
    model.producer_name, model.producer_version = "stillflow-export", stillflow.__version__
    entries = {"name": name, **(metadata or {}), "exporter": f"torch {torch.__version__} dynamo"}
    for key, text in sorted(entries.items()):
        model.metadata_props.add(key=key, value=text)
    operators = check_plain(model, what)
    _check_interface(model, inputs, outputs, what)
    data: bytes = model.SerializeToString(deterministic=True)
    if len(data) > MAX_FILE_BYTES:
        raise StillflowError(
            what, f"it takes {len(data)} bytes", "an ONNX file ends at 2 GiB: use a smaller network"
        )
    return ExportedGraph(data, operators, sum(p.numel() for p in network.parameters()))


def check_plain(model: onnx.ModelProto, what: str = "cannot use the graph") -> dict[str, int]:
    """Check that a model is valid, carries its weights inside, and holds plain layers only.

    Args:
        model: an ONNX model.
        what: for the message.

    Returns:
        How often each operator occurs, by name.

    Raises:
        StillflowError: with the first operator or weight that may not be there.
    """
    fix = f"build it of plain layers: {', '.join(sorted(PLAIN_LAYERS))}"
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:
        raise StillflowError(what, f"onnx.checker refuses it: {str(error).strip()[:300]}", fix) from error
    if len(model.functions):
        raise StillflowError(what, "it defines functions of its own", fix)
    for opset in model.opset_import:
        if opset.domain not in ("", "ai.onnx"):
            raise StillflowError(what, f"it needs the operators of the domain '{opset.domain}'", fix)
    counts: dict[str, int] = {}
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in PLAIN_LAYERS:
            raise StillflowError(
                what, f"it needs the operator {node.domain or 'ai.onnx'}.{node.op_type}", fix
            )
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    for weight in model.graph.initializer:
        if weight.data_location == onnx.TensorProto.EXTERNAL:
            raise StillflowError(
                what, f"its weight {weight.name} lies in another file", "save it in one file"
            )
    return dict(sorted(counts.items()))


def write_onnx(path: Path, data: bytes, receipt: Mapping[str, Any]) -> None:
    """Write an ONNX file and, beside it, NAME.receipt.json; each appears whole or not at all.

    Raises:
        StillflowError: the folder does not exist, is full or may not be written to.
    """
    text = json.dumps(receipt, indent=1, allow_nan=False).encode() + b"\n"
    for target, content in ((path.with_suffix(".receipt.json"), text), (path, data)):
        partial = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            partial.write_bytes(content)
            os.replace(partial, target)
        except OSError as error:
            partial.unlink(missing_ok=True)
            fix = "choose a folder that exists, has room and may be written to"
            raise StillflowError(f"cannot write {target}", str(error.strerror or error), fix) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporters: they report their progress with warnings, prints and logs."""
    loggers = [
        logging.getLogger(n) for n in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir", "onnxslim")
    ]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _folded(model: Any) -> onnx.ModelProto:
    """Fold constants as the exporter's own optimiser does, but without its rewrite rules.

    Those take a constant within 1e-8 of 0 for 0: x + 1e-8 under a square root became x, and a division
    by zero was left (onnxscript 0.7.2).
    """
    onnxscript.optimizer.inline(model)
    onnxscript.optimizer.fold_constants(model)
    onnxscript.optimizer.remove_unused_nodes(model)
    folded: onnx.ModelProto = onnx_ir.to_proto(model)
    return folded


def _simplified(model: onnx.ModelProto) -> onnx.ModelProto:
    """Fold constants and batch norms with onnxslim."""
    import onnxslim

    slim: onnx.ModelProto | None = onnxslim.slim(model)
    if slim is None:
        raise ValueError("onnxslim returned nothing")
    return slim


def _name_dimensions(model: onnx.ModelProto, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Write the manifest's names of the free dimensions into the file; drop inner shapes, engines infer them."""
    del model.graph.value_info[:]
    for values, tensors in ((model.graph.input, inputs), (model.graph.output, outputs)):
        for value, tensor in zip(values, tensors, strict=True):
            for dimension, size in zip(value.type.tensor_type.shape.dim, tensor.shape, strict=True):
                if isinstance(size, str):
                    dimension.dim_param = size
                elif dimension.dim_value != size:
                    raise ValueError(f"{tensor.name} has {dimension.dim_value} where {size} was said")


def _strip(model: onnx.ModelProto) -> None:
    """Drop what exporters note about the source: stack traces hold paths of this machine."""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    model.doc_string = model.graph.doc_string = ""
    for part in (*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output):
        part.doc_string = ""
        del part.metadata_props[:]


def _check_interface(
    model: onnx.ModelProto, inputs: Sequence[Tensor], outputs: Sequence[Tensor], what: str
) -> None:
    for values, tensors in ((model.graph.input, inputs), (model.graph.output, outputs)):
        found, said = [v.name for v in values], [t.name for t in tensors]
        if found != said:
            raise StillflowError(
                what, f"it came out with {found} where {said} was meant", "check the network's arguments"
            )
        for value in values:
            if value.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
                raise StillflowError(
                    what, f"{value.name} is not float32", "let the network take and give float32"
                )
