# SPDX-License-Identifier: Apache-2.0
"""Erosion, dilation, closing and opening are OpenCV's."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from .pictures import CONTENTS, SIZES, call, call_plain, picture


@given(SIZES, SIZES, CONTENTS, st.sampled_from([1, 3, 5, 7, 9, 31]), st.integers(1, 9), st.integers(0, 999))
@settings(max_examples=100, deadline=None)
def test_squares_spread_as_opencvs(h, w, content, side, iterations, seed):
    source = picture(content, h, w, 1, seed, np.uint8)[..., 0]
    square = np.ones((side, side), np.uint8)
    for name, function in (("erode", cv2.erode), ("dilate", cv2.dilate)):
        out = np.full((h, w), 77, np.uint8)
        call(f"sf_{name}_u8", source, h, w, side, iterations, out)
        np.testing.assert_array_equal(out, function(source, square, iterations=iterations))
    for name, operation in (("close", cv2.MORPH_CLOSE), ("open", cv2.MORPH_OPEN)):
        call(f"sf_{name}_u8", source, h, w, side, out)
        np.testing.assert_array_equal(out, cv2.morphologyEx(source, operation, square))
    call("sf_erode_u8", source, h, w, side, 1, in_place := source.copy())
    call("sf_erode_u8", source, h, w, side, 1, source)
    np.testing.assert_array_equal(source, in_place)


@given(SIZES, SIZES, CONTENTS, st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_floats_spread_as_opencvs(h, w, content, seed):
    source = picture(content, h, w, 1, seed)[..., 0] - np.float32(0.5)
    out = np.full((h, w), 77, np.float32)
    call_plain("sf_dilate_f32", source, h, w, out)
    np.testing.assert_array_equal(out, cv2.dilate(source, np.ones((3, 3), np.uint8)))
