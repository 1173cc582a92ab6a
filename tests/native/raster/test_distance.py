# SPDX-License-Identifier: Apache-2.0
"""Distances and nearest samples are OpenCV's, ties included."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stillflow.layer import nearest_owner, nearest_to

from .pictures import CONTENTS, SIZES, call, picture, plain_opencv


@given(SIZES, SIZES, CONTENTS, st.floats(0.03, 0.999), st.integers(0, 999))
@example(5, 9, "flat", 0.01, 1)
@settings(max_examples=100, deadline=None)
def test_distances_and_nearest_are_opencvs(h, w, content, threshold, seed):
    where = (picture(content, h, w, 1, seed)[..., 0] > threshold).astype(np.uint8)
    to_zero, distance = (np.full((h, w), -1, np.float32) for _ in range(2))
    nearest = np.full((h, w), -1, np.int32)
    call("sf_distance", where, h, w, to_zero)
    call("sf_nearest_to", where, h, w, distance, nearest)
    with plain_opencv():
        np.testing.assert_array_equal(to_zero, cv2.distanceTransform(where, cv2.DIST_L2, cv2.DIST_MASK_5))
        expected = nearest_to(where > 0)
    np.testing.assert_array_equal(distance, expected[0])
    np.testing.assert_array_equal(nearest, expected[1])


@given(SIZES, SIZES, st.floats(0.0, 1.0), st.integers(0, 999), st.booleans())
@settings(max_examples=80, deadline=None)
def test_what_is_unlabelled_gets_the_nearest_label(h, w, share, seed, in_place):
    rng = np.random.default_rng(seed)
    labels = (rng.integers(1, 300, (h, w)) * (rng.random((h, w)) < share)).astype(np.int32)
    expected = nearest_owner(labels)
    out = labels if in_place else np.full((h, w), -1, np.int32)
    call("sf_nearest_owner", labels, h, w, out)
    np.testing.assert_array_equal(out, expected)
