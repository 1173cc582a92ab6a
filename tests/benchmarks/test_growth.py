# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow_bench.growth import FEWEST, growth, warm_up

DONE = tuple(range(5, 1001, 5))
"""A soak of 1,000 photos with 200 samples."""

MB, KB = 1e6, 1e3


def remembering(rng: np.random.Generator, size: int, r: float) -> np.ndarray:
    """Noise of which each value says a share r of the next, with a deviation of 1."""
    out = rng.normal(size=size)
    for k in range(1, size):
        out[k] = r * out[k - 1] + math.sqrt(1 - r * r) * out[k]
    return out


@given(slope=st.floats(-1e4, 1e4), start=st.floats(-1e6, 1e6), seed=st.integers(0, 1000))
def test_a_line_is_found_whatever_a_fifth_of_its_samples_says(slope: float, start: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = start + slope * np.array(DONE)
    values[rng.choice(len(values), len(values) // 5, replace=False)] += rng.uniform(0, 1e9)
    found = growth(DONE, values, limit=0)
    assert found.slope == pytest.approx(slope, rel=1e-6, abs=1e-3)
    assert found.start == pytest.approx(start, rel=1e-6, abs=1e-3 * (1 + abs(slope)))


@pytest.mark.parametrize(("r", "least"), [(0.0, 96), (0.5, 95), (0.8, 92)])
def test_the_interval_holds_the_slope_with_noise_that_remembers_too(r: float, least: int) -> None:
    inside = 0
    for seed in range(100):
        noise = 2 * MB * remembering(np.random.default_rng(seed), len(DONE), r)
        found = growth(DONE, 5 * KB * np.array(DONE) + noise, limit=0)
        inside += found.low <= 5 * KB <= found.high
    assert inside >= least


@pytest.mark.parametrize("seed", range(20))
def test_a_leak_of_20_kb_a_photo_is_found_and_noise_is_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # A warm-up of 40 MB, then noise of 1 MB with memory.
    calm = 80 * MB + 40 * MB * (1 - np.exp(-np.array(DONE) / 60)) + 1 * MB * remembering(rng, len(DONE), 0.5)
    assert growth(DONE, calm, limit=8 * KB).verdict == "steady"
    assert growth(DONE, calm + 20 * KB * np.array(DONE), limit=8 * KB).verdict == "grows"


@pytest.mark.parametrize("at", [300, 500, 625, 900])
def test_one_step_is_no_growth(at: int) -> None:
    noise = np.random.default_rng(at).normal(0, 50 * KB, len(DONE))
    values = np.where(np.array(DONE) < at, 80 * MB, 120 * MB) + noise
    assert growth(DONE, values, limit=8 * KB).verdict != "grows"


def test_what_counts_in_ones_is_judged_too() -> None:
    assert growth(DONE, [7.0] * len(DONE), limit=0.02).verdict == "steady"
    assert growth(DONE, [7.0 + done // 20 for done in DONE], limit=0.02).verdict == "grows"


def test_too_few_samples_say_nothing() -> None:
    values = [float(k) for k in range(FEWEST)]
    found = growth(range(FEWEST), values, limit=0.5)
    assert (found.slope, found.low, found.high) == (1.0, -math.inf, math.inf)
    assert found.verdict == "cannot tell"
    whole = 2 * FEWEST
    assert growth(range(whole), [float(k) for k in range(whole)], limit=0.5).verdict == "grows"


def test_the_warm_up_is_a_quarter_and_never_judged() -> None:
    assert [warm_up(n) for n in (0, 1, 4, 5, 200)] == [0, 1, 1, 2, 50]
    values = np.r_[np.linspace(0, 1000, 50), np.full(150, 7.0)]
    assert growth(DONE, values, limit=1).slope == 0
    with pytest.raises(ValueError, match="two samples"):
        growth([1, 2], [1.0, 2.0], limit=0)
