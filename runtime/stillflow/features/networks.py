# SPDX-License-Identifier: Apache-2.0
"""The graphs of a feature bundle, loaded, and how each of them is cut into tiles under a memory budget."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from stillflow.bundle.interfaces import LAYERS
from stillflow.bundle.manifest import Manifest
from stillflow.features.tiles import Arrays, Run, TiledGraph

DEFAULT_MEMORY = 2 << 30
"""Bytes that tiles and displacements may take together, beside the features of the whole picture."""

STATES_SHARE = 0.25
"""Of the budget goes to displacements; the rest to the largest tile."""

BYTES_A_PIXEL = MappingProxyType(
    {"encoder": 1536, "decoder": 3072, "background": 3072, "alpha_encoder": 1536, "alpha_decoder": 3072}
)
"""Memory that one run is budgeted with, for each pixel of its tile: six times what the widest layer at full size puts
out in float32, 64 channels in encoders and 128 in decoders."""


MOST_SIDE = 640
"""Pixels of a tile's longer side, halo included: the engines of every device profile that is shipped take it."""

LEAST_SIDE = 32
"""Pixels to which smaller pictures are padded: no engine takes less."""


@dataclass(frozen=True, eq=False)
class FeatureNetworks:
    """What a feature scene is made with.

    Attributes:
        encoder: photo to features and weight.
        decoder: features and mask to frame and closed.
        layers: background, alpha_encoder and alpha_decoder, where the generator has layers.
        multiple: what the sides of the padded picture divide by, so that every graph takes it.
        weight_floor: of the manifest's loop.
        edge_share: likewise.
        alpha_weight: likewise.
        memory: bytes, of ``DEFAULT_MEMORY``'s kind.
    """

    encoder: TiledGraph
    decoder: TiledGraph
    layers: tuple[TiledGraph, TiledGraph, TiledGraph] | None
    multiple: int
    weight_floor: float | None
    edge_share: float
    memory: int
    alpha_weight: str = "share"


def feature_networks(
    manifest: Manifest, run: Callable[[str], Run], memory: int = DEFAULT_MEMORY
) -> FeatureNetworks:
    """Take the graphs of a bundle whose loop rule is symmetric_splat.

    Args:
        manifest: of the bundle.
        run: gives a graph's ``run`` by its name.
        memory: bytes that tiles and displacements may take together.
    """
    # Frames are drawn by several threads: two tiles at once would take twice the memory and be no faster.
    busy = threading.Lock()
    multiple = 1

    def tiled(name: str) -> TiledGraph:
        nonlocal multiple
        graph = manifest.graph(name)
        assert graph is not None, "the manifest was checked for it"
        own = manifest.multiple(graph)
        multiple = math.lcm(multiple, own)
        loaded = run(name)

        def alone(inputs: Arrays) -> Arrays:
            with busy:
                return loaded(inputs)

        most = int(memory * (1 - STATES_SHARE)) // BYTES_A_PIXEL[name]
        return TiledGraph(alone, own, graph.halo, most, MOST_SIDE)

    encoder, decoder = tiled("encoder"), tiled("decoder")
    layers = None
    if manifest.graph(LAYERS[0]) is not None:
        layers = (tiled(LAYERS[0]), tiled(LAYERS[1]), tiled(LAYERS[2]))
    loop = manifest.loop
    return FeatureNetworks(
        encoder, decoder, layers, multiple, loop.weight_floor, loop.edge_share, memory, loop.alpha_weight
    )
