# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stillflow_bench.latency.plan import Load
from stillflow_bench.latency.scenarios.offline import throughput


def test_no_lane_rests(loaded: Callable[..., Any]) -> None:
    driver, _ = loaded(Load("offline", lanes=3), distribution="bimodal", milliseconds=1, cycle=50)
    samples = driver.measure(50, 0, 0)
    driver.close()
    for lane in range(3):
        own = [sample for sample in samples if sample.lane == lane]
        assert [later.issued for later in own[1:]] == [earlier.done for earlier in own[:-1]]
    ends = [max(sample.done for sample in samples if sample.lane == lane) for lane in range(3)]
    assert max(ends) - min(ends) <= 3_000_000  # the longest delay


def test_throughput_is_of_the_rounds_and_not_of_what_lies_between(loaded: Callable[..., Any]) -> None:
    driver, fake = loaded(Load("offline", lanes=2), milliseconds=4)
    samples = driver.measure(50, 0, 0)
    fake._clock.sleep_until(10**12)
    samples += driver.measure(50, 0, 1)
    driver.close()
    assert throughput(samples) == pytest.approx(2 / 0.004)


def test_only_the_last_query_of_a_lane_is_hashed(loaded: Callable[..., Any]) -> None:
    driver, _ = loaded(Load("offline", lanes=2, warm_up=2, audit=3))
    warm, measured, audit = driver.warm_up(), driver.measure(20, 0, 0), driver.audit()
    driver.close()
    assert all(sample.digest for sample in warm)
    assert [sample.digest != "" for sample in measured] == [False] * 18 + [True] * 2
    assert len({sample.digest for sample in audit if sample.digest}) == 1
