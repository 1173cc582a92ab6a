# SPDX-License-Identifier: Apache-2.0
"""Sway is anchored, small, closes, never folds and follows its seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.kernels.reference import sway_displacement
from stillflow.motion import CLASS_NAMES
from stillflow.oscillation import in_loop, smooth_noise
from stillflow.sway import HZ, draw_wind, heights, predict_sway

from .scenes import textured

STATIC, FOLIAGE, PERSON, ANIMAL, CLOTH, SKY = 0, 5, 6, 7, 8, 9


def tree(h=60, w=80):
    """A tree on the ground before the sky: (classes, order) at field size."""
    classes = np.full((h, w), SKY, np.uint8)
    classes[50:] = STATIC
    y, x = np.mgrid[0:h, 0:w]
    classes[(np.hypot(x - 40, y - 24) < 16) | ((abs(x - 40) < 3) & (y > 30) & (y < 50))] = FOLIAGE
    return classes, np.choose(classes, [1, 1, 1, 1, 1, 2, 2, 2, 2, 0]).astype(np.uint8)


def drawn(classes, order, **keywords):
    h, w = classes.shape
    moves = np.isin(classes, (FOLIAGE, PERSON, ANIMAL, CLOTH)).astype(np.float32)
    return predict_sway(textured(4 * h, 4 * w), moves, classes, order, **keywords)


def movement(sway, times=24):
    """(n, h, w, 2) displacements over a loop of 4 s, field samples."""
    coefficients, periods = in_loop(sway, 4.0, 120)
    w = coefficients.shape[2]
    return np.stack(
        [sway_displacement(coefficients, t, 120, periods) * w for t in np.arange(times) * 120 / times]
    )


def test_stems_stand_and_tips_move():
    d = np.abs(movement(drawn(*tree(), seed=2))).max((0, 3))
    crown, stem = d[12:20, 30:50].mean(), d[44:49, 38:43].mean()
    assert crown > 0.3, "of four pixels"
    assert stem < crown / 4
    assert not d[51:].any(), "the ground"


def test_the_outline_moves_before_the_sky_and_the_sky_far_off_does_not():
    d = np.abs(movement(drawn(*tree(), seed=2))).max((0, 3))
    assert d[9, 40] > 0.1, "the topmost leaves"
    assert not d[:, :12].any()


def test_what_stands_in_front_holds_what_sways():
    classes, order = tree()
    classes[:, 44:] = STATIC
    order[:, 44:] = 3
    d = np.abs(movement(drawn(classes, order, seed=2))).max((0, 3))
    assert not d[:, 44:].any()
    assert d[20, 42] < d[20, 30]


def test_what_the_user_keeps_still_is_not_bent_along():
    classes, order = tree()
    allowed = np.ones(classes.shape, np.float32)
    allowed[:12] = 0
    d = np.abs(movement(drawn(classes, order, seed=2, allowed=allowed))).max((0, 3))
    assert not d[:12].any()
    free = np.abs(movement(drawn(classes, order, seed=2))).max((0, 3))
    assert free[9:12].any()
    assert d[13, 40] < free[13, 40]
    assert d[24, 40] > 0


def test_whole_periods_close():
    coefficients, periods = in_loop(drawn(*tree()), 3.0, 60)
    assert coefficients.any()
    assert not sway_displacement(coefficients, 0, 60, periods).any()
    assert np.abs(sway_displacement(coefficients, 60, 60, periods)).max() < 1e-7


def test_neighbours_move_together_and_a_gust_travels():
    classes = np.full((60, 200), FOLIAGE, np.uint8)
    classes[50:] = STATIC
    sway = drawn(classes, np.where(classes == STATIC, 2, 1).astype(np.uint8), seed=1)
    d = movement(sway)[:, 25, :, 0]
    near = np.corrcoef(d[:, 100], d[:, 103])[0, 1]
    assert near > 0.9
    wind = draw_wind(np.random.default_rng((1, 0)), 58, 192)
    k = 0
    phase = np.unwrap(np.arctan2(sway.coefficients[k, 25, ::10, 2], sway.coefficients[k, 25, ::10, 0]))
    assert (phase[-3] - phase[2]) * wind.direction[0] > 0, "later where the wind comes later"


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    strength=st.floats(0.2, 3),
    classes=st.lists(st.integers(0, len(CLASS_NAMES) - 1), min_size=2, max_size=4, unique=True),
)
def test_nothing_folds(seed, strength, classes):
    rng = np.random.default_rng(seed)
    noise = np.stack([smooth_noise(rng, 48, 64, 9) for _ in classes])
    labels = np.array(classes, np.uint8)[noise.argmax(0)]
    order = rng.permutation(10)[labels].astype(np.uint8)
    sway = drawn(labels, order, strength=strength, seed=seed)
    if sway.coefficients.shape[0]:
        d = movement(sway, times=17)
        for axis in (1, 2):
            assert np.linalg.norm(np.diff(d, axis=axis), axis=-1).max() < 0.5


def test_a_chest_moves_less_than_one_percent_of_the_person():
    classes = np.zeros((60, 80), np.uint8)
    classes[10:60, 25:55] = PERSON
    classes[10:24, 25:33] = classes[10:24, 47:55] = STATIC
    for seed in range(6):
        d = movement(drawn(classes, (classes > 0).astype(np.uint8), seed=seed))
        span = (d.max(0) - d.min(0)).max()
        assert 0.05 < span < 0.01 * 50, "of 50 samples height"


def test_strength_scales_and_the_seed_decides():
    classes, order = tree()
    one = drawn(classes, order, seed=4)
    assert np.array_equal(one.coefficients, drawn(classes, order, seed=4).coefficients)
    assert not np.array_equal(one.coefficients, drawn(classes, order, seed=5).coefficients)
    weak = drawn(classes, order, seed=4, strength=0.3)
    assert np.abs(weak.coefficients).max() < 0.6 * np.abs(one.coefficients).max()


def test_nothing_sways_nothing_comes():
    classes, order = tree()
    assert drawn(np.where(classes == FOLIAGE, 1, classes).astype(np.uint8), order).coefficients.shape[0] == 0
    assert drawn(classes, order, strength=0).coefficients.shape[0] == 0


@pytest.mark.parametrize("shape", [(4, 4), (5, 90), (300, 420)])
def test_any_size_is_drawn(shape):
    classes = np.full(shape, FOLIAGE, np.uint8)
    sway = drawn(classes, np.zeros(shape, np.uint8))
    assert sway.coefficients.shape == (HZ.size, *shape, 4)
    assert np.isfinite(sway.coefficients).all()


def test_a_bush_that_nothing_holds_stands_on_its_foot():
    region = np.zeros((40, 40), np.bool_)
    region[10:30, 10:30] = True
    height, whole = heights(region, ~region)
    assert height[29, 20] == 0
    assert height[11, 20] == pytest.approx(18 / 40, abs=0.03)
    assert whole[20, 20] > 0.4
