# SPDX-License-Identifier: Apache-2.0
"""What stands in front of what, on layouts whose answer is plain."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.motion import CLASS_NAMES
from stillflow.order import occlusion_order

STATIC, WATER, CLOUD, SMOKE, FIRE, FOLIAGE, PERSON, ANIMAL, CLOTH, SKY = range(len(CLASS_NAMES))


def coast() -> np.ndarray:
    """Sky, a cloud, a far shore, water with a rock in it, and a near bank that rises into the water."""
    classes = np.full((90, 160), SKY, np.uint8)
    cv2.ellipse(classes, (110, 15), (30, 8), 0, 0, 360, CLOUD, -1)
    classes[30:40] = FOLIAGE
    classes[40:] = WATER
    cv2.circle(classes, (60, 60), 8, STATIC, -1)
    cv2.ellipse(classes, (140, 92), (30, 14), 0, 0, 360, STATIC, -1)
    return classes


def test_a_coast_is_ordered_from_sky_to_near_bank():
    order = occlusion_order(coast()).astype(int)
    sky, cloud, shore, water = order[2, 2], order[15, 110], order[35, 80], order[50, 10]
    rock, bank = order[60, 60], order[88, 140]
    assert sky == 0
    assert sky < cloud
    assert sky < shore < water < rock
    assert water < bank


@pytest.mark.parametrize("kind", [STATIC, FOLIAGE, PERSON, ANIMAL, CLOTH, WATER, SMOKE, FIRE])
def test_everything_is_before_sky_and_cloud(kind):
    for far in (SKY, CLOUD):
        # Also where it hangs in from above, as a branch does.
        for rows in (np.s_[:20], np.s_[40:]):
            classes = np.full((60, 80), far, np.uint8)
            classes[rows] = kind
            order = occlusion_order(classes)
            assert order[rows].min() > order[classes == far].max()


@pytest.mark.parametrize("kind", [STATIC, ANIMAL, CLOTH])
def test_an_island_is_before_the_water_around_it(kind):
    classes = np.full((60, 80), WATER, np.uint8)
    cv2.circle(classes, (40, 30), 9, kind, -1)
    order = occlusion_order(classes)
    assert order[30, 40] > order[5, 5]


def test_a_fall_is_before_its_cliff():
    classes = np.full((80, 80), STATIC, np.uint8)
    classes[20:, 36:44] = WATER
    order = occlusion_order(classes)
    assert order[50, 40] > order[50, 10]


def test_a_smoke_column_is_before_the_hill_and_trees_are_before_mist():
    hill = np.full((80, 120), FOLIAGE, np.uint8)
    hill[:60, 56:64] = SMOKE
    assert occlusion_order(hill)[30, 60] > occlusion_order(hill)[30, 20]
    mist = np.full((80, 120), SMOKE, np.uint8)
    cv2.fillPoly(mist, [np.array([[30, 79], [40, 30], [50, 79]], np.int32)], FOLIAGE)
    assert occlusion_order(mist)[60, 40] > occlusion_order(mist)[20, 100]


def test_a_small_hole_in_leaves_is_as_far_as_the_sky():
    classes = np.full((90, 160), SKY, np.uint8)
    classes[30:] = FOLIAGE
    classes[60, 80] = SKY
    order = occlusion_order(classes)
    assert order[60, 80] == order[0, 0] == 0


def test_one_class_alone_is_rank_zero():
    assert not occlusion_order(np.full((7, 9), FOLIAGE, np.uint8)).any()


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 9999), h=st.integers(1, 40), w=st.integers(1, 40), coarse=st.integers(1, 8))
def test_any_class_map_gets_an_order_in_which_the_sky_is_farthest(seed, h, w, coarse):
    rng = np.random.default_rng(seed)
    small = rng.integers(0, len(CLASS_NAMES), (-(-h // coarse), -(-w // coarse)), np.uint8)
    classes = np.kron(small, np.ones((coarse, coarse), np.uint8))[:h, :w]
    order = occlusion_order(classes)
    assert order.shape == classes.shape
    assert order.dtype == np.uint8
    assert order.min() == 0
    assert not order[classes == SKY].any()
    assert np.array_equal(order, occlusion_order(classes))
