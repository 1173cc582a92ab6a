# SPDX-License-Identifier: Apache-2.0
"""Gates: an exported graph passes only when its outputs are those of the network it was made from.

Gate A compares PyTorch with ONNX in float32. Tolerances are written down here and in every receipt;
a graph that misses one is not written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from torch import nn

from stillflow.bundle.manifest import Tensor, Tolerance
from stillflow.bundle.verify import compare
from stillflow.errors import StillflowError
from stillflow.sessions import Session, open_session
from stillflow_export.samples import Sample

GATE_A = Tolerance(absolute=1e-4, relative=1e-4)
"""Float32 against float32: sums in another order, over some hundred thousand products, reach 1e-5."""


@dataclass(frozen=True)
class OutputReport:
    """How one output fared over all samples.

    Attributes:
        max_abs: largest deviation found.
        mean_abs: mean deviation over all values of all samples.
        scale: largest magnitude of the expected values.
        worst: deviation at the value whose deviation is the largest share of its allowance.
        allowed: its allowance.
        worst_sample: name of the sample that value is in.
        passed: no value of any sample exceeds its allowance, and none is NaN or infinite.
        detail: what was wrong, or right, with the worst sample.
    """

    max_abs: float
    mean_abs: float
    scale: float
    allowed: float
    worst: float
    worst_sample: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class GateReceipt:
    """What a gate measured; goes into the bundle as JSON."""

    gate: str
    what: str
    graph: str
    onnx_sha256: str
    passed: bool
    tolerance: dict[str, float]
    outputs: dict[str, OutputReport]
    samples: tuple[str, ...]
    versions: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """The receipt as plain values."""
        return asdict(self)


def gate_a(
    network: nn.Module,
    onnx_file: bytes,
    inputs: Iterable[Tensor],
    outputs: Iterable[Tensor],
    samples: Iterable[Sample],
    *,
    name: str,
    tolerance: Tolerance = GATE_A,
) -> GateReceipt:
    """Compare a network with its ONNX file on every sample, in float32.

    Args:
        network: the original; run in eval mode.
        onnx_file: what was exported from it.
        inputs: in the order of the network's arguments.
        outputs: in the order of what it returns.
        samples: at least one.
        name: of the graph.
        tolerance: allowance of every value of every output.

    Returns:
        The receipt, passed or not: see `require_passed`.

    Raises:
        StillflowError: the file does not load or run, or there are no samples.
    """
    names, kept = [t.name for t in inputs], [t.name for t in outputs]
    session = open_session(onnx_file, "onnxruntime", name=name)
    seen: list[str] = []
    tallies = {output: _Tally(tolerance) for output in kept}
    for sample in samples:
        seen.append(sample.name)
        expected = run_network(network, [sample.inputs[n] for n in names])
        got = session.run(sample.inputs)
        for output, value in zip(kept, expected, strict=True):
            tallies[output].add(sample.name, got[output], value)
    if not seen:
        raise StillflowError(f"cannot judge the graph {name}", "there are no samples", "give at least one")
    reports = {output: tally.report() for output, tally in tallies.items()}
    return GateReceipt(
        gate="A",
        what="PyTorch against ONNX, both in float32",
        graph=name,
        onnx_sha256=hashlib.sha256(onnx_file).hexdigest(),
        passed=all(report.passed for report in reports.values()),
        tolerance={"absolute": tolerance.absolute, "relative": tolerance.relative},
        outputs=reports,
        samples=tuple(seen),
        versions=_versions(session),
    )


def require_passed(receipt: GateReceipt) -> None:
    """Let a graph through, or say where it failed.

    Raises:
        StillflowError: with the output, the worst sample and both figures.
    """
    for output, report in receipt.outputs.items():
        if not report.passed:
            raise StillflowError(
                f"the graph {receipt.graph} fails gate {receipt.gate} ({receipt.what})",
                f"{output} is wrong on the sample '{report.worst_sample}': {report.detail}",
                "do not ship it; export again, or find the layer that differs. The tolerance stays as it is",
            )


def run_network(network: nn.Module, arrays: list[npt.NDArray[np.float32]]) -> list[npt.NDArray[np.float32]]:
    """Run a network in eval mode on arrays; returns its outputs in order."""
    with torch.no_grad():
        made = network.eval()(*(torch.from_numpy(a) for a in arrays))
    return [np.ascontiguousarray(t.numpy()) for t in (made if isinstance(made, tuple) else (made,))]


class _Tally:
    """Sums up one output over the samples."""

    def __init__(self, tolerance: Tolerance) -> None:
        self._tolerance = tolerance
        self._max = self._sum = self._scale = 0.0
        self._count = 0
        self._worst: tuple[float, OutputReport] | None = None

    def add(self, sample: str, got: npt.NDArray[Any], expected: npt.NDArray[Any]) -> None:
        check = compare(sample, got, expected, self._tolerance)
        error, allowed = check.error, check.tolerance
        if error is None or allowed is None:  # NaN, or another shape: nothing is worse
            error, allowed = float("inf"), 0.0
        else:
            deviation = np.abs(got.astype(np.float64) - expected)
            self._max = max(self._max, float(deviation.max()))
            self._sum += float(deviation.sum())
            self._count += deviation.size
            self._scale = max(self._scale, float(np.abs(expected).max()))
        share = error / max(allowed, 1e-30)
        if self._worst is None or share > self._worst[0]:
            report = OutputReport(0, 0, 0, allowed, error, sample, check.ok, check.detail)
            self._worst = (share, report)

    def report(self) -> OutputReport:
        assert self._worst is not None
        worst = self._worst[1]
        return OutputReport(
            max_abs=self._max,
            mean_abs=self._sum / max(self._count, 1),
            scale=self._scale,
            allowed=worst.allowed,
            worst=min(worst.worst, float(np.finfo(np.float32).max)),  # JSON has no infinity
            worst_sample=worst.worst_sample,
            passed=worst.passed,
            detail=worst.detail,
        )


def _versions(session: Session) -> dict[str, str]:
    packages = {name: version(name) for name in ("onnx", "onnxslim", "onnxscript", "numpy")}
    engine = f"{session.engine} {onnxruntime.__version__} {session.provider}"
    return {"torch": torch.__version__, "engine": engine, **packages}
