# SPDX-License-Identifier: Apache-2.0
"""The reference does what the formulas say: against loops over pixels, and by what must hold of any splat."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.errors import StillflowError
from stillflow.kernels import splat_reference as ref
from stillflow.kernels.splat_source import SplatSource, Window, share_at, symmetric_source

from .splats import hostile_displacement, naive_euler, naive_splat, random_displacement, random_source

seeds = st.integers(0, 100_000)
sides = st.integers(1, 14)
shares = st.sampled_from([0.0, 1.0]) | st.floats(0.001, 0.999)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, height=sides, width=sides, steps=st.integers(0, 9), speed=st.floats(0, 3))
def test_euler_follows_every_pixel(seed, height, width, steps, speed):
    velocity = np.random.default_rng(seed).uniform(-speed, speed, (height, width, 2)).astype(np.float32)
    assert np.array_equal(ref.euler(velocity, steps), naive_euler(velocity, steps))


def test_halves_are_rounded_to_even():
    velocity = np.zeros((1, 6, 2), np.float32)
    velocity[0, :, 0] = (0.5, 1, 0.5, 0.25, 0, 0)
    # 0 -> 0.5, read at 0 -> 1, read at 1 -> 2; 2 -> 2.5, read at 2 -> 3, read at 3 -> 3.25.
    assert ref.euler(velocity, 3)[0, [0, 2], 0].tolist() == [2.0, 1.25]


def test_what_left_the_picture_stays_out():
    # The way back leads inside again, but what left is gone.
    velocity = np.zeros((3, 5, 2), np.float32)
    velocity[:, 0, 0] = -0.25
    position, invalid = ref.euler_step(velocity, ref.grid(3, 5), np.zeros((3, 5), bool))
    assert invalid.tolist() == [[True, False, False, False, False]] * 3
    position, invalid = ref.euler_step(-velocity, position, invalid)
    assert invalid[:, 0].all() and np.array_equal(position, ref.grid(3, 5))
    assert (ref.thrown(ref.displacement_of(position), invalid)[:, 0] == 6).all()


def test_velocities_that_are_no_numbers_throw_out():
    velocity = np.zeros((4, 4, 2), np.float32)
    velocity[1, 2], velocity[2, 2] = np.nan, (np.inf, 0)
    displacement = ref.euler(velocity, 3)
    assert (displacement[[1, 2], [2, 2]] == 5).all()
    assert np.count_nonzero(displacement) == 4


@settings(max_examples=40, deadline=None)
@given(seed=seeds, height=sides, width=sides, share=shares, hostile=st.booleans())
def test_it_agrees_with_a_loop_over_pixels(seed, height, width, share, hostile):
    rng = np.random.default_rng(seed)
    source = random_source(rng, height, width)
    make = hostile_displacement if hostile else random_displacement
    forward, backward = make(rng, height, width), make(rng, height, width)
    sums = naive_splat(source, [(forward, share), (backward, 1 - share)])
    warped, landed = ref.symmetric_splat(source, forward, backward, share)
    for y in range(height):
        for x in range(width):
            s = sums.get((y, x), np.zeros(6))
            assert np.allclose(warped[:, y, x], s[:-1] / max(s[-1], 1e-8), rtol=1e-5, atol=2e-6)
            if s[-1] > 1e-30 or not hostile:
                assert landed[y, x] == (s[-1] > 0)
            else:  # beside a displacement of 1e-45 the formula's rounding decides
                assert np.abs(warped[:, y, x]).max() < 1e-30


@settings(max_examples=30, deadline=None)
@given(seed=seeds, height=st.integers(8, 20), width=st.integers(8, 20))
def test_nothing_is_lost_inside(seed, height, width):
    rng = np.random.default_rng(seed)
    source = random_source(rng, height, width)
    d = random_displacement(rng, height, width, 20)
    y, x = np.mgrid[0:height, 0:width]
    d[..., 0] = np.clip(d[..., 0], -x, width - 1 - x)
    d[..., 1] = np.clip(d[..., 1], -y, height - 1 - y)
    before = source.values.sum((0, 1), dtype=np.float64)
    after = ref.splat(source, d, 0.25).sum((0, 1), dtype=np.float64)
    assert np.allclose(after, before / 4, rtol=1e-5, atol=1e-4)


@given(seed=seeds, share=shares)
@settings(max_examples=15, deadline=None)
def test_standing_still_gives_the_features_back(seed, share):
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((4, 9, 7)).astype(np.float32)
    source = symmetric_source(features, rng.uniform(-15, 3, (9, 7)).astype(np.float32))
    still = np.zeros((9, 7, 2), np.float32)
    warped, landed = ref.symmetric_splat(source, still, still, share)
    assert np.abs(warped - features).max() <= 2e-6 and landed.all()


@given(seed=seeds, dx=st.integers(-9, 9), dy=st.integers(-9, 9))
@settings(max_examples=25, deadline=None)
def test_whole_numbers_shift(seed, dx, dy):
    source = random_source(np.random.default_rng(seed), 8, 9)
    sums = ref.splat(source, np.full((8, 9, 2), (dx, dy), np.float32))
    expected = np.zeros_like(sums)
    ys, xs = slice(max(dy, 0), min(8, 8 + dy)), slice(max(dx, 0), min(9, 9 + dx))
    if abs(dy) < 8 and abs(dx) < 9:
        expected[ys, xs] = source.values[max(-dy, 0) : min(8, 8 - dy), max(-dx, 0) : min(9, 9 - dx)]
    assert np.array_equal(sums, expected)


@given(seed=seeds, data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_window_is_a_crop_of_the_whole(seed, data):
    rng = np.random.default_rng(seed)
    source = random_source(rng, 11, 13)
    f, b = hostile_displacement(rng, 11, 13), random_displacement(rng, 11, 13)
    y0, x0 = data.draw(st.integers(0, 10)), data.draw(st.integers(0, 12))
    window = Window(y0, data.draw(st.integers(y0 + 1, 11)), x0, data.draw(st.integers(x0 + 1, 13)))
    whole, landed = ref.symmetric_splat(source, f, b, 0.3)
    part, part_landed = ref.symmetric_splat(source, f, b, 0.3, window)
    assert np.array_equal(part, whole[:, window.y0 : window.y1, window.x0 : window.x1])
    assert np.array_equal(part_landed, landed[window.y0 : window.y1, window.x0 : window.x1])


def test_a_part_is_thrown_as_it_is_within_the_whole():
    rng = np.random.default_rng(5)
    source, d = random_source(rng, 40, 12), random_displacement(rng, 40, 12)
    d[:3], d[-4:], d[:, :2], d[:, -1:] = 100, 100, 100, 100
    part = SplatSource(np.ascontiguousarray(source.values[3:-4, 2:-1]), source.ends, (40, 12), (3, 2))
    assert np.array_equal(ref.splat(source, d), ref.splat(part, np.ascontiguousarray(d[3:-4, 2:-1])))


def test_two_shares_make_one_loop():
    assert [share_at(t, 60) for t in (0, 15, 60)] == [1, 0.75, 0]
    assert [share_at(t, 60, 1 / 600) for t in (0, 60)] == [1 - 1 / 600, 1 / 600]


def test_without_weights_the_sums_come_out():
    values = np.ones((3, 4, 2), np.float32)
    source = SplatSource(values, (), (3, 4))
    d = np.full((3, 4, 2), (1, 0), np.float32)
    warped, landed = ref.symmetric_splat(source, d, d, 0.25)
    assert np.array_equal(warped, np.stack([landed, landed])) and landed[:, 0].sum() == 0


@pytest.mark.parametrize("window", [(0, 0, 0, 4), (-1, 2, 0, 4), (0, 4, 0, 4), (0, 3, 2, 5), (2, 1, 0, 4)])
def test_windows_outside_are_refused(window):
    source = SplatSource(np.ones((3, 4, 2), np.float32), (1,), (3, 4))
    with pytest.raises(StillflowError, match="window"):
        ref.splat(source, np.zeros((3, 4, 2), np.float32), 1.0, Window(*window))


def test_displacements_of_another_size_are_refused():
    source = SplatSource(np.ones((3, 4, 2), np.float32), (1,), (3, 4))
    for bad in (np.zeros((4, 3, 2), np.float32), np.zeros((3, 4, 2))):
        with pytest.raises(StillflowError, match="displacement"):
            ref.splat(source, bad)
