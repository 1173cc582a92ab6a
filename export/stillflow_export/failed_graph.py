# SPDX-License-Identifier: Apache-2.0
"""A graph that failed its gate, put aside with the inputs it failed on, so that the layer can be found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stillflow.bundle.npz import write_npz
from stillflow_export.gates import GateReceipt
from stillflow_export.onnx_export import write_onnx
from stillflow_export.plan import GraphPlan


def keep_failed(
    file: Path, data: bytes, receipt: GateReceipt, plan: GraphPlan, photos: Sequence[Path]
) -> tuple[Path, Path]:
    """Write NAME.failed.onnx with its receipt, and NAME.failed.npz with the inputs of the worst sample.

    Args:
        file: what the graph would have been written to, had it passed.
        data: the ONNX file.
        receipt: of the gate.
        plan: of the graph.
        photos: that the gate judged by.

    Returns:
        Both files.

    Raises:
        StillflowError: they cannot be written.
    """
    worst = next(report.worst_sample for report in receipt.outputs.values() if not report.passed)
    sample = next(sample for sample in plan.samples(photos) if sample.name == worst)
    graph, inputs = file.with_suffix(".failed.onnx"), file.with_suffix(".failed.npz")
    write_onnx(graph, data, receipt.as_json())
    write_npz(inputs, sample.inputs)
    return graph, inputs
