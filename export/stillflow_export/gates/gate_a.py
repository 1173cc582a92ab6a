# SPDX-License-Identifier: Apache-2.0
"""Gate A: PyTorch against ONNX, in float32. A graph that misses the tolerance gets no file of its name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from stillflow.bundle.manifest import Tensor, Tolerance
from stillflow.errors import StillflowError
from stillflow.sessions import open_session
from stillflow_export.gates.receipt import GateReceipt, Tally, versions
from stillflow_export.samples import Sample

GATE_A = Tolerance(absolute=1e-4, relative=1e-4)
"""Float32 against float32: sums in another order, over some hundred thousand products, reach 1e-5. The absolute part
counts in units of the output (see `unit`)."""


def unit(tensor: Tensor) -> float:
    """Size of one unit of an output: its stated range where that is wider than -1..1, else 1.

    A velocity that ends in tanh times 64 carries the last layer's rounding 64 times over; the network's own values are
    still those before the factor.
    """
    return max(1.0, *(abs(bound) for bound in tensor.range)) if tensor.range else 1.0


def gate_a(
    network: nn.Module,
    onnx_file: bytes,
    inputs: Iterable[Tensor],
    outputs: Iterable[Tensor],
    samples: Iterable[Sample],
    *,
    name: str,
) -> GateReceipt:
    """Compare a network with its ONNX file on every sample, in float32.

    Args:
        network: the original; run in eval mode.
        onnx_file: what was exported from it.
        inputs: in the order of the network's arguments.
        outputs: in the order of what it returns.
        samples: at least one.
        name: of the graph.

    Returns:
        The receipt, passed or not: see `require_passed`.

    Raises:
        StillflowError: the file does not load or run, or there are no samples.
    """
    units = {t.name: unit(t) for t in outputs}
    names, kept = [t.name for t in inputs], list(units)
    session = open_session(onnx_file, "onnxruntime", name=name)
    seen: list[str] = []
    tallies = {
        output: Tally(Tolerance(absolute=size * GATE_A.absolute, relative=GATE_A.relative))
        for output, size in units.items()
    }
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
        tolerance={"absolute": GATE_A.absolute, "relative": GATE_A.relative},
        outputs=reports,
        samples=tuple(seen),
        versions=versions(session),
        more={"units": {output: size for output, size in units.items() if size != 1}},
    )


def run_network(network: nn.Module, arrays: list[npt.NDArray[np.float32]]) -> list[npt.NDArray[np.float32]]:
    """Run a network in eval mode on arrays; returns its outputs in order."""
    with torch.no_grad():
        made = network.eval()(*(torch.from_numpy(a) for a in arrays))
    return [np.ascontiguousarray(t.numpy()) for t in (made if isinstance(made, tuple) else (made,))]
