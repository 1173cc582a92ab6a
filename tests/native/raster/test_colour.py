# SPDX-License-Identifier: Apache-2.0
"""L*a*b* and luma of bytes are OpenCV's bytes; of floats, its table but for single units."""

from __future__ import annotations

import ctypes

import cv2
import numpy as np
import pytest

from .pictures import call, call_plain


@pytest.fixture(scope="module")
def colours() -> np.ndarray:
    """(n, 3) uint8: a grid through all colours, both ends of each axis in it."""
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(-1, 3)


def test_lab_of_bytes(colours):
    noise = np.random.default_rng(0).integers(0, 256, (200_000, 3)).astype(np.uint8)
    for source in (colours, noise):
        out = np.empty_like(source)
        call("sf_lab_u8", source, ctypes.c_size_t(len(source)), out)
        np.testing.assert_array_equal(out, cv2.cvtColor(source[None], cv2.COLOR_RGB2LAB)[0])


def test_lab_of_floats(colours):
    noise = np.random.default_rng(0).random((100_000, 3), dtype=np.float32) * 1.1 - np.float32(0.05)
    for source in (colours.astype(np.float32) / 255, noise):
        out = np.empty_like(source)
        call("sf_lab_f32", source, ctypes.c_size_t(len(source)), out)
        off = np.abs(out - cv2.cvtColor(source[None], cv2.COLOR_RGB2LAB)[0])
        assert (off > 1e-5).mean() < 2e-3
        assert (off.max(0) < (0.0062, 0.0157, 0.0157)).all()


def test_luma_of_bytes(colours):
    out = np.empty(len(colours), np.uint8)
    call_plain("sf_gray_u8", colours, ctypes.c_size_t(len(colours)), out)
    np.testing.assert_array_equal(out, cv2.cvtColor(colours[None], cv2.COLOR_RGB2GRAY)[0])
