# SPDX-License-Identifier: Apache-2.0
"""A generator of the published form with random weights: no published weights may be passed on, and time needs none.

``python -m stillflow_bench.gpu.random_generator OUT`` writes it as a bundle, in fp32 and fp16. It passes the same gates
as any import. PyTorch and the ONNX tools are needed, so the pack for a bare machine can bring the file ready-made.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

WIDTH = 32
"""Of all published weights (SLR-SFS, text2cinemagraph)."""

NARROW = 4
"""For runs that only show that they run."""

SEED = 11


def random_parts(width: int) -> dict[str, nn.Module]:
    """Encoder and decoder whose activations stay near 1; the same weights for the same width.

    Args:
        width: channels of the first blocks.
    """
    import torch

    from stillflow_export.published_graphs import generator_parts

    parts = generator_parts(width, layered=False)
    rng = torch.Generator().manual_seed(SEED)
    for network in parts.values():
        for name, parameter in network.named_parameters():
            noise = torch.randn(parameter.shape, generator=rng)
            if parameter.ndim == 4:
                parameter.data = noise / (parameter[0].numel() ** 0.5)
            else:
                parameter.data = (1.0 if "scale" in name else 0.0) + 0.1 * noise
        network.eval()
    return parts


def write_random_bundle(
    out: Path, width: int = WIDTH, precisions: tuple[str, ...] = ("fp32", "fp16")
) -> None:
    """Export it through the gates.

    Args:
        out: a folder, or a file that ends in .sfb.
        width: see ``random_parts``.
        precisions: of its files.

    Raises:
        StillflowError: it does not export, or misses a gate.
    """
    from stillflow_export.bundle_writer import write_bundle
    from stillflow_export.plan import Trained
    from stillflow_export.published_graphs import generator_plans

    trained = Trained(
        plans=generator_plans(random_parts(width), width),
        source="random numbers",
        licence="Apache-2.0",
        loop={"rule": "symmetric_splat", "weight_floor": -20.0},
    )
    write_bundle(
        out,
        [trained],
        name="random",
        what="a generator of the published form with random weights, to measure time with",
        precisions=precisions,  # type: ignore[arg-type]
    )


def main() -> int:
    """Write the bundle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--width", type=int, default=WIDTH)
    arguments = parser.parse_args()
    write_random_bundle(arguments.out, arguments.width)
    return 0


if __name__ == "__main__":
    sys.exit(main())
