# SPDX-License-Identifier: Apache-2.0
"""Continuing a layer keeps what is known and invents nothing from the background."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow import layer

from .scenes import textured


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), h=st.integers(1, 40), w=st.integers(1, 40))
def test_push_pull_keeps_known_values_and_stays_in_their_range(seed, h, w):
    rng = np.random.default_rng(seed)
    values = rng.uniform(3, 7, (h, w, 2)).astype(np.float32)
    known = (rng.random((h, w)) < 0.3).astype(np.float32)
    filled = layer.push_pull(values, known)
    assert np.allclose(filled[known > 0], values[known > 0], atol=1e-4)
    if known.any():
        assert filled.min() >= 3 - 1e-2
        assert filled.max() <= 7 + 1e-2


def test_push_pull_of_nothing_is_zero():
    assert not layer.push_pull(np.ones((9, 9, 1), np.float32), np.zeros((9, 9), np.float32)).any()


def test_classes_do_not_leak_into_each_other():
    values = np.zeros((20, 20, 1), np.float32)
    values[:5], values[15:] = 10, 50
    known = np.zeros((20, 20), np.float32)
    known[:5] = known[15:] = 1
    classes = np.zeros((20, 20), np.uint8)
    classes[:5], classes[15:] = 2, 1
    owner = layer.owners(classes, known, np.ones((20, 20), np.float32))
    filled = layer.continue_values(values, known, classes, owner)[..., 0]
    assert np.allclose(filled[:9], 10, atol=1e-3)
    assert np.allclose(filled[11:], 50, atol=1e-3)


def test_the_faster_layer_reaches_further():
    known = np.zeros((20, 20), np.float32)
    known[:5] = known[15:] = 1
    classes = np.zeros((20, 20), np.uint8)
    classes[:5], classes[15:] = 2, 1
    owner = layer.owners(classes, known, np.where(classes == 1, 4.0, 1.0).astype(np.float32))
    assert (owner[9:] == 1).all()
    assert (owner[:6] == 2).all()


def test_nearest_owner_spreads_labels():
    labels = np.zeros((5, 9), np.int32)
    labels[2, 0], labels[2, 8] = 3, 7
    owner = layer.nearest_owner(labels)
    assert (owner[:, :4] == 3).all()
    assert (owner[:, 5:] == 7).all()


def test_mirrored_sources_lie_inside():
    region = np.zeros((40, 50), np.uint8)
    region[10:30, 15:35] = 255
    outside = region == 0
    found, source, distance, deep = layer.mirror_sources(region, outside, reach=12)
    assert (region.ravel()[source] > 0).all()
    assert outside.ravel()[found].all()
    assert 11 < distance.max() < 12
    at = {int(index): k for k, index in enumerate(found)}
    above = at[8 * 50 + 25]
    assert divmod(int(source[above]), 50) == (12, 25), "mirrored at row 10"
    assert deep[above] > 0.9
    assert 0 not in at, "the corner is too far away"


def test_an_island_is_not_repeated_around_itself():
    photo = textured(80, 80) // 8
    photo[38:43, 38:43] = 250
    region = np.zeros((80, 80), np.uint8)
    region[36:45, 36:45] = 1
    owner = np.ones((20, 20), np.uint8)
    plate = layer.continue_plate(photo, region, owner, np.full((20, 20, 3), 60, np.float32), reach=64)
    ring = cv2.dilate(region, np.ones((25, 25), np.uint8)) - cv2.dilate(region, np.ones((15, 15), np.uint8))
    assert plate[ring > 0].max() < 160


def test_behind_hills_between_clouds_and_a_lake_are_clouds():
    classes = np.zeros((60, 40), np.uint8)
    classes[:20], classes[40:] = 2, 1
    known = (classes > 0).astype(np.float32)
    speed = np.where(classes == 1, 4.0, 1.0).astype(np.float32)
    order = np.zeros((60, 40), np.uint8)
    order[20:40], order[40:] = 1, 2
    assert (layer.owners(classes, known, speed)[25:40] == 1).all()
    assert (layer.owners(classes, known, speed, order)[20:31] == 2).all()


def test_the_plate_holds_no_background():
    photo = textured(64, 64)
    photo[:, :32] = (250, 0, 0)
    region = np.zeros((64, 64), np.uint8)
    region[:, 32:] = 1
    photo[:, 32:, 0] = photo[:, 32:, 0] // 4
    fill = np.full((16, 16, 3), 40, np.float32)
    owner = np.ones((16, 16), np.uint8)
    plate = layer.continue_plate(photo, region, owner, fill, reach=16)
    assert np.array_equal(plate[region > 0], photo[region > 0])
    assert plate[:, :32, 0].max() < 150, "the red background came through"


def test_a_fill_beyond_white_is_white():
    region = np.zeros((32, 32), np.uint8)
    region[:, :8] = 1
    photo = np.full((32, 32, 3), 250, np.uint8)
    fill = np.full((8, 8, 3), 258, np.float32)
    plate = layer.continue_plate(photo, region, np.ones((8, 8), np.uint8), fill, reach=4)
    assert plate.min() >= 250
