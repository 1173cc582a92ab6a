# SPDX-License-Identifier: Apache-2.0
"""Exact tiling: a graph run piece by piece, so that a picture of any size fits into memory.

A graph without global layers depends on no more than ``halo`` pixels around a place. Pieces begin and end at multiples
of ``multiple``, so that its strided layers fall on the same grid as in the whole; they are run with a halo, which is
cut off afterwards. At the picture's own borders there is no halo: there the graph pads as it does in the whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stillflow.errors import StillflowError
from stillflow.kernels.arrays import FloatArray
from stillflow.kernels.splat_source import Window

Arrays = Mapping[str, npt.NDArray[np.float32]]
Run = Callable[[Arrays], Arrays]
"""A session's ``run``."""

Source = Callable[[Window], Arrays]
"""Gives the inputs of a graph, each (1, C, rows, columns), for a window of the picture."""

LEAST_CORE = 64
"""Pixels a side that a tile is never cut below, whatever the budget: below it nearly all work is halo."""


@dataclass(frozen=True, eq=False)
class TiledGraph:
    """A graph that may be run in tiles.

    Attributes:
        run: the session's.
        multiple: both sides must divide by it.
        halo: pixels around a place that its output depends on; None: the graph must see the whole picture.
        most_pixels: largest tile, halo included, in pixels; tiles are larger only where ``LEAST_CORE`` says so.
        most_side: likewise, pixels on either side.
    """

    run: Run
    multiple: int
    halo: int | None
    most_pixels: int
    most_side: int = 1 << 30

    def pieces(
        self, source: Source, region: Window, height: int, width: int
    ) -> Iterator[tuple[Window, dict[str, FloatArray]]]:
        """Run the graph over a region.

        Args:
            source: gives the inputs for a window.
            region: what is wanted.
            height: of the picture, a multiple of ``multiple``.
            width: likewise.

        Yields:
            Windows that cover the region once, and the outputs there, each (C, rows, columns).

        Raises:
            StillflowError: an output is of another size than what went in.
        """
        for core in self.cores(region, height, width):
            outer = self.outer(core, height, width)
            outputs = self.run(source(outer))
            size = outer.y1 - outer.y0, outer.x1 - outer.x0
            for name, array in outputs.items():
                if array.shape[2:] != size:
                    raise StillflowError(
                        "cannot play this bundle",
                        f"a graph answers a tile of {size[1]}x{size[0]} pixels with {name} of {array.shape}",
                        "export the bundle again: its manifest and its graphs do not agree",
                    )
            y, x = core.y0 - outer.y0, core.x0 - outer.x0
            rows, columns = core.y1 - core.y0, core.x1 - core.x0
            yield (
                core,
                {name: array[0, :, y : y + rows, x : x + columns] for name, array in outputs.items()},
            )

    def over(self, source: Source, region: Window, height: int, width: int) -> dict[str, FloatArray]:
        """Run the graph over a region and put the pieces together: each output (C, rows, columns)."""
        whole: dict[str, FloatArray] = {}
        for core, outputs in self.pieces(source, region, height, width):
            for name, piece in outputs.items():
                if name not in whole:
                    shape = (len(piece), region.y1 - region.y0, region.x1 - region.x0)
                    whole[name] = np.empty(shape, np.float32)
                rows = slice(core.y0 - region.y0, core.y1 - region.y0)
                whole[name][:, rows, core.x0 - region.x0 : core.x1 - region.x0] = piece
        return whole

    def outer(self, core: Window, height: int, width: int) -> Window:
        """The window that the graph has to see so that its output is exact in a core."""
        if self.halo is None:
            return Window(0, height, 0, width)
        step, halo = self.multiple, self.halo
        return Window(
            max(0, (core.y0 - halo) // step * step),
            min(height, -(-(core.y1 + halo) // step) * step),
            max(0, (core.x0 - halo) // step * step),
            min(width, -(-(core.x1 + halo) // step) * step),
        )

    def work(self, region: Window, height: int, width: int) -> int:
        """Pixels that the graph has to see for a region that is one tile."""
        return _area(self.outer(region, height, width))

    def cores(self, region: Window, height: int, width: int) -> list[Window]:
        """Cut a region into cores: as few pixels of halo as the budget allows, all of about one size."""
        if self.halo is None or self._excess(self.outer(region, height, width)) <= 0:
            return [region]
        rows, columns = region.y1 - region.y0, region.x1 - region.x0
        plans = []
        for down in range(1, math.ceil(rows / LEAST_CORE) + 1):
            cores = _grid(region, down, self._across(rows / down, columns))
            outers = [self.outer(core, height, width) for core in cores]
            # Within the budget by total work; where nothing is, by the largest tile.
            excess = max(0, *(self._excess(outer) for outer in outers))
            plans.append((excess, sum(_area(outer) for outer in outers), cores))
        return min(plans, key=lambda plan: plan[:2])[2]

    def _excess(self, outer: Window) -> int:
        """Pixels by which a tile is too large; at most 0 when it is not."""
        longest = max(outer.y1 - outer.y0, outer.x1 - outer.x0)
        return max(_area(outer) - self.most_pixels, longest - self.most_side)

    def _across(self, rows: float, columns: int) -> int:
        """Tiles side by side, so that one of that many rows stays within the budget."""
        assert self.halo is not None
        # A window grows by less than ``multiple`` on each side when it is aligned.
        around = 2 * (self.halo + self.multiple)
        most = min(self.most_pixels // math.ceil(rows + around), self.most_side) - around
        return min(math.ceil(columns / max(most, LEAST_CORE)), math.ceil(columns / LEAST_CORE))


def _area(window: Window) -> int:
    return (window.y1 - window.y0) * (window.x1 - window.x0)


def _grid(region: Window, down: int, across: int) -> list[Window]:
    """Cut a region evenly."""
    ys = [region.y0 + (region.y1 - region.y0) * i // down for i in range(down + 1)]
    xs = [region.x0 + (region.x1 - region.x0) * i // across for i in range(across + 1)]
    return [Window(y0, y1, x0, x1) for y0, y1 in zip(ys, ys[1:]) for x0, x1 in zip(xs, xs[1:])]


def moving_windows(moves: npt.NDArray[np.bool_], graph: TiledGraph) -> list[Window]:
    """Find windows that hold all that moves, so that as little as possible is decoded.

    Each connected part begins as a window of its own; two become one where that takes no more work, halo included.

    Args:
        moves: (H, W) bool.
        graph: what is run there.

    Returns:
        Windows, the topmost first; none when nothing moves.
    """
    import cv2

    height, width = moves.shape
    near = 2 * (graph.halo or 0) + 1
    # Parts closer than two halos see each other's pixels anyway. On blocks of 16, since only boxes are wanted.
    small = _blocks(moves)
    side = max(1, near // 16) | 1
    joined = cv2.dilate(small.astype(np.uint8), np.ones((side, side), np.uint8))
    count, labels = cv2.connectedComponents(joined, connectivity=8)
    found = []
    for label in range(1, count):
        ys, xs = np.nonzero((labels == label) & small)
        block = Window(
            int(ys.min()) * 16,
            min(height, int(ys.max()) * 16 + 16),
            int(xs.min()) * 16,
            min(width, int(xs.max()) * 16 + 16),
        )
        part = moves[block.y0 : block.y1, block.x0 : block.x1]
        rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
        found.append(
            Window(
                block.y0 + int(rows[0]),
                block.y0 + int(rows[-1]) + 1,
                block.x0 + int(columns[0]),
                block.x0 + int(columns[-1]) + 1,
            )
        )
    merged = True
    while merged:
        merged = False
        for i, a in enumerate(found):
            for j in range(i + 1, len(found)):
                b = found[j]
                both = Window(min(a.y0, b.y0), max(a.y1, b.y1), min(a.x0, b.x0), max(a.x1, b.x1))
                apart = graph.work(a, height, width) + graph.work(b, height, width)
                if graph.work(both, height, width) <= apart:
                    found[i], merged = both, True
                    del found[j]
                    break
            if merged:
                break
    return sorted(found)


def _blocks(moves: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Whether anything moves in each block of 16x16 pixels."""
    height, width = moves.shape
    padded = np.pad(moves, ((0, -height % 16), (0, -width % 16)))
    return np.asarray(
        padded.reshape(padded.shape[0] // 16, 16, padded.shape[1] // 16, 16).any((1, 3)), np.bool_
    )
