# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stillflow.build.entry import Entry
from stillflow.bundle import Bundle
from stillflow_export.engine_layers import find_engines

from .engine_entries import entry_of


@pytest.fixture(scope="module")
def bundle(source_tree: Path) -> Bundle:
    return Bundle.open(source_tree / "tests" / "data" / "bundles" / "golden-1.0")


LAYERS = {
    "counts": {"CONVOLUTION float32": 2},
    "layers": [
        {"name": "conv", "type": "CONVOLUTION", "outputs": [{"dtype": "float32", "shape": [1, 6, -1, -1]}]},
        {"name": "shape"},
    ],
}


def put(folder: Path, entry: Entry, layers: Any = LAYERS, gate: Any = None) -> Path:
    place = folder / "engines" / entry.parts.key
    place.mkdir(parents=True)
    (place / "entry.json").write_bytes(msgspec.json.encode(entry))
    (place / "layers.json").write_text(layers if isinstance(layers, str) else json.dumps(layers))
    if gate is not None:
        (place / "gate-c.json").write_text(json.dumps(gate))
    return place


def test_engines_of_a_bundle_are_found_by_their_graph(bundle: Bundle, tmp_path: Path) -> None:
    place = put(tmp_path, entry_of(bundle.graph("flow").sha256), gate={"state": "passed"})
    put(tmp_path, entry_of("f" * 64))
    for folder in (tmp_path, tmp_path / "engines", place):
        (found,) = find_engines([folder, tmp_path / "none"], bundle.manifest)
        assert found.gate == "passed"
        assert found.counts == {"CONVOLUTION float32": 2}
        assert [(x.name, x.kind, x.dtype, x.shape) for x in found.layers] == [
            ("conv", "CONVOLUTION", "float32", (1, 6, -1, -1)),
            ("shape", "", "", ()),
        ]
        assert found.summary()["target"] == "compute capability 8.9"


def test_shipped_engines_are_found_beside_their_files(bundle: Bundle, tmp_path: Path) -> None:
    place = put(tmp_path / "cache", entry_of(bundle.graph("flow").sha256), gate={"state": "not run"})
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    for name, target in (("entry", "json"), ("layers", "layers.json"), ("gate-c", "gate-c.json")):
        (place / f"{name}.json").rename(shipped / f"golden-flow.engine.{target}")
    (found,) = find_engines([shipped], bundle.manifest)
    assert (len(found.layers), found.gate, found.problem) == (2, "not run", "")


@pytest.mark.parametrize("layers", ["", "[", "[]", '{"layers": 3, "counts": []}', "[" * 100_000])
def test_layers_that_cannot_be_read(layers: str, bundle: Bundle, tmp_path: Path) -> None:
    put(tmp_path, entry_of(bundle.graph("flow").sha256), layers)
    (found,) = find_engines([tmp_path], bundle.manifest)
    assert found.layers == ()
    assert bool(found.problem) == (not layers.startswith("{"))


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 100_000, b"\xff", b'{"schema_version": "9.0"}'])
def test_sidecars_that_are_none_are_passed_over(data: bytes, bundle: Bundle, tmp_path: Path) -> None:
    place = tmp_path / "engines" / "x"
    place.mkdir(parents=True)
    (place / "entry.json").write_bytes(data)
    assert find_engines([tmp_path], bundle.manifest) == []
