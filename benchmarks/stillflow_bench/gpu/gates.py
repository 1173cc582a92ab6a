# SPDX-License-Identifier: Apache-2.0
"""Gate C of the shipped bundle on every engine of this GPU: each graph at each precision.

``python -m stillflow_bench.gpu.gates`` is a step of the check of a machine. Prints one JSON object; exit code 3 when
an engine does not compute what the ONNX file says.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from stillflow.bundle import Bundle
from stillflow.bundle.gate_c import gate_c
from stillflow_bench.gpu.engines import engines_here
from stillflow_bench.gpu.stage import NOTHING_TO_DO

KEPT = (
    "graph",
    "precision",
    "engine",
    "engine_version",
    "provider",
    "passed",
    "why",
    "outputs",
    "cases",
    "arithmetic",
)
"""What the report keeps of a receipt."""


def receipts(bundle: Bundle, device: int) -> dict[str, Any]:
    """Try every engine.

    Args:
        bundle: whose graphs are run.
        device: index of the GPU.

    Returns:
        "receipts": what gate C says, shortened; "absent": engine -> why it was not tried; "says": one line.
    """
    usable, absent = engines_here(device)
    done = []
    for engine in usable:
        for graph in bundle.manifest.graphs:
            for variant in graph.all_variants:
                receipt = gate_c(bundle, graph.name, engine, variant.precision, device=f"cuda:{device}")
                done.append({name: receipt[name] for name in KEPT})
    failed = [one for one in done if not one["passed"]]
    says = f"{len(done) - len(failed)} of {len(done)} passed"
    if failed:
        says += f"; {failed[0]['engine']} {failed[0]['graph']} {failed[0]['precision']}: {failed[0]['why']}"
    return {"receipts": done, "absent": absent, "says": says}


def main() -> int:
    """Run the gates and say how they went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", type=int, default=0)
    parser.add_argument("--bundle")
    arguments = parser.parse_args()
    found = receipts(Bundle.open(arguments.bundle), arguments.device)
    sys.stdout.write(json.dumps(found) + "\n")
    if not found["receipts"]:
        sys.stderr.write("; ".join(f"{name}: {why}" for name, why in found["absent"].items()) + "\n")
        return NOTHING_TO_DO
    return 3 if any(not one["passed"] for one in found["receipts"]) else 0


if __name__ == "__main__":
    sys.exit(main())
