# SPDX-License-Identifier: Apache-2.0
"""Tiles of one size: a GPU's engine prepares itself anew whenever its inputs change their shape.

They cover what ``TiledGraph.outer`` says a region needs, and overlap by two halos at least. A region's pixel is taken
from a tile that holds a halo around it, or ends where the picture does: the values of the whole picture at once.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

from stillflow.features.tiles import LEAST_CORE, TiledGraph
from stillflow.kernels.splat_source import Window


class Tile(NamedTuple):
    """A part of the region, and the window that the graph is run on for it."""

    core: Window
    outer: Window

    @property
    def pixels(self) -> int:
        """Of the outer window."""
        return (self.outer.y1 - self.outer.y0) * (self.outer.x1 - self.outer.x0)


def even_tiles(graph: TiledGraph, region: Window, height: int, width: int) -> list[Tile]:
    """Cut a region into tiles whose outer windows have one size.

    Args:
        graph: what is run; says the halo, the multiple and the budget.
        region: what is wanted.
        height: of the picture, a multiple of ``graph.multiple``.
        width: likewise.

    Returns:
        Tiles that cover the region once: as few pixels in all as the budget allows; where nothing is within the
        budget, the smallest tiles there are.
    """
    span = graph.outer(region, height, width)
    if graph.halo is None:
        return [Tile(region, span)]
    spans = span.y1 - span.y0, span.x1 - span.x0
    downs, acrosses = (
        [side for n in range(1, math.ceil(length / LEAST_CORE) + 1) if (side := _side(length, n, graph))]
        for length in spans
    )

    def cost(sides: tuple[int, int]) -> tuple[int, int]:
        area = sides[0] * sides[1]
        excess = max(area - graph.most_pixels, max(sides) - graph.most_side, 0)
        count = math.prod(_count(length, side, graph) for length, side in zip(spans, sides, strict=True))
        return excess, count * area

    rows, columns = min(((a, b) for a in downs for b in acrosses), key=cost)
    return [
        Tile(Window(top, bottom, left, right), Window(y, y + rows, x, x + columns))
        for top, bottom, y in _cuts(region.y0, region.y1, span.y0, span.y1, rows, graph)
        for left, right, x in _cuts(region.x0, region.x1, span.x0, span.x1, columns, graph)
    ]


def _stride(side: int, graph: TiledGraph) -> int:
    """How far tiles of a side may lie apart at most."""
    assert graph.halo is not None
    return (side - 2 * graph.halo) // graph.multiple * graph.multiple


def _count(length: int, side: int, graph: TiledGraph) -> int:
    """Tiles of a side that cover a length."""
    return 1 if side >= length else 1 + math.ceil((length - side) / _stride(side, graph))


def _side(length: int, count: int, graph: TiledGraph) -> int:
    """The smallest side with which so many tiles cover a length; 0 where nearly all of it would be halo."""
    assert graph.halo is not None
    if count == 1:
        return length
    side = math.ceil((length + 2 * graph.halo * (count - 1)) / count / graph.multiple) * graph.multiple
    while _stride(side, graph) > 0 and _count(length, side, graph) > count:
        side += graph.multiple
    return side if _stride(side, graph) >= LEAST_CORE and side < length else 0


def _cuts(
    begin: int, end: int, first: int, last: int, side: int, graph: TiledGraph
) -> list[tuple[int, int, int]]:
    """Begin and end of each core, and the beginning of its tile, along one axis."""
    count, step = _count(last - first, side, graph), graph.multiple
    tiles = [first + (last - first - side) * k // max(1, count - 1) // step * step for k in range(count)]
    tiles[-1] = last - side
    # Between two tiles, in the middle of what both may give.
    edges = [begin, *((after + before + side) // 2 for before, after in pairwise(tiles)), end]
    return [(a, b, tile) for (a, b), tile in zip(pairwise(edges), tiles, strict=True)]
