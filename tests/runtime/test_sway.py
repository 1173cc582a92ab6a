# SPDX-License-Identifier: Apache-2.0
"""Sway is anchored, small, closes and follows its seed."""

from __future__ import annotations

import numpy as np

from stillflow.kernels.reference import sway_displacement
from stillflow.sway import AMPLITUDE, sway_coefficients


def tree(value=5):
    matte = np.zeros((60, 80), np.float32)
    matte[10:50, 20:70] = 1
    return matte, (matte * value).astype(np.uint8)


def test_it_is_zero_outside_and_at_the_edge():
    matte, classes = tree()
    sway = sway_coefficients(matte, classes)
    assert sway.any()
    assert not sway[:, matte == 0].any()
    inner, edge = np.abs(sway[:, 25:35, 40:50]).mean(), np.abs(sway[:, 10, 20:70]).mean()
    assert edge < inner


def test_whole_periods_close():
    sway = sway_coefficients(*tree())
    assert not sway_displacement(sway, 0, 60).any()
    assert np.abs(sway_displacement(sway, 60, 60)).max() < 1e-7


def test_a_chest_moves_less_than_one_percent():
    sway = sway_coefficients(*tree(6), strength=1.0, seed=3)
    largest = max(float(np.abs(sway_displacement(sway, t, 60)).max()) for t in range(0, 60, 5))
    assert 0 < largest < 0.01 * 50 / 80 * 4, "in picture widths; the person is 50 of 80 samples"
    assert AMPLITUDE[6] < AMPLITUDE[5]


def test_the_seed_decides():
    matte, classes = tree()
    assert np.array_equal(
        sway_coefficients(matte, classes, seed=4), sway_coefficients(matte, classes, seed=4)
    )
    assert not np.array_equal(
        sway_coefficients(matte, classes, seed=4), sway_coefficients(matte, classes, seed=5)
    )


def test_nothing_sways_nothing_comes():
    matte, classes = tree(1)
    assert sway_coefficients(matte, classes).shape[0] == 0
    assert sway_coefficients(*tree(), strength=0).shape[0] == 0
