# SPDX-License-Identifier: Apache-2.0
"""How much work a query is: multiplications and bytes, by counting, not by measuring."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow_bench.latency.page.material import Shown
from stillflow_bench.latency.plan import Block
from stillflow_engines import bundle_names

SAME_NETWORKS = ("networks", "device", "raw-onnxruntime", "raw-openvino", "raw-tensorrt", "torch")
"""Kinds of targets that compute the subject's own networks."""

ONE_PICTURE = ("next", "plain-warp", "copy")
"""Kinds whose query reads at least one picture and writes one."""


class Work(NamedTuple):
    """Of one query.

    Attributes:
        operations: floating-point operations, a multiply-accumulate being two; 0: not counted.
        bytes: that are read and written.
    """

    operations: float
    bytes: float


def frame_work(block: Block) -> Work | None:
    """The least that a frame moves: a picture of three bytes a pixel read, and one written."""
    subject = block.target.subject
    return Work(0, 2 * 3 * subject.width * subject.height) if block.target.kind in ONE_PICTURE else None


def network_work(shown: Sequence[Shown]) -> dict[str, Work]:
    """Block's name -> work of its networks, where it is a shipped bundle's and onnx is installed.

    Shapes are those that some block with the same subject says it was given; the bundle must be the very one. No path
    that stands in a run's files is opened.
    """
    told: dict[tuple[str, str], tuple[Mapping[str, Any], str]] = {}
    for one in shown:
        facts = one.measured.facts
        shapes, bundle = facts.notes.get("shapes"), facts.hashes.get("bundle", "")
        if one.block.target.kind in SAME_NETWORKS and isinstance(shapes, dict) and bundle:
            told.setdefault(_subject(one), (shapes, bundle))
    found = {}
    for one in shown:
        if one.block.target.kind not in SAME_NETWORKS or _subject(one) not in told:
            continue
        shapes, sha256 = told[_subject(one)]
        work = _counted(one.block.target.subject.bundle, sha256, _frozen(shapes))
        if work is not None:
            found[one.block.name] = work
    return found


def _subject(one: Shown) -> tuple[str, str]:
    return one.block.target.subject.bundle, one.block.target.subject.size


def _frozen(shapes: Mapping[str, Any]) -> tuple[tuple[str, tuple[tuple[str, tuple[int, ...]], ...]], ...]:
    """Shapes by graph and input, as a key; nothing of what is no shape."""
    kept = []
    for graph, inputs in shapes.items():
        pairs = inputs.items() if isinstance(inputs, dict) else ()
        good = [
            (str(k), tuple(v)) for k, v in pairs if isinstance(v, list) and all(isinstance(n, int) for n in v)
        ]
        kept.append((str(graph), tuple(sorted(good))))
    return tuple(sorted(kept))


@cache
def _counted(
    where: str, sha256: str, shapes: tuple[tuple[str, tuple[tuple[str, tuple[int, ...]], ...]], ...]
) -> Work | None:
    """Work of a bundle's networks; None where it cannot be counted here."""
    if where not in bundle_names():
        return None
    try:
        with Bundle.open(where) as bundle:
            if bundle.sha256 != sha256:
                return None
            parts = [_graph_work(bundle, graph, dict(inputs)) for graph, inputs in shapes]
    except (StillflowError, ImportError, OSError, KeyError, ValueError):
        return None  # the plot is left out; no figure depends on it
    return Work(sum(part.operations for part in parts), sum(part.bytes for part in parts)) if parts else None


def _graph_work(bundle: Bundle, graph: str, inputs: Mapping[str, tuple[int, ...]]) -> Work:
    from stillflow_export.macs import graph_cost, read_model

    data = bundle.graph_bytes(graph, bundle.manifest.default_precision)
    sizes: dict[str, int] = {}
    for value in read_model(data, graph).graph.input:
        for dimension, side in zip(value.type.tensor_type.shape.dim, inputs[value.name], strict=True):
            label, _, share = dimension.dim_param.partition("/")
            if label:
                sizes[label] = side * int(share or 1)
    cost = graph_cost(data, sizes, graph)
    # Every layer writes its values once and another one reads them once, four bytes each.
    values = sum(math.prod(layer.shape) for layer in cost.layers if layer.shape)
    return Work(2 * cost.macs, cost.weight_bytes + 2 * 4 * values)
