# SPDX-License-Identifier: Apache-2.0
"""Cross-fade cycles: how often a region is faded in one loop, and how much of its speed a cross-fade carries."""

from __future__ import annotations

import cv2
import numpy as np

from stillflow import layer
from stillflow.kernels.arrays import ByteArray, FloatArray

CYCLE_REACH = 0.06
"""Picture widths that the fast part of a region may travel in one cross-fade cycle."""

SHORTEST_CYCLE = 1.0
"""Seconds. Below about one second the cross-fade itself is seen as a pulse."""

LONGEST_TRAVEL = 0.20
"""Picture widths a cycle. What is faster even in the shortest cycle is slowed down to this."""


def cycle_plan(region: ByteArray, speed: FloatArray, seconds: float) -> tuple[ByteArray, FloatArray]:
    """Choose cross-fade cycles for each connected region, and slow down what is too fast even then.

    A cross-fade looks clean while the content travels a short way: so a fast region is faded several
    times in one loop. Never faster than ``SHORTEST_CYCLE``; what still travels further than
    ``LONGEST_TRAVEL`` is slowed as a whole, so that its pattern of speeds stays.

    Args:
        region: (h, w) uint8, non-zero where the layer flows, at field size.
        speed: (h, w) float32, picture widths a second.
        seconds: length of the loop.

    Returns:
        cycles (h, w) uint8 >= 1, and a speed factor (h, w) float32 in (0, 1]; both constant over each
        region and continued outside to the nearest one.
    """
    h, w = region.shape
    most = int(np.clip(np.floor(seconds / SHORTEST_CYCLE), 1, 255))
    # Regions closer than two samples share lookups when traces are doubled: they count as one.
    joined = cv2.dilate((region > 0).astype(np.uint8), np.ones((5, 5), np.uint8))
    count, labels = cv2.connectedComponents(joined, connectivity=8)
    cycles_of, factor_of = np.ones(count, np.uint8), np.ones(count, np.float32)
    for i in range(1, count):
        values = speed[(labels == i) & (region > 0)]
        fast = float(np.percentile(values, 90)) if values.size else 0.0
        cycles = int(np.clip(np.ceil(fast * seconds / CYCLE_REACH), 1, most))
        travel = fast * seconds / cycles
        cycles_of[i], factor_of[i] = cycles, min(1.0, LONGEST_TRAVEL / max(travel, 1e-6))
    if count == 1:
        return np.ones((h, w), np.uint8), np.ones((h, w), np.float32)
    owner = layer.nearest_owner(labels)
    return np.ascontiguousarray(cycles_of[owner]), np.ascontiguousarray(factor_of[owner])
