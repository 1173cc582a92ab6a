# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from stillflow_bench.latency.plan import Load, Scenario


@pytest.mark.parametrize("scenario", ["single_stream", "sustained", "cold"])
def test_one_query_after_the_other(loaded: Callable[..., Any], scenario: Scenario) -> None:
    driver, _ = loaded(Load(scenario), milliseconds=2)
    samples = driver.measure(5, 0, 0)
    assert [sample.latency for sample in samples] == [2_000_000] * 5
    assert [sample.issued for sample in samples] == [2_000_000 * k for k in range(5)]
    assert {sample.scheduled for sample in samples} == {None}


def test_both_conditions_of_the_end_must_hold(loaded: Callable[..., Any]) -> None:
    driver, _ = loaded(Load(), milliseconds=10)
    assert len(driver.measure(3, 0.1, 0)) == 10
    assert len(driver.measure(30, 0.1, 1)) == 30


def test_hashes_show_that_outputs_vary_and_repeat(loaded: Callable[..., Any]) -> None:
    driver, _ = loaded(Load(), inputs=4)
    hashed = [(sample.input, sample.digest) for sample in driver.measure(16, 0, 0) if sample.digest]
    assert Counter(number for number, _ in hashed) == dict.fromkeys(range(4), 2)
    assert len(set(hashed)) == len({digest for _, digest in hashed}) == 4


def test_a_query_that_fails_is_a_sample_with_its_reason(loaded: Callable[..., Any]) -> None:
    driver, _ = loaded(Load(), errors=2, milliseconds=1)
    samples = driver.measure(4, 0, 0)
    assert [bool(sample.error) for sample in samples] == [False, True, False, True]
    assert "the fake failed" in samples[1].error
    assert (samples[1].latency, samples[1].digest, samples[1].spans) == (1_000_000, "", {})
