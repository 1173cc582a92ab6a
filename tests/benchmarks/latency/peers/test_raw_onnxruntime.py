# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import msgspec
import numpy as np
import pytest

from stillflow.bundle import Bundle
from stillflow.errors import StillflowError
from stillflow.gpu.description import find_gpu
from stillflow_bench.latency.peers.both_networks import GRAPHS, chosen_files, network_photos
from stillflow_bench.latency.peers.raw_onnxruntime import Bound, inference_session, open_target


@pytest.mark.parametrize("options", ["same", "default"])
def test_its_bits_are_those_of_our_session(options: str, spec_of) -> None:
    spec = spec_of("raw-onnxruntime", options=options)
    target = open_target(spec)
    bundle = Bundle.open("edge")
    photos = network_photos(bundle, spec)
    for index in range(target.inputs):
        made = target.outputs(index)
        for graph in GRAPHS:
            ours = bundle.session(graph, "onnxruntime", threads=1, device="cpu").run(
                photos.inputs[index][graph]
            )
            assert {n: a.tobytes() for n, a in made[graph].items()} == {
                n: a.tobytes() for n, a in ours.items()
            }
    assert msgspec.json.encode(target.facts), "a worker tells them in JSON"
    facts = target.facts
    assert (facts.provider, facts.device, facts.notes["options"]) == ("CPUExecutionProvider", "cpu", options)
    assert facts.hashes["flow"] == bundle.graph("flow").sha256
    assert facts.receipts["generator"]["onnx_sha256"] == bundle.graph("generator").sha256
    target.close()


def test_what_cannot_be_measured_here(spec_of) -> None:
    with pytest.raises(StillflowError, match="there are no options 'fast'"):
        open_target(spec_of("raw-onnxruntime", options="fast"))
    with pytest.raises(StillflowError, match="nothing to bind"):
        open_target(spec_of("raw-onnxruntime", binding=True))
    if find_gpu() is None:
        with pytest.raises(StillflowError):
            open_target(spec_of("raw-onnxruntime", subject={"device": "cuda"}))


def test_bound_arrays_give_the_same(spec_of) -> None:
    """On the CPU in place of a GPU: the calls are the same."""
    spec = spec_of("raw-onnxruntime")
    bundle = Bundle.open("edge")
    photos = network_photos(bundle, spec)
    _, files = chosen_files(bundle, spec.subject, "onnxruntime")
    session = inference_session(files["generator"].data, "generator", "same", 1, "cpu")
    bound = Bound(session, photos.inputs[0]["generator"], 0, "cpu")
    for given in (photos.inputs[1]["generator"], photos.inputs[0]["generator"]):
        names = [output.name for output in session.get_outputs()]
        plain = dict(zip(names, session.run(names, given), strict=True))
        assert all(np.array_equal(array, plain[name]) for name, array in bound(given).items())
