# SPDX-License-Identifier: Apache-2.0
"""Old photos have the same one tint in C as in Python."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from stillflow.tone import tone_curve, toned

from ..internals import internals, pointer
from .invented import invented_photo


def curve_of(photo: np.ndarray) -> np.ndarray | None:
    """sf_tone_curve."""
    curve = np.full((256, 3), np.nan, np.float32)
    return curve if internals().sf_tone_curve(pointer(photo), *photo.shape[:2], pointer(curve)) else None


@pytest.mark.parametrize("tone", ["gray", "sepia", "colours"])
def test_a_curve_and_what_it_tints(tone: str) -> None:
    photo = invented_photo(
        np.random.default_rng(1), 400, 420, tone
    ).pixels  # large: every other pixel is seen
    expected, found = tone_curve(photo), curve_of(photo)
    assert (expected is None) == (found is None) == (tone == "colours")
    if expected is None or found is None:
        return
    np.testing.assert_allclose(found, expected, atol=2e-2)
    colours = np.random.default_rng(2).uniform(-9, 264, (50, 3)).astype(np.float32)
    colours[0] = 255
    tinted = toned(colours, expected)
    call = internals().sf_toned
    call.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
    call(pointer(colours), len(colours), pointer(expected))
    np.testing.assert_allclose(colours, tinted, atol=1e-3)
    if tone == "gray":
        assert (colours == colours[:, :1]).all()


def test_one_coloured_pixel_makes_a_gray_photo_no_gray_one() -> None:
    photo = np.full((700, 700, 3), 128, np.uint8)
    assert np.array_equal(curve_of(photo), tone_curve(photo))
    photo[1, 1, 0] = 255  # between the pixels that are looked at
    found, expected = curve_of(photo), tone_curve(photo)
    assert found is not None
    assert expected is not None
    np.testing.assert_allclose(found, expected, atol=1e-3)
