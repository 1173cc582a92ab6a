# SPDX-License-Identifier: Apache-2.0
"""Blurs and the pyramid are OpenCV's to the last bits."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from .pictures import CONTENTS, SIZES, call, picture, plain_opencv


@given(SIZES, SIZES, st.sampled_from([1, 2, 3, 5]), CONTENTS, st.floats(0.3, 12), st.integers(0, 999))
@settings(max_examples=50, deadline=None)
def test_gauss_is_opencvs(h, w, c, content, sigma, seed):
    source = picture(content, h, w, c, seed)
    out = np.full((h, w, c), 77, np.float32)
    call("sf_gaussian_f32", source, h, w, c, sigma, out)
    expected = cv2.GaussianBlur(source, (0, 0), sigma).reshape(h, w, c)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1.2e-6)
    call("sf_gaussian_beyond_f32", source, h, w, c, sigma, 1, out)
    expected = cv2.GaussianBlur(source, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE).reshape(h, w, c)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1.2e-6)


@given(
    SIZES, SIZES, st.sampled_from([1, 3, 4]), CONTENTS, st.integers(0, 20), st.booleans(), st.integers(0, 999)
)
@settings(max_examples=50, deadline=None)
def test_boxes_are_opencvs(h, w, c, content, radius, replicate, seed):
    source = picture(content, h, w, c, seed)
    out = np.full((h, w, c), 77, np.float32)
    side = 2 * radius + 1
    call("sf_blur_f32", source, h, w, c, side, int(replicate), out)
    border = cv2.BORDER_REPLICATE if replicate else cv2.BORDER_REFLECT_101
    with plain_opencv():
        expected = cv2.blur(source, (side, side), borderType=border).reshape(h, w, c)
    np.testing.assert_allclose(out, expected, rtol=0, atol=6e-8)  # the last bit, where a double is between


@given(SIZES, SIZES, CONTENTS, st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_the_pyramid_is_opencvs(h, w, content, seed):
    source = picture(content, h, w, 1, seed)
    out = np.full(((h + 1) // 2, (w + 1) // 2), 77, np.float32)
    call("sf_pyr_down_f32", source, h, w, out)
    np.testing.assert_allclose(out, cv2.pyrDown(source), rtol=0, atol=2e-7)
