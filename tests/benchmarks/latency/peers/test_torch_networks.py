# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import msgspec
import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow_bench.latency.peers import raw_onnxruntime
from stillflow_bench.latency.peers.torch_networks import network_of, open_target
from stillflow_export.gates import GATE_A
from stillflow_export.gates.gate_a import unit


def test_it_does_the_same_work(spec_of) -> None:
    """Within what gate A allows an ONNX file to differ from PyTorch."""
    target = open_target(spec_of("torch"))
    other = raw_onnxruntime.open_target(spec_of("raw-onnxruntime"))
    assert (target.facts.inputs, target.facts.hashes) == (other.facts.inputs, other.facts.hashes)
    bundle = Bundle.open("edge")
    for index in range(2):
        expected = other.outputs(index)
        for graph, arrays in target.outputs(index).items():
            units = {tensor.name: unit(tensor) for tensor in bundle.graph(graph).outputs}
            assert list(arrays) == list(units)
            for name, array in arrays.items():
                limit = {"rtol": GATE_A.relative, "atol": units[name] * GATE_A.absolute}
                np.testing.assert_allclose(array, expected[graph][name], **limit)
    for graph, receipt in target.facts.receipts.items():
        assert (receipt["gate"], receipt["passed"]) == ("A", True)
        assert receipt["onnx_sha256"] == target.facts.hashes[graph]
    assert msgspec.json.encode(target.facts), "a worker tells them in JSON"
    assert target.query(0).digest() != target.query(1).digest()
    assert target.facts.provider.startswith("eager on cpu")
    assert (target.facts.notes["channels_last"], target.facts.notes["compile"]) == (True, False)
    target.close()


def test_weights_of_another_network_are_refused() -> None:
    bundle = Bundle.open("edge")
    with pytest.raises(StillflowError, match="the bundle's graph generator does not hold the weights"):
        network_of("generator", bundle.graph_bytes("flow"))
    model = onnx.load_from_string(bundle.graph_bytes("generator"))
    entry = next(tensor for tensor in model.graph.initializer if tensor.name == "heads.bias")
    entry.CopyFrom(numpy_helper.from_array(np.zeros(4, np.float32), "heads.bias"))
    with pytest.raises(StillflowError, match=r"such as heads\.bias"):
        network_of("generator", model.SerializeToString())


def test_what_is_compiled_is_what_runs_and_how_long_it_took_is_told(
    spec_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the compiler, which takes a minute: what it would be given, and what it gives back."""
    asked = []

    def compiled(network, **options):
        asked.append(options)
        return network

    monkeypatch.setattr(torch, "compile", compiled)
    target = open_target(spec_of("torch", compile=True))
    assert asked == [{"dynamic": False}] * 2
    assert target.facts.provider.startswith("inductor on cpu")
    assert target.facts.notes["compile_seconds"] >= 0
    eager = open_target(spec_of("torch"))
    assert target.query(0).digest() == eager.query(0).digest()


def test_what_does_not_compile_says_why(spec_of, monkeypatch: pytest.MonkeyPatch) -> None:
    def compiled(network, **options):
        def fails(*_):
            raise RuntimeError("No working C++ compiler found\nand a long trace")

        return fails

    monkeypatch.setattr(torch, "compile", compiled)
    with pytest.raises(StillflowError, match=r"says: No working C\+\+ compiler found\n") as caught:
        open_target(spec_of("torch", compile=True))
    assert "C++ compiler" in caught.value.fix
