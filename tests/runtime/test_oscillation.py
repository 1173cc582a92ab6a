# SPDX-License-Identifier: Apache-2.0
"""Oscillations close, know distances inside a shape, and never change too fast to fold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow import oscillation as osc
from stillflow.kernels.reference import sway_displacement


def blobs(seed: int, h: int = 40, w: int = 56) -> np.ndarray:
    """A random region with holes, thin parts and several pieces."""
    return osc.smooth_noise(np.random.default_rng(seed), h, w, 7) > 0.2


def steepest(field: np.ndarray) -> float:
    return max(float(np.abs(np.diff(field, axis=axis)).max()) for axis in (0, 1))


@given(hz=st.floats(0.05, 5), seconds=st.floats(0.5, 60), fps=st.integers(8, 60))
def test_periods_are_whole_near_the_frequency_and_shown_by_enough_frames(hz, seconds, fps):
    frames = max(1, round(seconds * fps))
    period = int(osc.whole_periods(np.array([hz], np.float32), seconds, frames)[0])
    assert period >= 1
    assert period == 1 or 3 * period <= frames
    if 1 <= hz * seconds <= frames // 3:
        assert abs(period - hz * seconds) <= 0.5001


def test_what_comes_to_the_same_period_is_added():
    coefficients = np.random.default_rng(0).normal(0, 1, (3, 4, 5, 4)).astype(np.float32)
    hz = np.array([0.25, 0.5, 2.0], np.float32)
    merged, periods = osc.in_loop(osc.Oscillation(coefficients, hz), 1.0, 30)
    assert periods.tolist() == [1, 2]
    assert np.allclose(merged[0], coefficients[0] + coefficients[1])
    assert np.allclose(sway_displacement(merged, 30, 30, periods), 0, atol=1e-4)


@given(seed=st.integers(0, 500), t=st.floats(0, 30))
def test_the_envelope_is_a_bound(seed, t):
    coefficients = np.random.default_rng(seed).normal(0, 1, (3, 5, 6, 4)).astype(np.float32)
    d = sway_displacement(coefficients, t, 30)
    assert (np.linalg.norm(d, axis=-1) <= osc.envelope(coefficients) + 1e-4).all()


def test_a_way_goes_round_a_wall():
    inside = np.ones((21, 21), np.bool_)
    inside[:18, 10] = False
    start = np.full((21, 21), osc.FAR, np.float32)
    start[0, 0] = 0
    d = osc.geodesic(start, inside, outside_cost=100)
    assert d[0, 9] == pytest.approx(9)
    # Down to row 18 on one side of the wall and up again on the other, with diagonal steps.
    assert 36 < d[0, 20] < 48


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), slope=st.floats(0.05, 0.5))
def test_a_cone_covers_its_values_and_is_never_steeper(seed, slope):
    values = np.maximum(osc.smooth_noise(np.random.default_rng(seed), 30, 30, 4), 0) * blobs(seed, 30, 30)
    covered = osc.cone(values, slope)
    assert (covered >= values - 1e-6).all()
    assert steepest(covered) <= slope * 1.01


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), slope=st.floats(0.1, 0.4), reach=st.floats(0, 6))
def test_held_amplitudes_obey_slope_reach_and_support(seed, slope, reach):
    region, over = blobs(seed), blobs(seed + 1) & ~blobs(seed)
    wanted = np.abs(osc.smooth_noise(np.random.default_rng(seed), 40, 56, 9)) * 2
    amplitude = osc.held(wanted, region, over, slope=slope, reach=reach)
    assert steepest(amplitude) <= slope * 1.1
    assert not amplitude[~region & ~over].any(), "what holds the region stands still"
    if region.any():
        assert not amplitude[osc.distance_to(region) > reach].any()


def test_sky_is_behind_whatever_the_order():
    classes = np.full((6, 8), 5, np.uint8)
    classes[:2], classes[4:] = 9, 0
    region = classes == 5
    over = osc.behind(region, classes, np.zeros((6, 8), np.uint8))
    assert over[:2].all()
    assert not over[2:].any()
    order = np.where(classes == 0, 0, 3).astype(np.uint8)
    assert osc.behind(region, classes, order)[4:].all(), "a wall behind the tree"


def test_spreading_keeps_what_is_inside():
    region = blobs(4)
    values = np.random.default_rng(0).normal(0, 1, (2, 40, 56, 4)).astype(np.float32)
    wide = osc.spread(values, region, 2.0)
    assert np.array_equal(wide[:, region], values[:, region])
    constant = osc.spread(np.ones_like(values), region, 2.0)
    assert np.allclose(constant[:, osc.distance_to(region) < 3], 1, atol=1e-3)
