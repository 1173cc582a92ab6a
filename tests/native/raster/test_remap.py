# SPDX-License-Identifier: Apache-2.0
"""Samples between samples are OpenCV's, beyond the border too."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from .pictures import CONTENTS, SIZES, call, picture


@given(SIZES, SIZES, SIZES, SIZES, st.sampled_from([1, 2, 3, 4, 5]), CONTENTS, st.integers(0, 999))
@settings(max_examples=100, deadline=None)
def test_remap_is_opencvs(h, w, oh, ow, c, content, seed):
    source = picture(content, h, w, c, seed)
    rng = np.random.default_rng(seed)
    x = (rng.random((oh, ow)) * (w + 20) - 10).astype(np.float32)
    y = (rng.random((oh, ow)) * (h + 20) - 10).astype(np.float32)
    x[rng.random((oh, ow)) < 0.2] = rng.integers(-2, w + 2)
    out = np.full((oh, ow, c), 77, np.float32)
    call("sf_remap_linear_f32", source, h, w, c, x, y, oh, ow, out)
    expected = cv2.remap(source, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    np.testing.assert_allclose(out, expected.reshape(out.shape), rtol=0, atol=5e-7)


def test_positions_that_are_none_stay_inside():
    source = picture("noise", 9, 7, 3, 0)
    x = np.array([[np.nan, np.inf, -np.inf, 3e38, -3e38]], np.float32)
    out = np.empty((1, 5, 3), np.float32)
    call("sf_remap_linear_f32", source, 9, 7, 3, x, x.copy(), 1, 5, out)
    first, last = source[0, 0], source[8, 6]
    np.testing.assert_array_equal(out[0], [first, last, first, last, first])


@given(SIZES, SIZES, SIZES, SIZES, CONTENTS, st.sampled_from(["field", "scale", "turn"]), st.integers(0, 999))
@settings(max_examples=100, deadline=None)
def test_affine_maps_are_opencvs(h, w, oh, ow, content, kind, seed):
    source = picture(content, h, w, 1, seed)[..., 0]
    matrix = np.array([[0.25, 0, -0.375], [0, 0.25, (8 * (seed % 9) - 1.5) / 4]])
    if kind != "field":
        matrix += np.random.default_rng(seed).normal(size=(2, 3)) * ((kind == "turn") | (matrix != 0))
    out = np.full((oh, ow), 77, np.float32)
    call("sf_warp_affine_f32", source, h, w, matrix, out, oh, ow)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    expected = cv2.warpAffine(source, matrix, (ow, oh), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    np.testing.assert_allclose(out, expected, rtol=0, atol=5e-7 if kind == "field" else 1e-4)
