# SPDX-License-Identifier: Apache-2.0
"""Bytes that a frame's CUDA kernels move, by their formula: what lists of moving places hold decides them, no GPU does.

A rise says that more is listed than before, or that a kernel is said to read more; not that one became slower.
"""

from __future__ import annotations

from stillflow.kernels.cuda_scene import frame_bytes
from stillflow.kernels.moving import find_moving
from stillflow_bench.guard.counts import Counted, twice
from stillflow_bench.photos import falling_column, scenery

SIZE = (256, 144)
"""Pixels."""

SHARES = (0.0, 0.3, 1.0)
"""Of the picture that moves."""


def count() -> Counted:
    """Count the bytes of a frame, of its fields and its pixels, at each share of what moves."""
    counts, differing = twice(_bytes)
    return Counted("cuda", "formula", counts, differing)


def _bytes() -> dict[str, int]:
    counts = {}
    for share in SHARES:
        arrays = falling_column(scenery(*SIZE), share, seconds=1.0, fps=30.0).arrays
        moved = frame_bytes(arrays, find_moving(arrays), nv12=True)
        pixels = moved["sf_compose"] + moved["sf_nv12"]
        name = f"frame, {100 * share:.0f} % moves"
        counts[f"{name}: bytes of pixels"] = pixels
        counts[f"{name}: bytes of copies"] = moved["copy"]
        counts[f"{name}: bytes of fields"] = sum(moved.values()) - pixels - moved["copy"]
    return counts
