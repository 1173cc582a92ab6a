# SPDX-License-Identifier: Apache-2.0
"""Frames are laid out as a client asks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from stillflow.errors import StillflowError
from stillflow.video.colour import nv12
from stillflow.worker.pixels import FORMATS, Layout


@pytest.fixture(scope="module")
def frame():
    return np.random.default_rng(3).integers(0, 256, (33, 47, 3), np.uint8)


def test_rgb_and_bgra_and_nv12(frame):
    assert np.array_equal(Layout("rgb", 47, 33).laid_out(frame), frame.reshape(-1))
    bgra = Layout("bgra", 47, 33).laid_out(frame).reshape(33, 47, 4)
    assert np.array_equal(bgra[..., :3], frame[..., ::-1])
    assert (bgra[..., 3] == 255).all()
    assert np.array_equal(Layout("nv12", 47, 33).laid_out(frame), nv12(frame).reshape(-1))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("size", [(20, 11), (100, 80), (1, 1), (47, 70)])
def test_sizes_are_as_said(frame, form, size):
    layout = Layout(form, *size)
    assert layout.laid_out(frame).shape == (layout.bytes,)


def test_a_flat_picture_stays_flat_at_any_size():
    gray = np.full((9, 7, 3), 77, np.uint8)
    for size in ((3, 2), (70, 90), (2, 50)):
        assert (Layout("rgb", *size).laid_out(gray) == 77).all()


@pytest.mark.parametrize("size", [(20, 50), (94, 16), (20, 16), (94, 66), (47, 20), (60, 33)])
def test_each_side_is_scaled_as_in_libstillflow(frame, size):
    width, height = size
    down = cv2.INTER_AREA if height < 33 else cv2.INTER_LINEAR
    across = cv2.INTER_AREA if width < 47 else cv2.INTER_LINEAR
    tall = cv2.resize(frame.astype(np.float32), (47, height), interpolation=down)
    expected = cv2.resize(tall, size, interpolation=across)
    found = Layout("rgb", width, height).laid_out(frame).reshape(height, width, 3)
    assert np.abs(found - expected).max() < 1.5


def test_an_unknown_format_is_refused():
    with pytest.raises(StillflowError, match="yuv9"):
        Layout("yuv9", 1, 1)
