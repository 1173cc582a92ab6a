# SPDX-License-Identifier: Apache-2.0
"""A bundle's graphs become tiled ones under one budget, and one of them runs at a time."""

from __future__ import annotations

import json
import threading
import time
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from stillflow.build.plan import LARGEST_TILE
from stillflow.bundle import Bundle, encode_manifest, parse_manifest
from stillflow.features.networks import BYTES_A_PIXEL, LEAST_SIDE, MOST_SIDE, feature_networks


@pytest.fixture(scope="module")
def bundle(source_tree: Path) -> Bundle:
    return Bundle.open(source_tree / "tests" / "data" / "bundles" / "golden-1.1")


def test_graphs_are_cut_as_the_manifest_says(bundle: Bundle) -> None:
    found = feature_networks(bundle.manifest, lambda name: bundle.session(name, threads=1).run, 1 << 26)
    assert (found.encoder.halo, found.decoder.halo) == (16, 48)
    assert (found.encoder.multiple, found.decoder.multiple, found.multiple) == (4, 4, 4)
    assert found.layers is None and found.weight_floor is None and found.edge_share == 0
    assert found.decoder.most_pixels * BYTES_A_PIXEL["decoder"] <= 0.75 * (1 << 26)
    assert found.decoder.most_side == found.encoder.most_side == MOST_SIDE
    features = np.ones((1, 8, 8, 12), np.float32)
    made = found.decoder.run({"features": features, "mask": np.ones((1, 1, 8, 12), np.float32)})
    assert made["frame"].shape == (1, 3, 8, 12)


def test_a_picture_is_padded_to_what_every_graph_takes(bundle: Bundle) -> None:
    data = json.loads(encode_manifest(bundle.manifest))
    for graph, multiple in zip(data["graphs"], (32, 4, 6), strict=False):
        graph["multiple"] = multiple
    assert [graph["name"] for graph in data["graphs"][1:3]] == ["encoder", "decoder"]
    found = feature_networks(parse_manifest(json.dumps(data).encode(), "odd"), lambda name: dict)
    assert found.multiple == 12


def test_one_graph_runs_at_a_time(bundle: Bundle) -> None:
    inside, most = [0], [0]

    def slow(_: object) -> dict[str, np.ndarray]:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.01)
        inside[0] -= 1
        return {}

    found = feature_networks(bundle.manifest, lambda name: slow)
    runs = [found.encoder.run, found.decoder.run] * 2
    threads = [threading.Thread(target=run, args=({},)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1


def test_tiles_fit_the_engines_of_every_profile_that_is_shipped() -> None:
    folder = Path(str(resources.files("stillflow_engines"))) / "profiles"
    profiles = [json.loads(path.read_bytes()) for path in folder.glob("*.json")]
    assert profiles
    assert max(profile["sizes"]["tile"]["min"] for profile in profiles) <= LEAST_SIDE
    assert min(profile["sizes"]["tile"]["max"] for profile in profiles) >= MOST_SIDE
    assert LARGEST_TILE["tensorrt_rtx"] >= MOST_SIDE
