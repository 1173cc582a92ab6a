# SPDX-License-Identifier: Apache-2.0
"""The reference obeys the physics and the promises of a loop, on analytic fields and random scenes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.kernels import reference as ref

from ..scenes import random_arrays


def whole_frame(arrays, t):
    out = np.empty_like(arrays.photo)
    ref.compose(arrays, ref.fields(arrays, t), 0, arrays.height, out)
    return out


@given(time=st.floats(-60, 60), vx=st.floats(-1, 1), vy=st.floats(-1, 1))
def test_trace_of_a_uniform_field_is_a_straight_line(time, vx, vy):
    velocity = np.full((8, 10, 2), (vx, vy), np.float32)
    assert np.allclose(ref.trace(velocity, time), np.array([vx, vy]) * time, atol=1e-3)


def test_trace_of_a_vortex_stays_on_its_circle():
    # 60 frames of a solid rotation by one turn in 240 frames: the truth is a quarter turn.
    h = w = 81
    y, x = np.mgrid[0:h, 0:w].astype(np.float32) - 40
    omega = 2 * np.pi / 240
    velocity = np.stack([-omega * y, omega * x], -1).astype(np.float32)
    d = ref.trace(velocity, 60)
    radius = np.hypot(x, y)
    error = np.hypot(x + d[..., 0] + y, y + d[..., 1] - x)[radius < 25]
    assert error.mean() < 0.1, "mean error in field pixels after a quarter turn"


def test_trace_there_and_back_is_nothing():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:40, 0:50].astype(np.float32)
    velocity = np.stack([0.3 * np.sin(y / 9), 0.3 * np.cos(x / 7)], -1).astype(np.float32) + 0 * rng.random()
    there = ref.trace(velocity, 20)
    back = ref.lookup(ref.trace(velocity, -20), x + there[..., 0], y + there[..., 1])
    inner = np.s_[10:-10, 10:-10]
    assert np.abs(there + back)[inner].max() < 0.2


def test_box_mean_equals_the_plain_mean():
    field = np.random.default_rng(1).random((12, 15)).astype(np.float32)
    assert ref.box_mean(field, 2)[5, 6] == pytest.approx(field[3:8, 4:9].mean(), rel=1e-5)


@given(f=st.floats(0, 1, exclude_max=True))
def test_cubic_weights_sum_to_one(f):
    assert sum(float(w) for w in ref.cubic_weights(np.float32(f))) == pytest.approx(1, abs=1e-5)


def test_cubic_weights_are_symmetric():
    forward, backward = ref.cubic_weights(np.float32(0.3)), ref.cubic_weights(np.float32(0.7))
    assert np.allclose(forward, backward[::-1], atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1000),
    height=st.integers(16, 41),
    width=st.integers(16, 45),
    harmonics=st.integers(0, 2),
    lights=st.integers(0, 3),
)
def test_frame_zero_is_the_photo_and_the_loop_closes(seed, height, width, harmonics, lights):
    rng = np.random.default_rng(seed)
    arrays = random_arrays(rng, height, width, harmonics=harmonics, lights=lights, blend=seed % 2 == 0)
    assert np.array_equal(whole_frame(arrays, 0), arrays.photo)
    closed = whole_frame(arrays, arrays.frames)
    # Sine and cosine of whole turns are not exact in floating point: sway may round to the next level.
    assert np.abs(closed.astype(int) - arrays.photo).max() <= 1


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), t=st.floats(0, 90))
def test_what_the_matte_leaves_out_is_the_photo(seed, t):
    arrays = random_arrays(np.random.default_rng(seed), 33, 37, harmonics=1, blend=True)
    still = arrays.matte == 0
    assert np.array_equal(whole_frame(arrays, t)[still], arrays.photo[still])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), t=st.floats(0, 90))
def test_light_multiplies_all_channels_alike(seed, t):
    arrays = random_arrays(np.random.default_rng(seed), 33, 37, harmonics=0, lights=2, blend=False)
    gray = np.repeat(arrays.photo[..., :1], 3, axis=2)
    where = np.ones_like(arrays.matte)
    lit = type(arrays)(**(vars(arrays) | {"photo": gray, "plate": gray[::-1].copy(), "matte": where}))
    frame = whole_frame(lit, t)
    assert np.array_equal(frame[..., 0], frame[..., 1])
    assert np.array_equal(frame[..., 0], frame[..., 2])
    factor = ref.brightness(lit.light, t, lit.frames, lit.light_periods)
    y, x = np.mgrid[0:33, 0:37].astype(np.float32)
    factor = ref.lookup(factor, (x - 1.5) / 4, (y - 1.5) / 4)
    expected = np.clip(np.rint(gray[..., 0] * factor), 0, 255)
    assert np.array_equal(frame[..., 0], expected.astype(np.uint8)), (
        "a matte of 1 shows the photo under the light"
    )


def test_rows_are_independent():
    arrays = random_arrays(np.random.default_rng(5), 40, 44, harmonics=1, blend=False)
    planes = ref.fields(arrays, 7.3)
    whole, parts = np.zeros_like(arrays.photo), np.zeros_like(arrays.photo)
    ref.compose(arrays, planes, 0, 40, whole)
    for y0 in range(0, 40, 7):
        ref.compose(arrays, planes, y0, min(40, y0 + 7), parts)
    assert np.array_equal(whole, parts)


def test_a_source_in_another_layer_counts_for_nothing():
    arrays = random_arrays(np.random.default_rng(2), 128, 64, harmonics=0, blend=False)
    flow = np.ones_like(arrays.flow)
    flow[:8] = 2
    velocity = np.zeros_like(arrays.velocity)
    velocity[..., 1] = 1
    changed = {"flow": flow, "velocity": velocity, "inside": np.ones_like(arrays.inside), "frames": 16}
    arrays = type(arrays)(**(vars(arrays) | changed | {"cycles": np.ones_like(arrays.cycles)}))
    # Half way the sample in row 9 traces back to row 1 (layer 2) and forward to row 15 (its own).
    weight = ref.fields(arrays, 8)[ref.PLANES.index("weight")]
    assert weight[9, 8] < 0.05
    # Row 20 finds its own layer both ways.
    assert weight[20, 8] == pytest.approx(0.5, abs=0.01)
