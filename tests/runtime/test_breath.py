# SPDX-License-Identifier: Apache-2.0
"""Breath lifts chests, lets heads follow, and leaves hips and small figures alone."""

from __future__ import annotations

import cv2
import numpy as np

from stillflow.breath import breathing, shoulders

HZ = np.array([0.25, 0.5, 0.75], np.float32)


def standing(h=120, w=90):
    """A person from head to foot."""
    figure = np.zeros((h, w), np.uint8)
    cv2.circle(figure, (45, 18), 7, 1, -1)
    cv2.rectangle(figure, (43, 22), (47, 28), 1, -1)
    cv2.rectangle(figure, (33, 28), (57, 70), 1, -1)
    cv2.rectangle(figure, (36, 70), (54, 112), 1, -1)
    return figure > 0


def amplitude(figure, upright=True, seed=0):
    c = breathing(np.random.default_rng(seed), figure, HZ, upright=upright)
    return np.sqrt((c**2).sum((0, 3)))


def test_shoulders_are_found_below_the_head():
    top, row, middle, wide = shoulders(standing())
    assert top == 11
    assert 24 <= row <= 34
    assert abs(middle - 45) < 2
    assert 18 < wide < 28


def test_a_hats_brim_is_no_shoulder():
    figure = standing().astype(np.uint8)
    cv2.rectangle(figure, (30, 12), (60, 15), 1, -1)
    _, row, _, _ = shoulders(figure > 0)
    assert row > 22


def test_without_a_neck_shoulders_lie_as_far_down_as_they_are_wide():
    cloak = np.zeros((100, 80), np.uint8)
    cv2.fillPoly(cloak, [np.array([[40, 10], [65, 90], [15, 90]])], 1)
    top, row, middle, _ = shoulders(cloak > 0)
    assert 0.2 * 80 <= row - top <= 0.6 * 80
    assert abs(middle - 40) < 2


def test_the_chest_moves_most_the_head_less_the_legs_not_at_all():
    a = amplitude(standing())
    chest, head, legs = a[34:42, 42:48].mean(), a[12:18, 43:47].mean(), a[85:110, 40:50].max()
    assert chest > head > 0.2 * chest
    assert legs < 0.02 * chest


def test_flanks_move_apart():
    c = breathing(np.random.default_rng(1), standing(), HZ, upright=True)
    left, right = c[0, 38, 35, [0, 2]], c[0, 38, 55, [0, 2]]
    assert float(left @ right) < 0


def test_small_figures_do_not_breathe():
    small = np.zeros((120, 200), np.bool_)
    small[50:58, 100:103] = True
    assert not amplitude(small).any()


def test_an_animals_bulk_moves_and_its_tail_does_not():
    animal = np.zeros((80, 120), np.uint8)
    cv2.ellipse(animal, (50, 40), (26, 16), 0, 0, 360, 1, -1)
    cv2.rectangle(animal, (76, 38), (115, 40), 1, -1)
    a = amplitude(animal > 0, upright=False)
    assert a[28:52, 40:60].mean() > 5 * a[38:41, 108:115].mean()


def test_an_animal_that_fills_the_picture_breathes():
    whole = amplitude(np.ones((60, 80), np.bool_), upright=False)
    assert np.isfinite(whole).all()
    assert whole.max() > 0
