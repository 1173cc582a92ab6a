# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import msgspec
import numpy as np
import pytest

from stillflow_bench.latency.peers import raw_onnxruntime
from stillflow_bench.latency.peers.raw_openvino import open_target

pytest.importorskip("openvino", reason="OpenVINO is not installed (pip install 'stillflow[openvino]')")


def test_it_does_the_same_work(spec_of) -> None:
    target = open_target(spec_of("raw-openvino"))
    other = raw_onnxruntime.open_target(spec_of("raw-onnxruntime"))
    assert target.facts.inputs == other.facts.inputs
    for index in range(2):
        expected = other.outputs(index)
        for graph, arrays in target.outputs(index).items():
            assert set(arrays) == set(expected[graph])
            for name, array in arrays.items():
                np.testing.assert_allclose(array, expected[graph][name], rtol=1e-3, atol=1e-3)
    assert msgspec.json.encode(target.facts), "a worker tells them in JSON"
    assert target.query(0).digest() != target.query(1).digest()
    assert target.query(0, 1).digest() == target.query(0, 0).digest(), "lanes have requests of their own"
    assert target.facts.provider == "CPU f32"
    assert target.facts.notes["inference_num_threads"] == 1
    target.close()
