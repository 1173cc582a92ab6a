# SPDX-License-Identifier: Apache-2.0
"""Tiles of one size cover a region once, and each shows its graph all that its core depends on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.features.even_tiles import even_tiles
from stillflow.features.tiles import LEAST_CORE, TiledGraph
from stillflow.kernels.splat_source import Window


def graph(halo, most_pixels=1 << 40, most_side=1 << 30, multiple=4):
    return TiledGraph(lambda inputs: inputs, multiple, halo, most_pixels, most_side)


@settings(max_examples=150, deadline=None)
@given(
    data=st.data(),
    multiple=st.sampled_from([1, 4, 8, 16]),
    halo=st.integers(0, 60),
    most=st.integers(100, 200_000),
    side=st.integers(60, 500),
)
def test_cores_cover_the_region_and_tiles_their_halos(data, multiple, halo, most, side):
    height, width = (multiple * data.draw(st.integers(1, 600 // multiple)) for _ in range(2))
    y0, x0 = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    region = Window(y0, data.draw(st.integers(y0 + 1, height)), x0, data.draw(st.integers(x0 + 1, width)))
    plan = graph(halo, most, side, multiple)
    tiles = even_tiles(plan, region, height, width)
    times = np.zeros((height, width), int)
    for core, outer in tiles:
        times[core.y0 : core.y1, core.x0 : core.x1] += 1
        assert core.y0 < core.y1 and core.x0 < core.x1
        assert outer.y0 <= max(0, core.y0 - halo) and outer.y1 >= min(height, core.y1 + halo)
        assert outer.x0 <= max(0, core.x0 - halo) and outer.x1 >= min(width, core.x1 + halo)
        assert all(side % multiple == 0 for side in outer)
        assert outer.y1 <= height and outer.x1 <= width
    inside = np.zeros((height, width), int)
    inside[region.y0 : region.y1, region.x0 : region.x1] = 1
    assert np.array_equal(times, inside)
    assert len({(o.y1 - o.y0, o.x1 - o.x0) for _, o in tiles}) == 1


def test_a_budget_is_kept_where_it_can_be():
    whole = Window(0, 720, 0, 1280)
    tiles = even_tiles(graph(48, 3 << 17, 640), whole, 720, 1280)
    assert max(tile.pixels for tile in tiles) <= 3 << 17
    assert all(o.y1 - o.y0 <= 640 and o.x1 - o.x0 <= 640 for _, o in tiles)
    # At most a third of the work is halo, at the size that engines of every profile take.
    assert sum(tile.pixels for tile in tiles) <= 720 * 1280 * 4 / 3
    assert len(even_tiles(graph(48), whole, 720, 1280)) == 1
    small = even_tiles(graph(48, 1), whole, 720, 1280)
    assert small[0].outer.y1 - small[0].outer.y0 >= 2 * 48 + LEAST_CORE


@pytest.mark.parametrize("region", [Window(0, 96, 0, 128), Window(5, 6, 7, 9)])
def test_a_graph_that_must_see_everything_does(region):
    assert even_tiles(graph(None, 1), region, 96, 128) == [(region, Window(0, 96, 0, 128))]
