# SPDX-License-Identifier: Apache-2.0
"""Breath: the chest of a person or an animal widens and lifts a little, the head follows, the rest stays.

A chest moves by about 5 mm in quiet breathing, 12 to 18 times a minute. That is below 1 % of a standing
person's height, and it stays below 1 % of what the picture shows of one.
"""

from __future__ import annotations

import cv2
import numpy as np

from stillflow.kernels.arrays import FloatArray
from stillflow.oscillation import Mask

LIFT = 0.0026
"""Amplitude at the shoulders, in parts of the region's height; peak to peak is twice that."""

LIFT_MOST = 0.0022
"""Picture widths: largest amplitude."""

WIDENING = 0.6
"""Movement of the flanks, in parts of the lift."""

HEAD_FOLLOWS = 0.45
"""Movement of the head, in parts of the lift."""

SECOND = 0.22
"""Share of twice the frequency: breathing in is quicker than breathing out."""

WIDER = 1.3
"""How much wider a figure is at its shoulders than anywhere above."""

LEAST_HEIGHT = 0.06
"""Picture widths: of smaller figures nobody sees the breath."""


def breathing(rng: np.random.Generator, region: Mask, hz: FloatArray, *, upright: bool) -> FloatArray:
    """Draw the breath of every figure in a region.

    Args:
        rng: gives each figure its phase.
        region: (h, w), the figures.
        hz: (K,) frequencies; the first is the breath's, the second twice that.
        upright: whether they are people, with a head above their shoulders.

    Returns:
        (K, h, w, 4) float32 samples (ax, ay, bx, by).
    """
    h, w = region.shape
    result = np.zeros((hz.size, h, w, 4), np.float32)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)
    for i in range(1, count):
        phase = rng.uniform(0, 2 * np.pi)
        tall = int(stats[i, cv2.CC_STAT_HEIGHT])
        if tall < LEAST_HEIGHT * w or stats[i, cv2.CC_STAT_AREA] < 12:
            continue
        mine = parts == i
        way = _person(mine) if upright else _animal(mine)
        amplitude = min(LIFT * tall, LIFT_MOST * w)
        for k, (share, late) in enumerate(((1 - SECOND, phase), (SECOND, 2 * phase + 0.9))):
            result[k, mine, :2] = amplitude * share * np.cos(late) * way[mine]
            result[k, mine, 2:] = amplitude * share * np.sin(late) * way[mine]
    return result


def shoulders(figure: Mask) -> tuple[int, int, float, float]:
    """Find a person's shoulders from the widths of the rows: below a head, a figure becomes much wider.

    Args:
        figure: (h, w), one person.

    Returns:
        First row, row of the shoulders, column of the chest's middle, and width at the shoulders, samples.
    """
    rows = np.nonzero(figure.any(1))[0]
    top, bottom = int(rows[0]), int(rows[-1])
    tall = bottom - top + 1
    widths = figure[top : bottom + 1].sum(1).astype(np.float32)
    widths = cv2.GaussianBlur(widths[:, None], (0, 0), max(1.0, tall / 40))[:, 0]
    row = None
    for y in range(max(2, tall // 8), int(tall * 0.8)):
        head = float(widths[max(1, y // 4) : max(2, int(0.85 * y))].max())
        # A head is at least half as high as wide; a hat's brim is wide too, but below it comes a face.
        stays = float(widths[y : y + max(2, tall // 6)].min()) > 0.9 * float(widths[y])
        wider = widths[y] > WIDER * head and widths[y] - head > 0.12 * float(widths.max())
        if wider and stays and y > 0.5 * head:
            row = y
            break
    if row is None:
        # No neck is seen: shoulders lie about as far below the top as they are wide, less a fifth.
        row = int(np.clip(0.8 * float(widths.max()), 0.2 * tall, 0.6 * tall))
    below = figure[top + row : top + row + max(2, tall // 6)]
    columns = np.nonzero(below.any(0))[0]
    middle = float((below.sum(0)[columns] * columns).sum() / max(1, below.sum()))
    return top, top + row, middle, float(below.sum(1).mean())


def _person(figure: Mask) -> FloatArray:
    """Direction and share of the movement at each sample, (h, w, 2), lengths up to 1."""
    h, w = figure.shape
    _, line, middle, wide = shoulders(figure)
    bottom = int(np.nonzero(figure.any(1))[0][-1])
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    # A figure that the picture's border cuts goes on beyond it.
    trunk = max(2.0, 1.3 * wide if bottom == h - 1 else min(bottom - line + 1.0, 1.3 * wide))
    down = (y - line) / trunk
    # Shoulders and chest rise most; the head follows; below the ribs it dies away before the hips.
    chest = np.clip((1 - down) / 0.8, 0, 1)
    chest = chest * chest * (3 - 2 * chest)
    up = np.clip(1 + down / 0.25, 0, 1)
    lift = np.where(down > 0, chest, HEAD_FOLLOWS + (1 - HEAD_FOLLOWS) * up * up * (3 - 2 * up))
    flank = (x - middle) / max(1.0, wide / 2)
    ribs = np.exp(-(((down - 0.35) / 0.35) ** 2)) * np.clip(flank, -1, 1)
    way = np.stack([WIDENING * ribs, -lift * (1 - 0.35 * np.clip(np.abs(flank), 0, 1))], -1)
    return np.asarray(cv2.GaussianBlur(way, (0, 0), max(1.0, 0.06 * wide)), np.float32)


def _animal(figure: Mask) -> FloatArray:
    """The same for an animal, of which only the bulk is known: its thickest part widens and rises."""
    h, w = figure.shape
    padded = cv2.copyMakeBorder(figure.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1]
    # One that fills the picture has no outline, and no distance from it.
    depth = np.minimum(depth, h + w)
    thick = max(1.0, float(depth.max()))
    bulk = depth**2
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    cy, cx = float((y * bulk).sum() / bulk.sum()), float((x * bulk).sum() / bulk.sum())
    near = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * (1.6 * thick) ** 2))
    way = np.stack([(x - cx) / thick * WIDENING, (y - cy) / thick * WIDENING - 0.6], -1)
    length = np.maximum(np.linalg.norm(way, axis=-1, keepdims=True), 1)
    return np.asarray(way / length * near[..., None], np.float32)
