# SPDX-License-Identifier: Apache-2.0
"""What the graphs of feature scenes take and give; a manifest that says anything else is refused."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stillflow.bundle.manifest import Graph, Manifest, Tensor

FEATURES, LAYERED = "C", "C+1"
"""Stand for the number of features, which is the same in all graphs of a bundle, and for one channel more."""

Channels = Mapping[str, int | str]
"""Tensor name -> its channels."""

INTERFACES: Mapping[str, tuple[Channels, Channels]] = MappingProxyType(
    {
        "encoder": ({"photo": 3}, {"features": FEATURES, "weight": 1}),
        "decoder": ({"features": FEATURES, "mask": 1}, {"frame": 3, "closed": 1}),
        "background": ({"photo": 3}, {"background": 3}),
        "alpha_encoder": ({"photo": 3}, {"alpha_background": 1, "alpha_fluid": 1}),
        "alpha_decoder": ({"features": LAYERED, "mask": 1}, {"alpha": 1, "closed": 1}),
    }
)
"""Inputs and outputs of each graph by name, all float32 (1, channels, "height", "width")."""

SCENE_FLOW_INPUTS: tuple[Channels, ...] = ({"photo": 3, "mask": 1, "hint": 2}, {"photo": 3, "mask": 1})
"""What a scene_flow graph takes beside, in the second case, a text's "context"."""

CONTEXT_SHAPE = (1, 77, 768)
"""Of a scene_flow graph's "context": tokens of a text, and what its encoder says of each."""

LAYERS = ("background", "alpha_encoder", "alpha_decoder")
"""Graphs that make a feature scene a layered one; all of them or none."""

SPATIAL = ("height", "width")

MOST_MULTIPLE = 512
"""What the sides of a photo may have to divide by, so that every graph of a feature scene takes it: tiles of 640 pixels
hold one, and no photo is padded by more. The published generators have 4."""


def interface_problems(manifest: Manifest) -> Iterator[str]:
    """Yield, as phrases, what keeps a manifest's feature scenes and scene flow from being played."""
    splat = manifest.loop.rule == "symmetric_splat"
    if splat != (manifest.outputs.get("plate") == "decoder") or splat != (
        manifest.outputs.get("blend") == "symmetric_splat"
    ):
        yield "the loop rule symmetric_splat goes with outputs.plate decoder and outputs.blend symmetric_splat"
    if splat:
        for name in ("encoder", "decoder"):
            if manifest.graph(name) is None:
                yield f"the loop rule symmetric_splat needs the graph {name}, which is not there"
        layers = [name for name in LAYERS if manifest.graph(name) is not None]
        if layers and len(layers) < len(LAYERS):
            missing = ", ".join(name for name in LAYERS if name not in layers)
            yield f"the graph {layers[0]} makes layers and needs {missing} beside it"
        scenes = [graph for graph in manifest.graphs if graph.name in INTERFACES]
        multiple = math.lcm(*(manifest.multiple(graph) for graph in scenes))
        if multiple > MOST_MULTIPLE:
            names = ", ".join(graph.name for graph in scenes)
            yield f"sides must divide by {multiple} for the graphs {names}, and {MOST_MULTIPLE} is the most"
    counts: dict[str, int] = {}
    for graph in manifest.graphs:
        if graph.name in INTERFACES and splat:
            inputs, outputs = INTERFACES[graph.name]
            yield from _side_problems(graph, "input", graph.inputs, inputs, counts)
            yield from _side_problems(graph, "output", graph.outputs, outputs, counts)
        elif graph.name == "scene_flow":
            yield from _scene_flow_problems(graph)


def _scene_flow_problems(graph: Graph) -> Iterator[str]:
    context = [tensor for tensor in graph.inputs if tensor.name == "context"]
    others = tuple(tensor for tensor in graph.inputs if tensor.name != "context")
    wanted = SCENE_FLOW_INPUTS[1 if context else 0]
    yield from _side_problems(graph, "input", others, wanted, {})
    yield from _side_problems(graph, "output", graph.outputs, {"velocity": 2}, {})
    if context and (context[0].dtype != "float32" or context[0].shape != CONTEXT_SHAPE):
        yield f"the input context of scene_flow is {_told(context[0])} and should be float32 {CONTEXT_SHAPE}"


def _side_problems(
    graph: Graph, side: str, tensors: tuple[Tensor, ...], wanted: Channels, counts: dict[str, int]
) -> Iterator[str]:
    """Compare one side of a graph; ``counts`` keeps the number of features from graph to graph."""
    if {tensor.name for tensor in tensors} != set(wanted):
        found = ", ".join(tensor.name for tensor in tensors)
        yield f"the {side}s of the graph {graph.name} are {found} and should be {', '.join(wanted)}"
        return
    for tensor in tensors:
        channels = wanted[tensor.name]
        count = tensor.shape[1] if len(tensor.shape) == 4 else None
        expected = channels
        if isinstance(channels, str) and isinstance(count, int):
            extra = 1 if channels == LAYERED else 0
            expected = counts.setdefault(FEATURES, count - extra) + extra
        if tensor.dtype != "float32" or tensor.shape != (1, expected, *SPATIAL):
            should = f"float32 (1, {expected}, {', '.join(SPATIAL)})"
            yield f"the {side} {tensor.name} of the graph {graph.name} is {_told(tensor)} and should be {should}"


def _told(tensor: Tensor) -> str:
    return f"{tensor.dtype} ({', '.join(map(str, tensor.shape))})"
