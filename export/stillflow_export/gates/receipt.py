# SPDX-License-Identifier: Apache-2.0
"""What a gate measured, and what follows from it: a graph passes, or the worst sample is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch

from stillflow.bundle.manifest import Tolerance
from stillflow.bundle.verify import compare
from stillflow.errors import StillflowError
from stillflow.sessions import Session


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
        rms: root of the mean squared deviation over all values of the sample where it is largest; gate B only.
        rms_allowed: its allowance.
    """

    max_abs: float
    mean_abs: float
    scale: float
    allowed: float
    worst: float
    worst_sample: str
    passed: bool
    detail: str
    rms: float | None = None
    rms_allowed: float | None = None


@dataclass(frozen=True)
class GateReceipt:
    """What a gate measured; goes into the bundle as JSON.

    Attributes:
        more: what only this gate knows, such as the precision; written beside the rest.
    """

    gate: str
    what: str
    graph: str
    onnx_sha256: str
    passed: bool
    tolerance: dict[str, float]
    outputs: dict[str, OutputReport]
    samples: tuple[str, ...]
    versions: dict[str, str]
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def failures(self) -> tuple[str, ...]:
        """One sentence for each output that missed its allowance."""
        bad = [(name, report) for name, report in self.outputs.items() if not report.passed]
        return tuple(f"{name} is wrong on the sample '{r.worst_sample}': {r.detail}" for name, r in bad)

    @property
    def lines(self) -> tuple[str, ...]:
        """One line for each output, for people."""
        gate = " ".join((self.gate, *filter(None, [self.more.get("precision")])))
        return tuple(
            f"gate {gate} {self.graph}.{output}: max {report.max_abs:.2e} of {report.scale:.3g}, "
            f"worst sample '{report.worst_sample}', {len(self.samples)} samples"
            for output, report in self.outputs.items()
        )

    def as_json(self) -> dict[str, Any]:
        """The receipt as plain values."""
        plain = asdict(self)
        more = plain.pop("more")
        return {**plain, **more}


class Judged(Protocol):
    """What is read of a receipt, whichever gate wrote it."""

    @property
    def gate(self) -> str: ...

    @property
    def what(self) -> str: ...

    @property
    def graph(self) -> str: ...

    @property
    def failures(self) -> Sequence[str]: ...

    @property
    def lines(self) -> Sequence[str]: ...

    def as_json(self) -> dict[str, Any]: ...


def require_passed(receipt: Judged) -> None:
    """Let a graph through, or say where it failed.

    Raises:
        StillflowError: with the output or the frame, the worst sample and both figures.
    """
    for failure in receipt.failures[:1]:
        raise StillflowError(
            f"the graph {receipt.graph} fails gate {receipt.gate} ({receipt.what})",
            failure,
            "do not ship it, and leave the tolerance as it is; docs/when-a-gate-fails.md leads to the layer or the "
            "decision to blame (`stillflow-export onnx --keep-failed`, then `stillflow-export compare`)",
        )


class Tally:
    """Sums up one output over the samples.

    Args:
        tolerance: allowance of every value.
    """

    def __init__(self, tolerance: Tolerance) -> None:
        self._tolerance = tolerance
        self._max = self._sum = self._scale = 0.0
        self._count = 0
        self._worst: tuple[float, OutputReport] | None = None

    def add(self, sample: str, got: npt.NDArray[Any], expected: npt.NDArray[Any]) -> None:
        """Compare one sample's output with the expected one."""
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
        """Sum up; at least one sample was added."""
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


def versions(session: Session) -> dict[str, str]:
    """Name what judged: torch, the engine and the export tools, with their versions."""
    packages = {name: version(name) for name in ("onnx", "onnxslim", "onnxscript", "numpy")}
    engine = f"{session.engine} {onnxruntime.__version__} {session.provider}"
    return {"torch": torch.__version__, "engine": engine, **packages}
