# SPDX-License-Identifier: Apache-2.0
"""Connected parts have OpenCV's numbers, boxes and areas."""

from __future__ import annotations

import ctypes

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ..internals import Room, internals, pointer
from .pictures import CONTENTS, SIZES, picture


def components(region: np.ndarray, connectivity: int) -> tuple[int, np.ndarray, np.ndarray]:
    h, w = region.shape
    labels = np.full((h, w), -1, np.int32)
    parts = ctypes.POINTER(ctypes.c_int32)()
    with Room() as room:
        count = internals().sf_components(
            room.address, pointer(region), h, w, connectivity, pointer(labels), ctypes.byref(parts)
        )
        stats = np.ctypeslib.as_array(parts, (count, 5)).copy()
    return count, labels, stats


@pytest.mark.parametrize("connectivity", [4, 8])
@given(SIZES, SIZES, CONTENTS, st.floats(0.05, 0.95), st.integers(0, 999))
@settings(max_examples=100, deadline=None)
def test_parts_are_opencvs(connectivity, h, w, content, threshold, seed):
    region = (picture(content, h, w, 1, seed)[..., 0] > threshold).astype(np.uint8) * 3
    count, labels, stats = components(region, connectivity)
    expected, map_, boxes, _ = cv2.connectedComponentsWithStats(region, connectivity=connectivity)
    assert count == expected
    np.testing.assert_array_equal(labels, map_)
    np.testing.assert_array_equal(stats[1:], boxes[1:])
    if not region.all():  # OpenCV leaves the box of a background that is not there undefined; here it is 0
        np.testing.assert_array_equal(stats[0], boxes[0])


def test_no_background_is_a_part_of_area_0():
    assert components(np.ones((3, 4), np.uint8), 8)[2].tolist() == [[0, 0, 0, 0, 0], [0, 0, 4, 3, 12]]
