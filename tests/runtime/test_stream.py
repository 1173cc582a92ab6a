# SPDX-License-Identifier: Apache-2.0
"""A stream rises from its lip, sinks to its foot, and passes behind what is nearer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow import stream


def column(h: int = 80, w: int = 60, *, vx: float = 0.0, vy: float = 0.2):
    """Water in rows 10..59 and columns 20..39 of a cliff that is behind it."""
    layers = np.zeros((h, w), np.uint8)
    layers[10:60, 20:40] = 1
    velocity = np.zeros((h, w, 2), np.float32)
    velocity[...] = vx, vy
    return velocity, layers, layers.copy()


def test_the_way_from_the_lip_and_to_the_foot_is_measured_along_the_stream():
    course = stream.follow(*column())
    assert course.up[30, 30] == pytest.approx(20, abs=1.5)
    assert course.down[30, 30] == pytest.approx(30, abs=1.5)
    inside = np.s_[12:58, 22:38]
    assert course.lip[inside].all()
    assert course.foot[inside].all()
    assert not course.lip[0].any()


def test_speed_rises_from_the_lip_and_sinks_to_the_foot():
    factor = stream.settle(stream.follow(*column()), np.full((80, 60), 8, np.float32))
    profile = factor[10:60, 30]
    assert profile[0] < 0.55
    assert profile[-1] < 0.65
    assert profile[20:30].min() > 0.95
    assert (np.diff(profile[:12]) > -1e-4).all()


def test_a_trace_over_a_whole_cycle_stays_in_the_fall():
    """A constant speed would carry what is within 8 samples of the lip in from the outside."""
    course = stream.follow(*column())
    speed = stream.settle(course, np.full((80, 60), 8, np.float32))[:, 30] * 8
    for start in range(20, 58):
        y = float(start)
        for _ in range(100):
            y -= 0.01 * float(np.interp(y, np.arange(80), speed))
        assert y > 10


def test_streams_go_on_beyond_the_border_and_behind_what_is_nearer():
    velocity, layers, order = column(vx=0.2, vy=0.0)
    assert stream.follow(velocity, layers, order).lip[30, 30]
    order[:, :20] = 2
    course = stream.follow(velocity, layers, order)
    assert not course.lip[30, 30], "it comes from behind a nearer thing"
    assert course.foot[30, 30]
    layers[:, :40] = 1
    course = stream.follow(velocity, layers, layers.copy())
    assert not course.lip[30, 5], "it comes from beyond the border"


def test_what_falls_ends_in_the_picture_whatever_the_order_says():
    velocity, layers, order = column()
    course = stream.follow(velocity, layers, np.where(layers > 0, order, 3).astype(np.uint8))
    assert course.lip[30, 30]
    assert course.foot[30, 30]
    slow = stream.follow(velocity * 0.1, layers, np.where(layers > 0, order, 3).astype(np.uint8))
    assert not slow.lip.any(), "waves that come towards the viewer from behind something"


def test_only_what_lies_just_below_a_lip_is_doubted():
    trust = stream.doubt(stream.follow(*column()))
    assert trust[10, 30] < 0.9
    assert trust[20, 30] == 1
    assert trust[5, 5] == 1


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), h=st.integers(2, 30), w=st.integers(2, 30))
def test_any_field_gives_a_factor_above_zero_and_at_most_one(seed, h, w):
    rng = np.random.default_rng(seed)
    velocity = rng.normal(0, 0.1, (h, w, 2)).astype(np.float32) * (rng.random((h, w, 1)) < 0.8)
    layers = rng.integers(0, 3, (h, w), np.uint8)
    course = stream.follow(velocity.astype(np.float32), layers, rng.integers(0, 4, (h, w), np.uint8))
    assert course.up.max() <= 2**stream.DOUBLINGS + 1e-3
    factor = stream.settle(course, rng.uniform(0, 40, (h, w)).astype(np.float32))
    assert np.isfinite(factor).all()
    assert factor.min() > 0
    assert factor.max() <= 1 + 1e-5
