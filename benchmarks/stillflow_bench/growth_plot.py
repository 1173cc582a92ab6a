# SPDX-License-Identifier: Apache-2.0
"""Draws what a soak saw: a panel a quantity, its samples over the photos done, the warm-up grey, the fitted line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from stillflow.kernels.arrays import ByteArray
from stillflow_bench.growth import Growth, warm_up
from stillflow_bench.tables import number

WIDTH, HEIGHT = 960, 240
"""Pixels of a panel."""

LEFT, RIGHT, TOP, BOTTOM = 90, 20, 34, 30
"""Pixels around a panel's axes."""

PAPER, INK, FAINT, EARLY = (255, 255, 255), (40, 40, 40), (225, 225, 225), (170, 170, 170)
SAMPLE, LINE = (30, 100, 200), {"steady": (20, 150, 60), "grows": (210, 40, 30), "cannot tell": (220, 140, 0)}


@dataclass(frozen=True)
class Series:
    """One quantity over the photos done.

    Attributes:
        name: what it is.
        unit: of its values; "" for numbers of things.
        values: one a sample.
        growth: what they say.
        each: unit of the slope, for the title.
        scale: slope in that unit for a slope of 1.
    """

    name: str
    unit: str
    values: Sequence[float]
    growth: Growth
    each: str
    scale: float = 1.0

    @property
    def slope(self) -> str:
        """The slope in words."""
        return f"{signed(self.growth.slope * self.scale)} {self.each}"


def write(path: Path, done: Sequence[float], series: Sequence[Series]) -> Path:
    """Draw all panels under each other into a .png file; the folder is made when missing."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.vstack([draw(done, one) for one in series])).save(path, optimize=True)
    return path


def draw(done: Sequence[float], series: Series) -> ByteArray:
    """Draw one panel.

    Args:
        done: photos behind each sample, rising.
        series: as many values. What lies beyond the judged ones is drawn at the edge.

    Returns:
        (HEIGHT, WIDTH, 3) uint8 RGB.
    """
    panel = np.full((HEIGHT, WIDTH, 3), PAPER, np.uint8)
    skip = warm_up(len(done))
    low, high = min(series.values[skip:]), max(series.values[skip:])
    room = max((high - low) * 0.08, abs(high) * 0.002, 0.5)
    low, high = low - room, high + room
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def place(x: float, y: float) -> tuple[int, int]:
        across = LEFT + (right - LEFT) * x / max(done[-1], 1)
        return round(across), round(bottom - (bottom - TOP) * (y - low) / (high - low))

    for k in range(5):
        value = low + (high - low) * k / 4
        y = place(0, value)[1]
        cv2.line(panel, (LEFT, y), (right, y), FAINT, 1)
        _write(panel, number(value), (8, y + 4), INK)
        photos = round(done[-1] * k / 4)
        _write(panel, str(photos), (place(photos, low)[0] - 12, bottom + 18), INK)
    for k, (x, value) in enumerate(zip(done, series.values, strict=True)):
        value = float(np.clip(value, low, high))
        cv2.circle(panel, place(x, value), 2, EARLY if k < skip else SAMPLE, -1, cv2.LINE_AA)
    found = series.growth
    ends = [
        place(x, float(np.clip(found.start + found.slope * x, low, high))) for x in (done[skip], done[-1])
    ]
    cv2.line(panel, ends[0], ends[1], LINE[found.verdict], 2, cv2.LINE_AA)
    span = f"{signed(found.low * series.scale)} .. {signed(found.high * series.scale)}"
    told = f"{series.name}{f', {series.unit}' if series.unit else ''}: {series.slope}"
    limit = f"limit {number(found.limit * series.scale)}"
    _write(panel, f"{told} ({span}, {limit}): {found.verdict}", (LEFT, 20), LINE[found.verdict])
    return panel


def signed(value: float) -> str:
    """Write a figure with its sign; "?" for one that is not known."""
    if not np.isfinite(value):
        return "?"
    return ("+" if value > 0 else "") + number(value)


def _write(panel: ByteArray, text: str, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    cv2.putText(panel, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)
