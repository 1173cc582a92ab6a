# SPDX-License-Identifier: Apache-2.0
"""The shipped graphs are those of the committed weights, and of the networks as they are written now."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

from stillflow.bundle import Bundle
from stillflow_export.gates import gate_a, require_passed
from stillflow_export.graphs import own_trained
from stillflow_export.networks.flow import load_flow_network
from stillflow_export.networks.generator import load_generator_network
from stillflow_export.samples import flow_samples, generator_samples
from stillflow_export.stored_weights import as_stored

NETWORKS = {"flow": load_flow_network, "generator": load_generator_network}
SAMPLES = {"flow": flow_samples, "generator": generator_samples}


@pytest.fixture(scope="module")
def edge() -> Bundle:
    return Bundle.open("edge")


@pytest.mark.parametrize("name", NETWORKS)
def test_graph_is_that_of_the_committed_weights(name: str, edge: Bundle, source_tree: Path) -> None:
    weights = source_tree / "training" / "weights" / f"{name}.safetensors"
    (said,) = (entry for entry in edge.manifest.weights if entry.graph == name)
    assert said.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest(), "run: make bundle"
    load: Callable[[Path], nn.Module] = NETWORKS[name]
    plan = as_stored(own_trained(name, load(weights)).plans[0])
    found = SAMPLES[name](sizes=[(64, 64), (96, 160)])
    graph = edge.graph_bytes(name)
    require_passed(gate_a(plan.network, graph, plan.inputs, plan.outputs, found, name=name))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_file_of_a_graph_passed_its_gate(name: str, edge: Bundle) -> None:
    graph = edge.graph(name)
    assert [v.precision for v in graph.all_variants] == ["fp32", "fp16"]
    for kind, variant in (("gate-a", graph.at("fp32")), ("gate-b-fp16", graph.at("fp16"))):
        receipt = json.loads(edge.read(f"receipts/{name}-{kind}.json"))
        assert receipt["passed"]
        assert variant is not None
        assert receipt["onnx_sha256"] == variant.sha256
    rounding = json.loads(edge.read(f"receipts/{name}-rounding.json"))
    assert set(rounding["outputs"]) == {t.name for t in graph.outputs}


def test_frames_passed_their_gate(edge: Bundle) -> None:
    assert json.loads(edge.read("receipts/gate-b-fp16.json"))["passed"]


def test_every_precision_gives_what_its_vectors_expect(edge: Bundle) -> None:
    checks = edge.verify(precision="all")
    assert all(check.ok for check in checks), [check for check in checks if not check.ok]


@pytest.mark.parametrize("name", NETWORKS)
def test_receipt_is_that_of_the_committed_weights(name: str, edge: Bundle, source_tree: Path) -> None:
    receipt = source_tree / "training" / "weights" / f"{name}.receipt.json"
    assert json.loads(edge.read(f"receipts/{name}-training.json")) == json.loads(receipt.read_bytes()), (
        "run: make bundle"
    )
