# SPDX-License-Identifier: Apache-2.0
"""Where a scene moves: the parts of a frame that kernels on a GPU have to compute, found once for a scene.

Pixels are taken in units of 8 x 4, cells of the fields in tiles of 8 x 4; what is listed is computed whole. A cell is
listed at a level of the traces where a lookup may ever read it, whatever the time: bounds, not samples, so that no
frame needs another way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.kernels.arrays import ByteArray, FloatArray, SceneArrays, field_shape
from stillflow.kernels.reference import DOUBLINGS, STATISTICS_RADIUS

UNIT_WIDTH, UNIT_HEIGHT = 8, 4
"""Pixels of a unit (scene.cuh)."""

UNIT_SHIFT = 2
"""Unit (r, c) holds rows 4 r - 2 .. 4 r + 1, which lie between the field rows r - 1 and r."""

TILE_WIDTH, TILE_HEIGHT = 8, 4
"""Cells of a tile (scene.cuh)."""

MARGIN = 2.0
"""Cells beyond a bound: one for the second cell of a lookup, the other for rounding."""

Places = npt.NDArray[np.uint32]
"""(n,) uint32, row << 16 | column, by rows."""

SWAYS = np.uint32(1 << 31)
"""Set in the place of a tile of which something sways (scene.cuh); elsewhere harmonics need not be read."""

Marks = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Moving:
    """Lists of what moves.

    Attributes:
        units: with a pixel that differs from the photo's at some time.
        converted: units whose 4:2:0 planes differ: those, and on their right, where chroma takes from them.
        steps: tiles at each level of the traces, after 0, 1, 2 and 3 doublings; empty when nothing flows.
        sources: tiles whose sources are needed, for the blend or for its statistics; ``SWAYS`` is set in those that
            sway.
        rows: tiles whose sums along a row are needed.
        blended: tiles that the compose step reads.
        lit: tiles that it reads the light of; empty in a scene without light.
        pixels: pixels that move, number.
        still: pixels that never differ from the photo, number.
    """

    units: Places
    converted: Places
    steps: tuple[Places, ...]
    sources: Places
    rows: Places
    blended: Places
    lit: Places
    pixels: int
    still: int


def find_moving(arrays: SceneArrays) -> Moving:
    """Find what moves in a scene."""
    lit = bool(arrays.light.shape[0])
    moves = _unit_marks(arrays.matte, 1)
    # A matte of 1 shows the photo under the light alone: nothing is gathered, and without light it is the photo.
    touched = _unit_marks(arrays.matte, 0) if lit else moves
    blended = _cells_between(moves, arrays.height, arrays.width)
    rows = _widened(blended, STATISTICS_RADIUS, vertical=True)
    sources = _widened(rows, STATISTICS_RADIUS, vertical=False)
    source_tiles = _tiles(sources)
    # Every cell of a listed tile is computed, so what it reads is listed too, also where nobody reads the cell.
    flowing = source_tiles & _tiles(arrays.flow != 0)
    pixels = int(np.count_nonzero(arrays.matte > (0 if lit else 1)))
    right = touched.copy()
    right[:, 1:] |= touched[:, :-1]
    across = -(-(arrays.width + arrays.width % 2) // UNIT_WIDTH)
    return Moving(
        units=_places(touched),
        converted=_places(right[:, :across]),
        steps=_levels(arrays, flowing),
        sources=_places(source_tiles)
        | np.where(_swaying(arrays.sway)[source_tiles], SWAYS, 0).astype(np.uint32),
        rows=_places(_tiles(rows)),
        blended=_places(_tiles(blended)),
        lit=_places(_tiles(_cells_between(touched, arrays.height, arrays.width) & lit)),
        pixels=pixels,
        still=arrays.matte.size - pixels,
    )


def _places(marks: Marks) -> Places:
    row, column = np.nonzero(marks)
    return (row.astype(np.uint32) << np.uint32(16)) | column.astype(np.uint32)


def _unit_marks(matte: ByteArray, above: int) -> Marks:
    """Which units hold a matte above a value, (h + 1, units across)."""
    height, width = matte.shape
    h, _ = field_shape(height, width)
    across = -(-width // UNIT_WIDTH)
    padded = np.zeros((UNIT_HEIGHT * (h + 1), UNIT_WIDTH * across), np.uint8)
    inner = padded[UNIT_SHIFT : UNIT_SHIFT + height, :width]
    if above:
        np.greater(matte, above, out=inner, casting="unsafe")
    else:
        inner[:] = matte
    # Eight columns are one word: whether any byte of it is set.
    words = padded.view(np.uint64).reshape(h + 1, UNIT_HEIGHT, across)
    return np.asarray(np.bitwise_or.reduce(words, axis=1) != 0)


def _cells_between(units: Marks, height: int, width: int) -> Marks:
    """Which cells the pixels of units lie between, (h, w)."""
    h, w = field_shape(height, width)
    # Unit (r, c) lies between the cells of rows r - 1 and r, columns 2 c - 1 .. 2 c + 2.
    rows = np.zeros((h + 2, units.shape[1]), np.bool_)
    rows[:-1] |= units
    rows[1:] |= units
    # Cells beyond the border are never read: those at the border, which are read instead, are beside them.
    rows = rows[1:-1]
    cells = np.zeros((h, 2 * units.shape[1] + 2), np.bool_)
    for column in range(4):
        cells[:, column : column + 2 * units.shape[1] : 2] |= rows
    return np.ascontiguousarray(cells[:, 1 : 1 + w])


def _widened(marks: Marks, radius: int, *, vertical: bool) -> Marks:
    size = 2 * radius + 1
    kernel = np.ones((size, 1) if vertical else (1, size), np.uint8)
    return np.asarray(cv2.dilate(marks.view(np.uint8), kernel).view(np.bool_))


def _by_rows(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Cut (h, w) into tiles, zeros where they lie over the border: (rows, TILE_HEIGHT, columns * TILE_WIDTH)."""
    h, w = values.shape
    rows, columns = -(-h // TILE_HEIGHT), -(-w // TILE_WIDTH)
    padded = np.zeros((rows * TILE_HEIGHT, columns * TILE_WIDTH), values.dtype)
    padded[:h, :w] = values
    return padded.reshape(rows, TILE_HEIGHT, columns * TILE_WIDTH)


def _tiles(cells: Marks) -> Marks:
    """Which tiles hold a marked cell."""
    lines = np.bitwise_or.reduce(_by_rows(cells.view(np.uint8)), axis=1)
    # Eight cells are one word.
    return np.asarray(lines.view(np.uint64) != 0)


def _swaying(sway: FloatArray) -> Marks:
    """Which tiles hold a cell that sways."""
    any_bit = np.zeros(sway.shape[1:3], np.uint64)
    for plane in sway.view(np.uint64):
        any_bit |= plane[..., 0] | plane[..., 1]
    return _tiles(any_bit != 0)


def _tile_most(values: FloatArray) -> FloatArray:
    """Largest value in each tile; values are not negative."""
    lines = _by_rows(values).max(axis=1)
    return np.asarray(np.maximum.reduce([lines[:, k::TILE_WIDTH] for k in range(TILE_WIDTH)]), np.float32)


def _levels(arrays: SceneArrays, flowing: Marks) -> tuple[Places, ...]:
    """Tiles that the traces of the flowing tiles may read after 0, 1, 2 and 3 doublings.

    Every displacement is a sum of steps, so after k doublings it is at most 2^k / 16 of the largest travel in a cycle
    on its way. How far that is at most anywhere says in which window around a tile its way lies; the largest travel in
    that window then bounds it.
    """
    if not flowing.any() or not arrays.velocity.any():
        return ()
    period = _tile_most(np.float32(arrays.frames) / arrays.cycles.astype(np.float32))
    speed = np.stack([_tile_most(np.abs(arrays.velocity[..., k])) for k in range(2)])
    # A step looks up its velocity half a step away.
    travel = _largest(speed, speed * period / (2 * 2**DOUBLINGS) + MARGIN) * period
    travel = _largest(travel, travel + MARGIN * (DOUBLINGS + 1))
    levels, needed = [], flowing
    for k in range(DOUBLINGS - 1, -1, -1):
        needed = needed | _within(needed, travel * np.float32(2**k / 2**DOUBLINGS) + np.float32(MARGIN))
        levels.append(_places(needed))
    return tuple(reversed(levels))


def _largest(values: FloatArray, reach: FloatArray) -> FloatArray:
    """Largest of each of two planes of tiles within the largest reach of either axis, (2, rows, columns)."""
    x, y = (float(most) for most in reach.max(axis=(1, 2)))
    across = int(min(np.ceil(x / TILE_WIDTH), values.shape[2]))
    down = int(min(np.ceil(y / TILE_HEIGHT), values.shape[1]))
    return np.stack([_spread(_spread(plane, across, 1), down, 0) for plane in values])


def _spread(plane: FloatArray, radius: int, axis: int) -> FloatArray:
    """Largest value within a radius along an axis, by windows of powers of two."""
    size, width, span = plane.shape[axis], 2 * radius + 1, 1
    padded = np.pad(np.moveaxis(plane, axis, 0), ((radius, radius), (0, 0)))
    while 2 * span <= width:
        padded = np.maximum(padded[:-span], padded[span:])
        span *= 2
    rest = width - span
    return np.moveaxis(np.maximum(padded[:size], padded[rest : rest + size]), 0, axis)


def _within(marks: Marks, reach: FloatArray) -> Marks:
    """Tiles that lie within a reach of a marked tile, (x, y) in cells: rectangles, counted at their corners."""
    rows, columns = marks.shape
    row, column = np.nonzero(marks)
    x, y = reach[0, row, column], reach[1, row, column]
    left = np.floor((column * TILE_WIDTH - x) / TILE_WIDTH)
    right = np.floor((column * TILE_WIDTH + TILE_WIDTH - 1 + x) / TILE_WIDTH) + 1
    top = np.floor((row * TILE_HEIGHT - y) / TILE_HEIGHT)
    bottom = np.floor((row * TILE_HEIGHT + TILE_HEIGHT - 1 + y) / TILE_HEIGHT) + 1
    x0, x1 = (np.clip(edge, 0, columns).astype(np.int64) for edge in (left, right))
    y0, y1 = (np.clip(edge, 0, rows).astype(np.int64) for edge in (top, bottom))
    count = np.zeros((rows + 1, columns + 1), np.int64)
    for ys, xs, sign in ((y0, x0, 1), (y0, x1, -1), (y1, x0, -1), (y1, x1, 1)):
        np.add.at(count, (ys, xs), sign)
    return np.asarray(count.cumsum(0).cumsum(1)[:rows, :columns] > 0)
