# SPDX-License-Identifier: Apache-2.0
"""Gates: a graph passes only when its outputs are those of what it was made from.

A: PyTorch against ONNX in float32. B: float32 against another precision. C, an engine against ONNX on the machine at
hand, is the runtime's (``stillflow.bundle.gate_c``). Tolerances are written down where they are used and in every
receipt; a graph that misses one gets no file of its name.
"""

from stillflow_export.gates.gate_a import GATE_A, gate_a, run_network
from stillflow_export.gates.gate_b import gate_b, vector_tolerance
from stillflow_export.gates.receipt import GateReceipt, Judged, OutputReport, require_passed

__all__ = [
    "GATE_A",
    "GateReceipt",
    "Judged",
    "OutputReport",
    "gate_a",
    "gate_b",
    "require_passed",
    "run_network",
    "vector_tolerance",
]
