# SPDX-License-Identifier: Apache-2.0
"""What the cache knows of engines that were built from a bundle: their layers, types, and what gate C said."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from stillflow.build.entry import ENTRY_FILE, GATE_FILE, LAYERS_FILE, MAX_ENTRY_BYTES, Entry
from stillflow.bundle import Manifest

MAX_LAYERS_BYTES = 64 << 20
MAX_FOLDERS = 2000
"""Entries that are looked at in one cache."""


@dataclass(frozen=True)
class EngineLayer:
    """One layer of an engine, or of the network it was built from.

    Attributes:
        name: that the library gives it.
        kind: its type, such as "CONVOLUTION".
        dtype: of its first output.
        shape: of that, -1 for a free side.
    """

    name: str
    kind: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class EngineReport:
    """One engine.

    Attributes:
        entry: its sidecar.
        counts: how many layers of each type and data type.
        layers: in the engine's order; empty when they cannot be read.
        gate: state of gate C: "passed", "failed", "not run", or "" when nothing is known.
        problem: why the layers cannot be read.
    """

    entry: Entry
    counts: dict[str, int]
    layers: tuple[EngineLayer, ...]
    gate: str
    problem: str = ""

    def summary(self) -> dict[str, Any]:
        """The main figures as plain values."""
        entry = self.entry
        return {
            "graph": entry.graph,
            "precision": entry.precision,
            "profile": entry.profile,
            "library": f"{entry.parts.builder} {entry.parts.builder_version}",
            "target": str(entry.parts.target),
            "bytes": entry.bytes,
            "seconds": entry.seconds,
            "counts": self.counts,
            "gate_c": self.gate,
        }


def find_engines(folders: Iterable[Path], manifest: Manifest) -> list[EngineReport]:
    """Find engines that were built from a bundle's graphs.

    Engines are not loaded, only what lies beside them is read; what cannot be read as a sidecar is passed over.

    Args:
        folders: a cache, its folder ``engines``, the folder of one entry, or one that ``stillflow build --out`` wrote;
            those that do not exist are passed over.
        manifest: of the bundle; an engine belongs to it when its graph's SHA-256 stands there.

    Returns:
        The newest first.
    """
    wanted = {v.sha256 for graph in manifest.graphs for v in graph.all_variants}
    found: dict[str, EngineReport] = {}
    for folder in folders:
        for sidecar, layers, gate in _places(folder):
            entry = _entry(sidecar)
            if entry is not None and entry.parts.onnx_sha256 in wanted:
                found[entry.parts.key] = _report(entry, layers, gate)
    return sorted(found.values(), key=lambda r: (r.entry.created, r.entry.graph), reverse=True)


def _places(folder: Path) -> Iterator[tuple[Path, Path, Path]]:
    """Sidecar, layers and gate of each engine: in a folder of its own in a cache, or beside it where it was shipped."""
    count = 0
    for pattern in (ENTRY_FILE, f"*/{ENTRY_FILE}", f"engines/*/{ENTRY_FILE}", "*.engine.json"):
        for path in folder.glob(pattern):
            if count >= MAX_FOLDERS or path.parent.name.startswith("."):
                continue
            count += 1
            name = "" if path.name == ENTRY_FILE else path.name.removesuffix("json")
            yield path, path.with_name(f"{name}{LAYERS_FILE}"), path.with_name(f"{name}{GATE_FILE}")


def _read(path: Path, limit: int) -> bytes | None:
    """A plain file of at most so many bytes, or None."""
    try:
        if not path.is_file() or path.stat().st_size > limit:
            return None
        return path.read_bytes()
    except OSError:
        return None


def _entry(sidecar: Path) -> Entry | None:
    data = _read(sidecar, MAX_ENTRY_BYTES)
    try:
        return None if data is None else msgspec.json.decode(data, type=Entry)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _json(path: Path, limit: int) -> dict[str, Any] | None:
    data = _read(path, limit)
    try:
        content = None if data is None else json.loads(data)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _report(entry: Entry, layers: Path, gate: Path) -> EngineReport:
    state = str((_json(gate, MAX_ENTRY_BYTES) or {}).get("state", ""))[:40]
    content = _json(layers, MAX_LAYERS_BYTES)
    if content is None:
        return EngineReport(entry, {}, (), state, f"{layers.name} is missing or cannot be read")
    counts = content.get("counts")
    rows = content.get("layers")
    return EngineReport(
        entry,
        {str(k): v for k, v in counts.items() if isinstance(v, int)} if isinstance(counts, dict) else {},
        tuple(_layer(row) for row in rows if isinstance(row, dict)) if isinstance(rows, list) else (),
        state,
    )


def _layer(row: dict[str, Any]) -> EngineLayer:
    outputs = row.get("outputs")
    first = outputs[0] if isinstance(outputs, list) and outputs and isinstance(outputs[0], dict) else {}
    shape = first.get("shape")
    sides = tuple(s for s in shape if isinstance(s, int)) if isinstance(shape, list) else ()
    return EngineLayer(
        str(row.get("name", ""))[:200], str(row.get("type", ""))[:60], str(first.get("dtype", ""))[:20], sides
    )
