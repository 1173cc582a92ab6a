# SPDX-License-Identifier: Apache-2.0
"""The same graph at another precision: converted from the float32 file, and judged by gate B before it counts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillflow.bundle import Bundle
from stillflow.bundle.manifest import Tolerance
from stillflow.errors import StillflowError
from stillflow_export.bundle_parts import Parts
from stillflow_export.gates import GateReceipt, gate_b, require_passed, vector_tolerance
from stillflow_export.gates.frames import FramesReceipt, gate_b_frames
from stillflow_export.plan import GraphPlan
from stillflow_export.precision import half, int8


@dataclass(frozen=True)
class Converted:
    """A graph at another precision, which passed its gate.

    Attributes:
        precision: of the file.
        data: the ONNX file.
        receipt: of gate B.
        tolerance: what test vectors allow it, by output.
    """

    precision: str
    data: bytes
    receipt: GateReceipt
    tolerance: Mapping[str, Tolerance]


def convert(
    precision: str,
    plan: GraphPlan,
    reference: bytes,
    photos: Sequence[Path] = (),
    calibration: Sequence[Path] = (),
    failed: Callable[[bytes, GateReceipt], None] = lambda data, receipt: None,
) -> Converted:
    """Convert a graph and judge what came out.

    Args:
        precision: a key of `CONVERTERS`.
        plan: of the graph.
        reference: its ONNX file in float32, which passed gate A.
        photos: real photos to measure ranges with, and to judge by.
        calibration: real photos that int8 takes its scales from; ``photos`` judge the result, so they are others.
        failed: given the file and the receipt when it misses the gate, before that is raised.

    Raises:
        KeyError: no such precision.
        StillflowError: the graph cannot be converted, or misses the gate.
    """
    data, made = CONVERTERS[precision](plan, reference, photos, calibration)
    receipt = gate_b(reference, data, plan.samples(photos), name=plan.name, precision=precision, made=made)
    if not receipt.passed:
        failed(data, receipt)
    require_passed(receipt)
    return Converted(precision, data, receipt, vector_tolerance(receipt))


def _half(
    plan: GraphPlan, reference: bytes, photos: Sequence[Path], calibration: Sequence[Path]
) -> tuple[bytes, dict[str, Any]]:
    made = half.to_half(reference, plan.samples(photos))
    return made.data, made.as_json()


def _int8(
    plan: GraphPlan, reference: bytes, photos: Sequence[Path], calibration: Sequence[Path]
) -> tuple[bytes, dict[str, Any]]:
    if not calibration:
        what = f"cannot convert the graph {plan.name} to int8"
        raise StillflowError(
            what, "there are no photos to calibrate with", "name a folder with --calibration"
        )
    made = int8.to_int8(reference, plan.samples(calibration))
    return made.data, made.as_json()


def judge_frames(
    parts: Parts, precision: str, photos: Sequence[Path], graphs: Collection[str] | None = None
) -> FramesReceipt:
    """Judge the frames that a bundle makes at another precision, and add the receipt.

    Args:
        parts: a bundle that could be opened: its manifest is written.
        precision: that the judged graphs have a file of.
        photos: to make loops of.
        graphs: that are judged, see `gate_b_frames`; None: all.

    Returns:
        The receipt.

    Raises:
        StillflowError: a frame misses the gate, or nothing moves in any photo.
    """
    with Bundle.open(parts.folder) as bundle:
        receipt = gate_b_frames(bundle, precision, photos, graphs=graphs)
    require_passed(receipt)
    parts.add_receipt(f"gate-b-{precision}", None, receipt.what, receipt.as_json())
    return receipt


Convert = Callable[[GraphPlan, bytes, Sequence[Path], Sequence[Path]], tuple[bytes, dict[str, Any]]]

CONVERTERS: dict[str, Convert] = {"fp16": _half, "int8": _int8}
"""Precision -> how a graph comes to it: its file, and what the receipt says of how it was made."""
