# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any

from stillflow_bench.latency.plan import Load
from stillflow_bench.latency.scenarios.multi_stream import joint_latencies


def test_all_lanes_begin_together_and_the_next_when_all_are_done(loaded: Callable[..., Any]) -> None:
    driver, fake = loaded(Load("multi_stream", lanes=3), distribution="heavy-tail", cycle=30)
    samples = driver.measure(10, 0, 0)
    driver.close()
    joint = [list(group) for _, group in groupby(samples, lambda sample: sample.scheduled)]
    assert [[sample.lane for sample in together] for together in joint] == [[0, 1, 2]] * 10
    assert all(sample.issued == sample.scheduled for sample in samples)
    for before, after in zip(joint, joint[1:], strict=False):
        assert after[0].scheduled > max(sample.done for sample in before)
    assert sorted(sample.latency for sample in samples) == sorted(fake.delays.first(30))


def test_a_joint_query_lasts_as_long_as_its_slowest_lane(loaded: Callable[..., Any]) -> None:
    driver, fake = loaded(Load("multi_stream", lanes=2), distribution="drift", cycle=20)
    found = joint_latencies(driver.measure(10, 0, 0))
    driver.close()
    assert found == fake.delays.first(20)[1::2]  # the delays rise, so the second of two is the longer one


def test_lanes_ask_about_different_inputs(loaded: Callable[..., Any]) -> None:
    driver, _ = loaded(Load("multi_stream", lanes=4), inputs=8)
    samples = driver.measure(2, 0, 0)
    driver.close()
    assert sorted(sample.input for sample in samples) == list(range(8))
