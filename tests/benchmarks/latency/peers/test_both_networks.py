# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading

import numpy as np
import pytest

from stillflow.bundle import Bundle
from stillflow_bench.latency.inputs import fingerprint
from stillflow_bench.latency.peers.both_networks import (
    GRAPHS,
    BothNetworks,
    NetworkPhotos,
    network_photos,
    outputs_digest,
)
from stillflow_bench.latency.target import Facts


@pytest.fixture
def photos() -> NetworkPhotos:
    inputs = [
        {"flow": {"x": np.full(3, n, np.float32)}, "generator": {"x": np.ones(2, np.float32)}} for n in (1, 2)
    ]
    return NetworkPhotos(("a", "b"), tuple(inputs))


def test_both_run_in_order_and_their_times_add_up(photos: NetworkPhotos) -> None:
    asked: list[str] = []

    def runs():
        def run(graph):
            def work(given):
                asked.append(graph)
                return {"y": 2 * given["x"]}

            return work

        return {graph: run(graph) for graph in GRAPHS}

    target = BothNetworks(photos, runs, Facts(engine="fake", notes={"more": 1}), on_cpu=True)
    answer = target.query(1)
    assert asked == ["flow", "generator"]
    assert answer.spans["B0.device"] == answer.spans["B0.device flow"] + answer.spans["B0.device generator"]
    assert answer.digest() == outputs_digest(
        {"flow": {"y": np.full(3, 4, np.float32)}, "generator": {"y": np.full(2, 2, np.float32)}}
    )
    assert answer.digest() != target.query(0).digest()
    assert target.facts.inputs == [
        fingerprint({"flow.x": g["flow"]["x"], "generator.x": g["generator"]["x"]}) for g in photos.inputs
    ]
    assert target.facts.photos == ["a", "b"]
    assert target.facts.notes == {"shapes": {"flow": {"x": [3]}, "generator": {"x": [2]}}, "more": 1}
    on_gpu = BothNetworks(photos, runs, Facts(), on_cpu=False)
    assert set(on_gpu.query(0).spans) == {"stage flow", "stage generator"}, (
        "a call is not the device's time there"
    )


def test_every_lane_has_what_runs_it_to_itself(photos: NetworkPhotos) -> None:
    made: list[int] = []

    def runs():
        made.append(threading.get_ident())
        return {graph: lambda given: given for graph in GRAPHS}

    target = BothNetworks(photos, runs, Facts(), on_cpu=True)
    for lane in (0, 1, 0, 1):
        target.query(0, lane)
    assert len(made) == 2
    target.close()
    target.close()
    with pytest.raises(RuntimeError, match="closed"):
        target.query(0)


def test_photos_are_given_in_the_order_of_the_graphs(spec_of) -> None:
    bundle = Bundle.open("edge")
    photos = network_photos(bundle, spec_of("torch"))
    assert photos.names == ("a.png", "b.png")
    for given in photos.inputs:
        for graph in GRAPHS:
            assert list(given[graph]) == [tensor.name for tensor in bundle.graph(graph).inputs]
            assert all(array.flags.c_contiguous for array in given[graph].values())
    assert len(set(photos.about().inputs)) == 2
