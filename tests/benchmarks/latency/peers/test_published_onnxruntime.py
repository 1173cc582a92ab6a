# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import msgspec
import numpy as np

from stillflow_bench.latency.peers import published_torch
from stillflow_bench.latency.peers.published_onnxruntime import open_target

NARROW = 4


def test_its_frames_are_those_of_the_pipeline_in_pytorch(spec_of) -> None:
    target = open_target(spec_of("published-onnxruntime", "B3.next", width=NARROW))
    other = published_torch.open_target(spec_of("published-torch", "B3.next", width=NARROW))
    assert target.facts.inputs == other.facts.inputs
    assert set(target.facts.hashes) == {"encoder", "decoder"}
    assert msgspec.json.encode(target.facts), "a worker tells them in JSON"
    assert target.facts.provider == "CPUExecutionProvider"
    for index in (0, 7):
        difference = target.frame(index).astype(int) - other.frame(index)
        assert np.abs(difference).max() <= 1
    assert set(target.query(0).spans) == {"stage splat", "stage decode"}
    assert target.query(0).digest() != target.query(7).digest()
    target.close()
