# SPDX-License-Identifier: Apache-2.0
"""Resizing gives OpenCV's bytes, and its floats: shrinking, growing, one axis each, 1 to 8 channels."""

from __future__ import annotations

import ctypes
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .pictures import CONTENTS, SIZES, call, call_plain, picture, plain_opencv

SAMPLES = Path(__file__).resolve().parents[3] / "samples"

WAYS = {"area": cv2.INTER_AREA, "linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}


@st.composite
def shapes(draw: st.DrawFn) -> tuple[int, int, int, int]:
    """Height and width before and after: any, whole multiples, one axis as it was."""
    oh, ow = draw(SIZES), draw(SIZES)
    kind = draw(st.sampled_from(["any", "whole", "rows", "columns", "halves"]))
    if kind == "any":
        return draw(SIZES), draw(SIZES), oh, ow
    if kind == "whole":
        return oh * draw(st.integers(1, 5)), ow * draw(st.integers(1, 5)), oh, ow
    if kind == "rows":
        return draw(SIZES), ow, oh, ow
    return (oh, draw(SIZES), oh, ow) if kind == "columns" else (2 * oh, 2 * ow, oh, ow)


def of_opencv(way: str, source: np.ndarray, oh: int, ow: int) -> np.ndarray:
    """OpenCV shrinks at most four channels at once: more go plane by plane, as the Python side does."""
    if source.shape[2] > 4:
        planes = [of_opencv(way, source[..., k : k + 1].copy(), oh, ow) for k in range(source.shape[2])]
        return np.concatenate(planes, axis=-1)
    with plain_opencv():
        out = cv2.resize(source, (ow, oh), interpolation=WAYS[way])
    return out.reshape(oh, ow, source.shape[2])


def resized(way: str, source: np.ndarray, oh: int, ow: int) -> np.ndarray:
    h, w, c = source.shape
    out = np.full((oh, ow, c), 77, source.dtype)
    call(f"sf_resize_{way}_{'u8' if source.dtype == np.uint8 else 'f32'}", source, h, w, c, out, oh, ow)
    return out


@given(shapes(), st.sampled_from([1, 2, 3, 4, 8]), CONTENTS, st.integers(0, 999))
@settings(max_examples=80, deadline=None)
def test_bytes_are_opencvs(shape, c, content, seed):
    h, w, oh, ow = shape
    source = picture(content, h, w, c, seed, np.uint8)
    expected = of_opencv("area", source, oh, ow)
    np.testing.assert_array_equal(resized("area", source, oh, ow), expected)


@pytest.mark.parametrize("way", ["area", "linear"])
@given(shapes(), st.sampled_from([1, 2, 3, 4, 8]), CONTENTS, st.integers(0, 999))
@settings(max_examples=80, deadline=None)
def test_floats_are_opencvs(way, shape, c, content, seed):
    h, w, oh, ow = shape
    source = picture(content, h, w, c, seed)
    expected = of_opencv(way, source, oh, ow)
    got = resized(way, source, oh, ow)
    if (h, w) == (2 * oh, 2 * ow):  # it adds the four in another order where it takes several pixels at once
        np.testing.assert_allclose(got, expected, rtol=0, atol=1.2e-7)
    else:
        np.testing.assert_array_equal(got, expected)


@given(shapes(), st.sampled_from([1, 3]), CONTENTS, st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_cubic_is_opencvs(shape, c, content, seed):
    h, w, oh, ow = shape
    source = picture(content, h, w, c, seed)
    expected = of_opencv("cubic", source, oh, ow)
    np.testing.assert_allclose(resized("cubic", source, oh, ow), expected, rtol=0, atol=6e-7)


@given(shapes(), st.sampled_from([np.uint8, np.int32, np.float32]), st.sampled_from([1, 3]))
@settings(max_examples=60, deadline=None)
def test_nearest_takes_opencvs_samples(shape, dtype, c):
    h, w, oh, ow = shape
    source = np.arange(h * w * c).reshape(h, w, c).astype(dtype)
    out = np.zeros((oh, ow, c), dtype)
    call_plain("sf_resize_nearest", source, h, w, ctypes.c_size_t(c * source.itemsize), out, oh, ow)
    with plain_opencv():
        expected = cv2.resize(source, (ow, oh), interpolation=cv2.INTER_NEAREST).reshape(oh, ow, c)
    np.testing.assert_array_equal(out, expected)


def test_sums_of_many_rows_keep_their_bytes():
    source = np.full((1030, 2, 3), 255, np.uint8)
    source[:500, 1] = 7
    expected = cv2.resize(source, (1, 1), interpolation=cv2.INTER_AREA).reshape(1, 1, 3)
    np.testing.assert_array_equal(resized("area", source, 1, 1), expected)


def test_a_photo_shrinks_to_the_same_bytes():
    photo = cv2.imread(str(next(p for p in sorted(SAMPLES.glob("*.jpg")))))[:801, :1203].copy()
    for size in ((192, 128), (401, 267), (1203, 400)):
        expected = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(resized("area", photo, size[1], size[0]), expected)
