# SPDX-License-Identifier: Apache-2.0
"""On a GPU, or on the stand-in for its driver, where times mean nothing and the order of work everything."""

from __future__ import annotations

import pytest

from stillflow.errors import StillflowError
from stillflow_bench.latency.target import Target, open_target

from ...gpu.host_engine import host_engine  # noqa: F401
from .conftest import Spec

SUBJECT = {"device": "cuda", "engine": "onnxruntime", "precision": "fp32"}


def digests(target: Target) -> list[str]:
    found = []
    for index in (0, 1, 2, 0):
        digest = target.query(index).digest
        assert digest is not None
        found.append(digest())
    return found


@pytest.mark.device
@pytest.mark.usefixtures("host_engine")
def test_networks_are_timed_by_events_alone_and_with_the_transfers(spec: Spec) -> None:
    alone = open_target(spec("device", "B0.device", **SUBJECT))
    spans = alone.query(1).spans
    assert set(spans) == {"B0.device", "B0.device flow", "B0.device generator"}
    assert abs(spans["B0.device"] - spans["B0.device flow"] - spans["B0.device generator"]) <= 2000
    found = digests(alone)
    assert found[0] == found[3] and len(set(found)) == 3
    assert alone.facts.receipts["flow"]["onnx_sha256"] == alone.facts.hashes["flow"]
    alone.close()
    alone.close()

    whole = open_target(spec("device", "B1.transfer", **SUBJECT))
    spans = whole.query(1).spans
    assert set(spans) == {"B1.transfer", "upload", "B0.device", "download"}
    parts = spans["upload"] + spans["B0.device"] + spans["download"]
    assert spans["B0.device"] <= spans["B1.transfer"] and abs(parts - spans["B1.transfer"]) <= 3000
    assert digests(whole) == found
    whole.close()


def test_a_cpu_has_no_such_boundary(spec: Spec) -> None:
    with pytest.raises(StillflowError, match="is on no GPU"):
        open_target(spec("device", "B0.device"))
