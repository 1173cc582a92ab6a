# SPDX-License-Identifier: Apache-2.0
"""The shipped bundle: what it must be for everything else to work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stillflow.bundle import Bundle
from stillflow.motion import CLASS_NAMES
from stillflow_engines import bundle_names, bundle_path

MOST_BYTES = 16_000_000


@pytest.fixture(scope="module")
def edge() -> Bundle:
    return Bundle.open("edge")


def test_every_shipped_bundle_verifies() -> None:
    assert "edge" in bundle_names()
    for name in bundle_names():
        assert [check for check in Bundle.open(bundle_path(name)).verify() if not check.ok] == []


def test_unknown_name_lists_the_shipped() -> None:
    with pytest.raises(KeyError, match="edge"):
        bundle_path("nosuch")


def test_is_small_and_lists_all_its_files(edge: Bundle) -> None:
    folder = bundle_path("edge")
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert found == {file.path for file in edge.manifest.files} | {"manifest.json"}
    assert sum(file.bytes for file in edge.manifest.files) < MOST_BYTES


def test_says_what_goes_in_and_out(edge: Bundle) -> None:
    flow = edge.graph("flow")
    assert [t.name for t in flow.inputs] == ["photo", "hints"]
    assert [t.name for t in flow.outputs] == ["classes", "moves", "velocity", "spread", "either", "suited"]
    assert flow.outputs[0].channels == CLASS_NAMES
    for graph in edge.manifest.graphs:
        for tensor in (*graph.inputs, *graph.outputs):
            assert tensor.meaning
            assert len(tensor.channels) == tensor.shape[1]


def test_carries_its_receipts_and_they_passed(edge: Bundle) -> None:
    kinds = {(receipt.kind, receipt.graph) for receipt in edge.manifest.receipts}
    for graph in edge.manifest.graphs:
        assert {("gate-a", graph.name), ("training", graph.name)} <= kinds
        receipt = json.loads(edge.read(f"receipts/{graph.name}-gate-a.json"))
        assert receipt["passed"]
        assert receipt["onnx_sha256"] == graph.sha256
        assert all(output["worst_sample"] for output in receipt["outputs"].values())
    decisions = json.loads(edge.read("receipts/outputs.json"))
    assert {name: d["chosen"] for name, d in decisions.items()} == edge.manifest.outputs
    assert all(d["why"] for d in decisions.values())


def test_networks_beat_the_closed_forms_they_replace(edge: Bundle) -> None:
    decisions = json.loads(edge.read("receipts/outputs.json"))
    for output, smaller_is_better in (("velocity_guided", True), ("plate", False), ("blend", False)):
        decision = decisions[output]
        if decision["chosen"] == "network":
            ours = decision["figures"].pop("network")
            (theirs,) = decision["figures"].values()
            assert ours < theirs if smaller_is_better else ours > theirs


@pytest.mark.parametrize("size", [(32, 32), (192, 320), (320, 32)])
def test_takes_any_multiple_of_32(edge: Bundle, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    for graph in edge.manifest.graphs:
        session = edge.session(graph.name, threads=1)
        given = {t.name: rng.random((1, t.shape[1], *size), np.float32) for t in graph.inputs}
        for name, value in session.run(given).items():
            (tensor,) = (t for t in graph.outputs if t.name == name)
            known = dict(
                zip(("height", "width", "height/2", "width/2"), (*size, *(n // 2 for n in size)), strict=True)
            )
            assert value.shape == tuple(known.get(str(n), n) for n in tensor.shape)
            assert np.isfinite(value).all()


def test_holds_no_path_of_the_machine_it_was_made_on(edge: Bundle) -> None:
    import re

    for file in edge.manifest.files:
        assert not re.findall(rb"/(?:home|root|Users|work|tmp)/\w+", edge.read(file.path)), file.path


def test_names_licences_and_where_the_weights_came_from(edge: Bundle) -> None:
    manifest = edge.manifest
    assert {weights.graph for weights in manifest.weights} == {graph.name for graph in manifest.graphs}
    assert all(weights.sha256 and weights.source and weights.licence for weights in manifest.weights)
    for licence in manifest.licences:
        assert licence.file is not None
        assert edge.read(licence.file)


def test_package_finds_it_where_it_lies() -> None:
    assert (Path(bundle_path()) / "manifest.json").is_file()
