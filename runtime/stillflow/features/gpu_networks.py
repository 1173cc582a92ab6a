# SPDX-License-Identifier: Apache-2.0
"""The graphs of a feature bundle on a GPU: tiles as large as its engines and its memory allow, and their outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from stillflow.bundle.interfaces import LAYERS
from stillflow.errors import StillflowError
from stillflow.features.even_tiles import Tile
from stillflow.features.networks import BYTES_A_PIXEL, FeatureNetworks
from stillflow.features.tiles import TiledGraph
from stillflow.gpu.arrays import DeviceArray
from stillflow.gpu.layer import CudaDevice, Stream
from stillflow.sessions.session import DeviceSession

MEMORY_SHARE = 0.25
"""Of the memory that a device has free may go to the largest tile of each of two lanes. The rest is for features, which
take about 400 bytes a pixel, for lanes, and for what an engine needs beyond the budget."""

DeviceSessions = Mapping[str, DeviceSession]
"""A bundle's graphs on a device, by name."""

Made = Mapping[str, DeviceArray]
"""Outputs of a graph, by name."""


def fitted(networks: FeatureNetworks, sessions: DeviceSessions, device: CudaDevice) -> FeatureNetworks:
    """Plan tiles for a device: every tile pays for its halo, and a large GPU takes a picture in one.

    Args:
        networks: planned for any machine.
        sessions: the same graphs on the device.
        device: whose free memory raises the budget; it never lowers it, since a device that runs out of memory gets
            smaller tiles anyway.

    Returns:
        The same graphs with budgets and longest sides of this device.
    """
    free, _ = device.memory()

    def planned(name: str, graph: TiledGraph) -> TiledGraph:
        most = max(graph.most_pixels, int(free * MEMORY_SHARE) // BYTES_A_PIXEL[name])
        sides = [side for spec in sessions[name].inputs for side in (spec.largest or ())[2:]]
        return replace(graph, most_pixels=most, most_side=min(sides, default=1 << 30))

    layers = None
    if networks.layers is not None:
        background, encoder, decoder = networks.layers
        names = zip(LAYERS, (background, encoder, decoder), strict=True)
        first, second, third = (planned(name, graph) for name, graph in names)
        layers = first, second, third
    return replace(
        networks,
        encoder=planned("encoder", networks.encoder),
        decoder=planned("decoder", networks.decoder),
        layers=layers,
    )


def smaller(graph: TiledGraph, tiles: Callable[[TiledGraph], list[Tile]]) -> TiledGraph | None:
    """The same graph with a budget of half a tile; None where its tiles would not get smaller.

    Args:
        graph: planned before.
        tiles: says what a graph is run in.
    """
    largest = max(tile.pixels for tile in tiles(graph))
    halved = replace(graph, most_pixels=largest // 2)
    return halved if max(tile.pixels for tile in tiles(halved)) < largest else None


def input_array(device: CudaDevice, stream: Stream, address: int, shape: tuple[int, ...]) -> DeviceArray:
    """Memory of ours, ready in order of a stream, as a graph's input."""
    return DeviceArray(address, shape, np.dtype(np.float32), device.index, stream.handle)


def checked(made: Made, name: str, tile: Tile, channels: int | None = None) -> DeviceArray:
    """An output of a graph, if it is what a manifest promises.

    Args:
        made: all outputs.
        name: of the one that is wanted.
        tile: that the graph was run on.
        channels: that it must have; None: any number.

    Raises:
        StillflowError: it is missing, of another size or no float32.
    """
    array = made.get(name)
    size = tile.outer.y1 - tile.outer.y0, tile.outer.x1 - tile.outer.x0
    if (
        array is None
        or array.dtype != np.float32
        or len(array.shape) != 4
        or array.shape[2:] != size
        or array.shape[1] != (array.shape[1] if channels is None else channels)
    ):
        found = "nothing" if array is None else f"{array.dtype} {array.shape}"
        raise StillflowError(
            "cannot play this bundle",
            f"a graph answers a tile of {size[1]}x{size[0]} pixels with {name}: {found}",
            "export the bundle again: its manifest and its graphs do not agree",
        )
    return array
