# SPDX-License-Identifier: Apache-2.0
"""Graphs that a bundle takes over from another, byte for byte, with all that belongs to them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from stillflow.bundle import Bundle
from stillflow.bundle.manifest import Graph, Licence, Sizes, Vector, Weights
from stillflow_export.bundle_parts import Parts


@dataclass(frozen=True)
class Copied:
    """What was taken over.

    Attributes:
        graphs: their entries in the manifest.
        weights: likewise.
        vectors: likewise.
        licences: likewise, narrowed to what was copied.
        training: graph -> its training receipt, {} where there is none.
        sizes: of the bundle they come from.
    """

    graphs: tuple[Graph, ...]
    weights: tuple[Weights, ...]
    vectors: tuple[Vector, ...]
    licences: tuple[Licence, ...]
    training: Mapping[str, Mapping[str, Any]]
    sizes: Sizes


def copy_graphs(parts: Parts, bundle: Bundle, names: Sequence[str]) -> Copied:
    """Copy graphs with their variants, test vectors, receipts and licences.

    Args:
        parts: the bundle that is being put together.
        bundle: where they come from; hashes are compared on the way.
        names: of the graphs.

    Raises:
        StillflowError: the bundle has no such graph, or is damaged.
    """
    manifest = bundle.manifest
    graphs = tuple(bundle.graph(name) for name in names)
    vectors = tuple(v for v in manifest.vectors if v.graph in names)
    receipts = [r for r in manifest.receipts if r.graph in names]
    files = [variant.file for graph in graphs for variant in graph.all_variants]
    files += [entry.file for entry in (*vectors, *receipts)]
    files += [licence.file for licence in manifest.licences if licence.file]
    for file in files:
        parts.add(file, bundle.read(file))
    parts.receipts += receipts
    training: dict[str, Mapping[str, Any]] = {name: {} for name in names}
    for receipt in receipts:
        if receipt.kind == "training" and receipt.graph is not None:
            training[receipt.graph] = json.loads(bundle.read(receipt.file))
    of = f"the graphs {', '.join(names)}, taken from the bundle {manifest.name}: "
    return Copied(
        graphs=graphs,
        weights=tuple(w for w in manifest.weights if w.graph in names),
        vectors=vectors,
        licences=tuple(
            msgspec.structs.replace(licence, covers=of + licence.covers) for licence in manifest.licences
        ),
        training=training,
        sizes=manifest.sizes,
    )
