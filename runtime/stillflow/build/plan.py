# SPDX-License-Identifier: Apache-2.0
"""What to build: a bundle and a device profile become one engine a graph, each with the sizes it must take."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from stillflow.build.profile import LibraryName, Profile, Range
from stillflow.build.request import Settings, Shape
from stillflow.bundle import Bundle, Manifest
from stillflow.bundle.manifest import Graph
from stillflow.errors import StillflowError

ASPECT = 0.75
"""Short side over long side of the picture that an engine is tuned for."""

LARGEST_TILE = {"tensorrt_rtx": 640}
"""Pixels a side, halo included, that a tile may have at most on a library.

TensorRT-RTX 1.7.1 cannot build the decoders of feature scenes for tiles of free size of more than about 700x700: its
compiler then asks for 7e18 bytes, a broken string length, and gives up. 640x640 and 512x768 build, 768x768 and 640x1024
do not, whatever the width of the network; one fixed size builds at 1024x1024 too."""

_DIMENSION = re.compile(r"(height|width)(?:/([0-9]+))?\Z")


@dataclass(frozen=True)
class EnginePlan:
    """One engine to be built.

    Attributes:
        graph: name in the bundle.
        precision: of the file it is built from.
        onnx_sha256: of that file.
        settings: for the builder.
        notes: what is not as the profile wishes, as phrases.
    """

    graph: str
    precision: str
    onnx_sha256: str
    settings: Settings
    notes: tuple[str, ...] = ()


def choose_library(profile: Profile, library: str | None) -> LibraryName:
    """The library to build with: the profile's usual one, or the one asked for if it can.

    Raises:
        StillflowError: the library cannot build for this device.
    """
    for name in profile.libraries:
        if library in (None, name):
            return name
    able = " or ".join(profile.libraries)
    raise StillflowError(
        f"cannot build for {profile.name} with {library}",
        f"the profile's device is served by {able}",
        f"leave --library out, or use {able}",
    )


def plan_engines(
    bundle: Bundle,
    profile: Profile,
    library: LibraryName,
    *,
    precision: str | None = None,
    graphs: Sequence[str] = (),
) -> list[EnginePlan]:
    """Decide what to build.

    Args:
        bundle: that holds the graphs.
        profile: of the device.
        library: that builds.
        precision: of the files to build from; None: the profile's where a graph has it, else the bundle's own.
        graphs: names; none given: all.

    Raises:
        StillflowError: unknown graph or precision, or inputs whose sizes follow from nothing.
    """
    manifest = bundle.manifest
    chosen = [bundle.graph(name) for name in dict.fromkeys(graphs)] or list(manifest.graphs)
    plans = []
    for graph in chosen:
        notes = []
        wanted = precision or profile.precision
        variant = graph.at(wanted)
        if variant is None:
            has = ", ".join(v.precision for v in graph.all_variants)
            if precision is not None:
                raise StillflowError(
                    f"cannot build the graph {graph.name} at {precision}",
                    f"the bundle {bundle.where} has it at {has}",
                    f"use --precision {has.split(', ')[0]}, or export the bundle with {precision}",
                )
            variant = graph.at(manifest.default_precision)
            assert variant is not None  # the manifest was checked for it
            notes.append(f"the profile wishes {wanted}, the bundle has {has}: {variant.precision} it is")
        settings, more = settings_for(manifest, graph, profile, library)
        plans.append(EnginePlan(graph.name, variant.precision, variant.sha256, settings, (*notes, *more)))
    return plans


def settings_for(
    manifest: Manifest, graph: Graph, profile: Profile, library: LibraryName
) -> tuple[Settings, tuple[str, ...]]:
    """The builder's settings for a graph, and what of the profile the library does not offer."""
    rtx, notes = library == "tensorrt_rtx", []
    largest = LARGEST_TILE.get(library)
    if largest is not None and _tiled(graph) and profile.sizes.tile.max > largest:
        notes.append(f"{library} builds for tiles of at most {largest}x{largest}")
    # RTX 1.7 cannot build version-compatible engines, and knows no hardware compatibility.
    for wanted, name in (
        (profile.version_compatible, "version compatibility"),
        (profile.hardware_compatibility != "none", "hardware compatibility"),
    ):
        if rtx and wanted:
            notes.append(f"tensorrt_rtx offers no {name}")
    return (
        Settings(
            shapes=input_shapes(manifest, graph, profile, largest_tile=largest),
            workspace_mib=profile.workspace_mib,
            builder_level=profile.builder_level,
            aux_streams=profile.aux_streams,
            version_compatible=profile.version_compatible and not rtx,
            hardware_compatibility="none" if rtx else profile.hardware_compatibility,
            tf32=profile.tf32,
            compute_capability=profile.compute_capability if rtx else None,
        ),
        tuple(notes),
    )


def _tiled(graph: Graph) -> bool:
    """Whether a graph is run in tiles."""
    return graph.halo is not None and graph.long_side is None


def input_shapes(
    manifest: Manifest, graph: Graph, profile: Profile, *, largest_tile: int | None = None
) -> dict[str, tuple[Shape, Shape, Shape]]:
    """Smallest, usual and largest shape of each input.

    Graphs that run in tiles take tiles up to the profile's; graphs that see the whole photo take up to a square of
    the long side that the manifest names, and are tuned for a picture in landscape of 4:3.

    Raises:
        StillflowError: an input has a free dimension other than height and width.
    """
    multiple = manifest.multiple(graph)
    long_side = manifest.long_side(graph)
    if _tiled(graph):
        sides = profile.sizes.tile
        end = sides.max
        if largest_tile is not None:
            end = max(multiple, min(end, largest_tile) // multiple * multiple)
        sides = Range(min=min(sides.min, end), opt=min(sides.opt, end), max=end)
        low, usual, high = (_up(side, multiple) for side in (sides.min, sides.opt, sides.max))
        extents = ((low, low), (usual, usual), (high, high))
    else:
        sides = profile.sizes.whole
        if long_side is not None:
            sides = Range(min=1, opt=long_side, max=long_side)
        low, usual, high = (_up(side, multiple) for side in (sides.min, sides.opt, sides.max))
        extents = ((low, low), (min(_up(round(ASPECT * sides.opt), multiple), usual), usual), (high, high))
    shapes = {}
    for tensor in graph.inputs:
        least, best, most = (_shape(graph, tensor.shape, height, width) for height, width in extents)
        shapes[tensor.name] = least, best, most
    return shapes


def _up(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple


def _shape(graph: Graph, dimensions: Sequence[int | str], height: int, width: int) -> Shape:
    sides = []
    for dimension in dimensions:
        if isinstance(dimension, int):
            sides.append(dimension)
            continue
        found = _DIMENSION.match(dimension)
        if found is None:
            raise StillflowError(
                f"cannot plan an engine for the graph {graph.name}",
                f"the sizes of its free dimension '{dimension}' follow from nothing",
                "export it with that dimension fixed; free ones are height and width",
            )
        whole = height if found[1] == "height" else width
        sides.append(max(1, whole // int(found[2] or 1)))
    return tuple(sides)
