# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gc
import sys

import numpy as np
import pytest

from stillflow.sessions.session import TensorSpec, fitting
from stillflow_bench.guard import interpreter
from stillflow_bench.guard.baseline import compared, failures, read_baseline
from stillflow_bench.guard.counts import Counted
from stillflow_bench.guard.suite import BASELINE

SPECS = [TensorSpec("photo", "float32", (1, "height"))]
GIVEN = {"photo": np.zeros((1, 2), np.float32)}


def work() -> None:
    fitting(SPECS, GIVEN, "flow")


@pytest.fixture(scope="module")
def counted() -> Counted:
    return interpreter.count()


def test_two_runs_agree(counted: Counted) -> None:
    assert counted.differing == {}


def test_this_tree_costs_what_was_accepted(counted: Counted) -> None:
    accepted = read_baseline(BASELINE)
    if counted.environment not in accepted:
        pytest.skip(f"no counts are accepted for {counted.environment}")
    assert [line.sentence for line in failures(compared([counted], accepted))] == []


def test_a_frame_into_a_given_array_takes_no_frames_memory_and_keeps_none(counted: Counted) -> None:
    assert counted.counts["a new frame: pages at the peak"] >= 256 * 144 * 3 / interpreter.PAGE
    assert counted.counts["a frame into a given array: pages at the peak"] <= 3
    assert not any(value for name, value in counted.counts.items() if name.endswith("blocks kept"))


def test_more_work_counts_more_and_what_is_not_ours_counts_nothing() -> None:
    once = interpreter.costs(work)
    twice = interpreter.costs(lambda: (work(), work()))
    assert once["bytecodes"] > 20
    assert once["calls"] >= 1
    assert (twice["bytecodes"], twice["calls"]) == (2 * once["bytecodes"], 2 * once["calls"])
    assert interpreter.costs(lambda: sorted(range(9)))["bytecodes"] == 0


def test_what_is_kept_and_the_peak_are_seen() -> None:
    kept: list[object] = []
    assert interpreter.costs(lambda: kept.append([object() for _ in range(3)]))["blocks kept"] >= 3
    assert 25 <= interpreter.costs(lambda: bytes(25 * interpreter.PAGE))["pages at the peak"] <= 26


def test_the_tracing_of_others_goes_on() -> None:
    def other(frame, event, argument):
        return None

    before = sys.gettrace(), sys.getprofile()
    sys.settrace(other)
    sys.setprofile(other)
    try:
        interpreter.costs(work)
        found = sys.gettrace(), sys.getprofile()
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
    assert found == (other, other)
    assert gc.get_freeze_count() == 0
