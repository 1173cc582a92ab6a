# SPDX-License-Identifier: Apache-2.0
"""Compiles every CUDA source of the runtime for the GPU at hand, and loads it.

``python -m stillflow_bench.gpu.loading`` is a step of the check of a machine. Prints one JSON object;
exit code 1 when a source fails.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import stillflow


def sources() -> list[Path]:
    """The CUDA sources of the runtime."""
    return sorted((Path(stillflow.__file__).parent / "kernels" / "cuda").glob("*.cu"))


def load_all(index: int = 0) -> dict[str, Any]:
    """Compile and load each source.

    Args:
        index: of the device.

    Returns:
        "device", "architecture", "provider", and "sources": name -> seconds, or why it failed.
    """
    from stillflow.gpu.open import open_device

    device = open_device(index)
    found: dict[str, Any] = {
        "device": device.gpu.name,
        "architecture": device.architecture,
        "provider": device.provider,
        "sources": {},
    }
    for path in sources():
        started = time.perf_counter()
        try:
            device.kernels(path)
        except Exception as error:  # whatever goes wrong is the finding
            found["sources"][path.name] = f"{type(error).__name__}: {error}"
        else:
            found["sources"][path.name] = round(time.perf_counter() - started, 4)
    device.close()
    return found


def main() -> int:
    """Load everything and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", type=int, default=0)
    found = load_all(parser.parse_args().device)
    sys.stdout.write(json.dumps(found) + "\n")
    return int(any(isinstance(value, str) for value in found["sources"].values()))


if __name__ == "__main__":
    sys.exit(main())
