# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow_bench.latency.inputs import (
    PHOTOS,
    fingerprint,
    flat,
    network_inputs,
    photo_files,
    photo_of,
    shapes_of,
    short_digest,
)
from stillflow_bench.latency.subject import Subject


def test_the_packaged_photos_are_32_different_ones_with_a_licence_each() -> None:
    files = photo_files()
    assert len(files) == 32
    assert len({path.read_bytes() for path in files}) == 32
    credits = (PHOTOS / "CREDITS.md").read_text(encoding="utf-8")
    lines = [line for line in credits.splitlines() if ".webp |" in line]
    assert [line.split("|")[1].strip() for line in lines] == [path.name for path in files]
    assert all("CC0 1.0" in line or "public domain" in line for line in lines)
    assert sum(path.stat().st_size for path in files) < 600_000


def test_a_folder_without_photos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("no photo")
    (tmp_path / "folder.jpg").mkdir()
    with pytest.raises(StillflowError, match="no photos"):
        photo_files(str(tmp_path))


def test_networks_are_given_what_is_the_photos_own() -> None:
    bundle = Bundle.open()
    subject = Subject(width=160, height=96)
    first, second = photo_files()[:2]
    inputs = [
        network_inputs(bundle, photo_of(path, subject), seed) for seed, path in enumerate((first, second))
    ]
    again = network_inputs(bundle, photo_of(first, subject), 0)
    for graph in ("flow", "generator"):
        assert fingerprint(inputs[0][graph]) == fingerprint(again[graph]) != fingerprint(inputs[1][graph])
        assert {tensor.name for tensor in bundle.graph(graph).inputs} == set(inputs[0][graph])
        bundle.session(graph, threads=1).run(inputs[0][graph])  # they fit


def test_a_fingerprint_knows_values_shapes_types_and_names() -> None:
    one = {"a": np.arange(6, dtype=np.float32)}
    others = [
        {"b": one["a"]},
        {"a": one["a"].reshape(2, 3)},
        {"a": one["a"].astype(np.float64)},
        {"a": one["a"] + np.float32(1e-6)},
        {**one, "b": one["a"]},
    ]
    assert len({fingerprint(arrays) for arrays in (one, *others)}) == 6
    assert fingerprint({"a": np.arange(12, dtype=np.float32)[::2] / 2}) == fingerprint(one)
    assert fingerprint(one).startswith(short_digest(one)) and len(short_digest(one)) == 16


def test_arrays_are_named_with_their_graph() -> None:
    by_graph = {"flow": {"a": np.zeros(2)}, "generator": {"a": np.zeros((3, 1))}}
    assert list(flat(by_graph)) == ["flow.a", "generator.a"]
    assert shapes_of(by_graph) == {"flow": {"a": [2]}, "generator": {"a": [3, 1]}}
