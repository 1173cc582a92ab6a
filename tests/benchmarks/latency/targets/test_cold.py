# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time

import msgspec
import pytest

from stillflow.errors import StillflowError
from stillflow_bench.latency.target import open_target
from stillflow_bench.latency.targets.cold import SPLIT, ColdTarget

from .conftest import Spec


def test_a_process_comes_to_its_first_frame(spec: Spec) -> None:
    target = open_target(spec("cold", "B5.cold", {"cache": "empty"}, moving=0.5))
    began = time.monotonic_ns()
    answer = target.query(1)
    whole = time.monotonic_ns() - began
    assert set(answer.spans) == set(SPLIT)
    assert answer.spans["build-or-cache"] == 0
    assert all(taken > 0 for name, taken in answer.spans.items() if name != "build-or-cache")
    assert 0.5 * whole < sum(answer.spans.values()) < whole
    assert answer.digest is not None and len(answer.digest()) == 16
    notes = target.facts.notes
    assert notes["ran"]["engine"] == target.facts.engine == "onnxruntime"
    assert notes["moving_share"] == [None, pytest.approx(0.5, abs=0.08), None]
    target.close()
    target.close()


def test_a_process_that_fails_says_why(spec: Spec) -> None:
    target = open_target(spec("cold", "B5.cold"))
    assert isinstance(target, ColdTarget)
    target._subject = msgspec.structs.replace(target._subject, bundle="no-such-bundle")
    with pytest.raises(StillflowError, match="no-such-bundle"):
        target.query(0)
    target.close()


def test_there_are_two_kinds_of_caches(spec: Spec) -> None:
    with pytest.raises(StillflowError, match="cannot measure with the cache 'warm'"):
        open_target(spec("cold", "B5.cold", {"cache": "warm"}))
