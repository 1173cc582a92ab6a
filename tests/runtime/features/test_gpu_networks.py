# SPDX-License-Identifier: Apache-2.0
"""Tiles are planned for a GPU: by what its engines take, and by the memory that is free."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from stillflow.bundle.interfaces import LAYERS
from stillflow.features.even_tiles import even_tiles
from stillflow.features.gpu_networks import MEMORY_SHARE, fitted, smaller
from stillflow.features.networks import BYTES_A_PIXEL, MOST_SIDE, FeatureNetworks
from stillflow.features.tiles import TiledGraph
from stillflow.kernels.splat_source import Window
from stillflow.sessions.session import TensorSpec

WHOLE = Window(0, 720, 0, 1280)


def graph(most_pixels=400_000):
    return TiledGraph(lambda inputs: inputs, 4, 48, most_pixels, MOST_SIDE)


def planned(free, largest=None, layers=False):
    """Networks on a device with so much free memory, whose engines take so large inputs."""
    networks = FeatureNetworks(
        graph(), graph(), (graph(), graph(), graph()) if layers else None, 4, None, 0.0, 1 << 30
    )
    shape = None if largest is None else (1, 64, largest, 2 * largest)
    spec = TensorSpec("features", "float32", (1, 64, "height", "width"), shape)
    mask = TensorSpec("mask", "float32", (1, 1, "height", "width"))
    sessions = {name: SimpleNamespace(inputs=(spec, mask)) for name in ("encoder", "decoder", *LAYERS)}
    return fitted(networks, sessions, SimpleNamespace(memory=lambda: (free, free)))


def tiles(network):
    return even_tiles(network, WHOLE, 720, 1280)


def test_a_large_device_takes_a_picture_in_one():
    assert len(tiles(planned(64 << 30).decoder)) == 1
    assert len(tiles(planned(64 << 30, layers=True).layers[2])) == 1


def test_an_engine_takes_what_it_was_built_for():
    found = tiles(planned(64 << 30, MOST_SIDE).decoder)
    assert len(found) == 6
    assert all(side <= MOST_SIDE for side in (found[0].outer.y1, found[0].outer.x1))
    assert len(tiles(planned(64 << 30, 1344).decoder)) == 1


@pytest.mark.parametrize("free", [0, 4 << 30, 40 << 30])
def test_memory_raises_the_budget_and_never_lowers_it(free):
    found = planned(free)
    for name in ("encoder", "decoder"):
        budget = getattr(found, name).most_pixels
        assert budget == max(400_000, int(free * MEMORY_SHARE) // BYTES_A_PIXEL[name])


def test_tiles_get_smaller_step_by_step():
    network, areas = planned(64 << 30).decoder, []
    while network is not None:
        areas.append(max(tile.pixels for tile in tiles(network)))
        network = smaller(network, tiles)
    assert areas == sorted(set(areas), reverse=True) and len(areas) > 3
