# SPDX-License-Identifier: Apache-2.0
"""A PyTorch network becomes one ONNX file of plain layers, with named dimensions and no local paths."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import onnx_ir
import onnxscript.optimizer
import torch

import stillflow
from stillflow.bundle.manifest import MAX_FILE_BYTES
from stillflow.errors import StillflowError
from stillflow_export.light_model import is_large, with_weights_of, without_weights
from stillflow_export.plain_layers import OPSET, check_plain
from stillflow_export.plan import GraphPlan, Trained
from stillflow_export.stored_weights import pack_weights
from stillflow_export.whole_file import write_text, write_whole

SMALLEST_EXAMPLE = 64
"""Sides traced with are at least this long, so that no inner size is 1, which tracing takes for a constant."""

SIDES = ("height", "width")
"""Names of the free dimensions; "height/2" is half of one."""


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


def export_onnx(plan: GraphPlan, *, metadata: Mapping[str, str] | None = None) -> ExportedGraph:
    """Export a network.

    Dimensions named "height" and "width" stay free, in multiples of ``plan.multiple``; all others are fixed. The
    graph is simplified with onnxslim, checked by onnx.checker and against the list of plain layers.

    Args:
        plan: what to export; its network is run in eval mode, in float32. With ``half_weights``, give what
            `stored_weights.as_stored` made of the plan, and judge the graph by that network.
        metadata: written into the file beside stillflow's version; such as source and licence.

    Returns:
        The graph. The same network gives the same bytes with the same versions of torch and onnxslim.

    Raises:
        StillflowError: the network cannot be exported, holds NaN or infinite weights, or needs an
            operator that is no plain layer.
    """
    what = f"cannot export the network {plan.name}"
    for key, value in plan.network.state_dict().items():
        if value.dtype.is_floating_point and not bool(torch.isfinite(value).all()):
            raise StillflowError(what, f"its weight {key} holds NaN or infinite values", "train it again")
    network = plan.network.float().eval()
    example, free = _example(plan)
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                network,
                example,
                dynamo=True,
                opset_version=OPSET,
                input_names=[t.name for t in plan.inputs],
                output_names=[t.name for t in plan.outputs],
                dynamic_shapes=free,
                optimize=False,  # see _folded
                verbose=False,
            )
            assert program is not None
            traced, program = program.model, None
            folded = _folded(traced)
            # Each holds the weights once more, in cycles of objects.
            del traced, program
            gc.collect()
            model = _simplified(folded)
            del folded
            gc.collect()
    # The exporter and the simplifier raise errors of many kinds; torch's own message says which layer.
    except Exception as error:
        reason = str(error).strip().splitlines()
        raise StillflowError(
            what,
            f"torch {torch.__version__} says: {reason[0][:300] if reason else type(error).__name__}",
            f"build it of plain layers, with sizes that divide by {plan.multiple}",
        ) from error
    _check_interface(model, plan, what)
    _name_dimensions(model, plan)
    _strip(model)
    if plan.half_weights:
        pack_weights(model)
    model.graph.name = plan.name
    model.producer_name, model.producer_version = "stillflow-export", stillflow.__version__
    entries = {
        "name": plan.name,
        "multiple": str(plan.multiple),
        **({} if plan.halo is None else {"halo": str(plan.halo)}),
        **(metadata or {}),
        "exporter": f"torch {torch.__version__} dynamo",
    }
    for key, text in sorted(entries.items()):
        model.metadata_props.add(key=key, value=text)
    operators = check_plain(model, what)
    data: bytes = model.SerializeToString(deterministic=True)
    if len(data) > MAX_FILE_BYTES:
        raise StillflowError(
            what, f"it takes {len(data)} bytes", "an ONNX file ends at 2 GiB: use a smaller network"
        )
    return ExportedGraph(data, operators, sum(p.numel() for p in network.parameters()))


def metadata_of(trained: Trained, digest: str | None) -> dict[str, str]:
    """What an ONNX file says of its weights.

    Args:
        trained: the weights.
        digest: SHA-256 of their file; None where there is none.
    """
    found = {"licence": trained.licence, "source": trained.source}
    return found | ({"weights_sha256": digest} if digest else {})


def _example(plan: GraphPlan) -> tuple[tuple[torch.Tensor, ...], tuple[dict[int, Any], ...]]:
    """Return what to trace with, and which dimensions of it are free."""
    steps = max(2, -(-SMALLEST_EXAMPLE // plan.multiple))
    # Different, and neither a power of two times the other: no layer can mistake one for the other.
    sides = {"height": steps * plan.multiple, "width": (steps + 1) * plan.multiple}
    roots = {name: torch.export.Dim(name, min=1) for name in SIDES}
    example, free = [], []
    for tensor in plan.inputs:
        sizes, dimensions = [], {}
        for i, size in enumerate(tensor.shape):
            if isinstance(size, str):
                side, _, divisor = size.partition("/")
                step = plan.multiple // int(divisor or 1)
                dimensions[i] = step * roots[side] if step > 1 else roots[side]
                size = sides[side] // int(divisor or 1)
            sizes.append(size)
        example.append(torch.zeros(sizes))
        free.append(dimensions)
    return tuple(example), tuple(free)


def write_onnx(path: Path, data: bytes, receipt: Mapping[str, Any]) -> None:
    """Write an ONNX file and, beside it, NAME.receipt.json; each appears whole or not at all.

    Raises:
        StillflowError: the folder does not exist, is full or may not be written to; then no receipt is left, which
            would speak of a file that is not there.
    """
    beside = path.with_suffix(".receipt.json")
    write_text(beside, json.dumps(receipt, indent=1, allow_nan=False) + "\n")
    try:
        write_whole(path, data)
    except StillflowError:
        beside.unlink(missing_ok=True)
        raise


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

    large = is_large(model)
    slim: onnx.ModelProto | None = onnxslim.slim(without_weights(model) if large else model)
    if slim is None:
        raise ValueError("onnxslim returned nothing")
    return with_weights_of(model, slim) if large else slim


def _name_dimensions(model: onnx.ModelProto, plan: GraphPlan) -> None:
    """Write the manifest's names of the free dimensions into the file; drop inner shapes, engines infer them."""
    del model.graph.value_info[:]
    for values, tensors in ((model.graph.input, plan.inputs), (model.graph.output, plan.outputs)):
        for value, tensor in zip(values, tensors, strict=True):
            for dimension, size in zip(value.type.tensor_type.shape.dim, tensor.shape, strict=True):
                if isinstance(size, str):
                    dimension.dim_param = size


def _strip(model: onnx.ModelProto) -> None:
    """Drop what exporters note about the source: stack traces hold paths of this machine."""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    model.doc_string = model.graph.doc_string = ""
    for part in (*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output):
        part.doc_string = ""
        del part.metadata_props[:]


def _check_interface(model: onnx.ModelProto, plan: GraphPlan, what: str) -> None:
    """Compare names, types and fixed sizes with what the manifest is going to say."""
    for values, tensors in ((model.graph.input, plan.inputs), (model.graph.output, plan.outputs)):
        found, said = [v.name for v in values], [t.name for t in tensors]
        if found != said:
            raise StillflowError(
                what, f"it came out with {found} where {said} was meant", "check the network's arguments"
            )
        for value, tensor in zip(values, tensors, strict=True):
            if value.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
                raise StillflowError(
                    what, f"{value.name} is not float32", "let the network take and give float32"
                )
            found_sizes = [
                d.dim_value if d.HasField("dim_value") else d.dim_param or "?"
                for d in value.type.tensor_type.shape.dim
            ]
            fits = len(found_sizes) == len(tensor.shape) and all(
                isinstance(there, str) if isinstance(size, str) else there == size
                for there, size in zip(found_sizes, tensor.shape, strict=False)
            )
            if not fits:
                raise StillflowError(
                    what,
                    f"{value.name} came out as {found_sizes} where {list(tensor.shape)} was meant",
                    "check the network, and what the plan says of it",
                )
