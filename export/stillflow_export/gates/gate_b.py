# SPDX-License-Identifier: Apache-2.0
"""Gate B, output by output: the float32 graph against the same graph in another precision, on the same inputs.

The graph is played with every float16 value rounded (``precision.rounded``); sums inside a layer are taken in float32.
So this gate judges the graph: its ranges, its types, what was kept in float32. What an engine makes of it is judged by
gate C, where that engine runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stillflow.bundle.manifest import Tolerance
from stillflow.errors import StillflowError
from stillflow.sessions import open_session
from stillflow_export.gates.receipt import GateReceipt, OutputReport, versions
from stillflow_export.precision.rounded import rounded
from stillflow_export.samples import Sample


@dataclass(frozen=True)
class Limits:
    """How far an output may part from float32, as shares of its largest magnitude over all samples.

    Attributes:
        peak: for any one value.
        rms: for the root of the mean squared deviation, in any one sample.
    """

    peak: float
    rms: float


LIMITS = {"fp16": Limits(peak=0.05, rms=0.005), "int8": Limits(peak=0.3, rms=0.03)}
"""One rounding in float16 is 0.05 % at most; some hundred in a row, each its own way, come to ten times that (rms).
int8 rounds to 0.4 % of the largest value. Pictures of -1..1 keep 52 dB at an rms of 0.5 %. The worst of a million
values lies 25 times above the rms where a tanh is steep: 4.2 % at 0.17 % in a decoder of random weights whose norms
were calibrated."""

FLOOR = 1e-6
"""Smallest allowance of a value: for outputs that are zero on every sample."""

ENGINE_SHARE, ENGINE_FLOOR = 4.0, 0.02
"""Test vectors allow an engine this many times what gate B measured, since it may sum in half precision too, and
never less than this share of the output's largest magnitude."""


class _Tally:
    """Sums up how one output fared."""

    def __init__(self) -> None:
        self.scale = self.sum = 0.0
        self.count = 0
        self.peak, self.rms = (-1.0, ""), (-1.0, "")  # deviation, sample
        self.broken: tuple[str, str] | None = None  # sample, what

    def add(self, sample: str, got: npt.NDArray[Any], expected: npt.NDArray[Any]) -> None:
        """Compare one sample's output with the one in float32."""
        if got.shape != expected.shape or got.dtype != expected.dtype:
            found = f"it is {got.dtype} {got.shape} and should be {expected.dtype} {expected.shape}"
            self.broken = self.broken or (sample, found)
            return
        if not (np.isfinite(got).all() and np.isfinite(expected).all()):
            self.broken = self.broken or (sample, "it holds NaN or infinite values")
            return
        deviation = np.abs(got.astype(np.float64) - expected)
        self.scale = max(self.scale, float(np.abs(expected).max()))
        self.sum, self.count = self.sum + float(deviation.sum()), self.count + deviation.size
        self.peak = max(self.peak, (float(deviation.max()), sample), key=lambda pair: pair[0])
        self.rms = max(self.rms, (float(np.sqrt((deviation**2).mean())), sample), key=lambda pair: pair[0])

    def report(self, limits: Limits) -> OutputReport:
        """Sum up; at least one sample was added."""
        allowed = max(FLOOR, limits.peak * self.scale)
        rms_allowed = max(FLOOR, limits.rms * self.scale)
        if self.broken:
            return OutputReport(
                max_abs=max(self.peak[0], 0.0),
                mean_abs=self.sum / max(self.count, 1),
                scale=self.scale,
                allowed=allowed,
                worst=float(np.finfo(np.float32).max),  # JSON has no infinity
                worst_sample=self.broken[0],
                passed=False,
                detail=self.broken[1],
            )
        # The limit that is used up most decides which sample is named.
        by_rms = self.rms[0] / rms_allowed > self.peak[0] / allowed
        detail = f"off by {self.peak[0]:.3g}, allowed {allowed:.3g}; rms {self.rms[0]:.3g}, allowed {rms_allowed:.3g}"
        return OutputReport(
            max_abs=self.peak[0],
            mean_abs=self.sum / self.count,
            scale=self.scale,
            allowed=allowed,
            worst=self.peak[0],
            worst_sample=self.rms[1] if by_rms else self.peak[1],
            passed=self.peak[0] <= allowed and self.rms[0] <= rms_allowed,
            detail=detail,
            rms=self.rms[0],
            rms_allowed=rms_allowed,
        )


def gate_b(
    reference: bytes,
    candidate: bytes,
    samples: Iterable[Sample],
    *,
    name: str,
    precision: str,
    made: Mapping[str, Any] | None = None,
) -> GateReceipt:
    """Compare a graph in another precision with the float32 one, on every sample.

    Args:
        reference: the ONNX file in float32, which passed gate A.
        candidate: the same in the other precision, with the same inputs and outputs.
        samples: at least one.
        name: of the graph.
        precision: "fp16" or "int8": a key of `LIMITS`.
        made: how the candidate came about, for the receipt.

    Returns:
        The receipt, passed or not: see `require_passed`.

    Raises:
        StillflowError: a file does not load or run, or there are no samples.
    """
    limits = LIMITS[precision]
    first, second = (open_session(rounded(data), "onnxruntime", name=name) for data in (reference, candidate))
    what = f"cannot judge the graph {name} in {precision}"
    names = [spec.name for spec in first.outputs]
    if sorted(names) != sorted(spec.name for spec in second.outputs):
        found = ", ".join(spec.name for spec in second.outputs)
        raise StillflowError(what, f"it gives {found} and not {', '.join(names)}", "convert it again")
    tallies = {output: _Tally() for output in names}
    seen: list[str] = []
    for sample in samples:
        seen.append(sample.name)
        expected, got = first.run(sample.inputs), second.run(sample.inputs)
        for output, tally in tallies.items():
            tally.add(sample.name, got[output], expected[output])
    if not seen:
        raise StillflowError(what, "there are no samples", "give at least one")
    reports = {output: tally.report(limits) for output, tally in tallies.items()}
    return GateReceipt(
        gate="B",
        what=f"float32 against {precision}, both as ONNX",
        graph=name,
        onnx_sha256=hashlib.sha256(candidate).hexdigest(),
        passed=all(report.passed for report in reports.values()),
        tolerance=asdict(limits),
        outputs=reports,
        samples=tuple(seen),
        versions=versions(second),
        more={
            "precision": precision,
            "reference_sha256": hashlib.sha256(reference).hexdigest(),
            "made": dict(made or {}),
        },
    )


def vector_tolerance(receipt: GateReceipt) -> dict[str, Tolerance]:
    """Return what test vectors allow an engine in this precision, by output name.

    Args:
        receipt: of gate B.
    """
    return {
        output: Tolerance(
            absolute=float(f"{max(ENGINE_SHARE * r.max_abs, ENGINE_FLOOR * r.scale, FLOOR):.3g}")
        )
        for output, r in receipt.outputs.items()
    }
