# SPDX-License-Identifier: Apache-2.0
"""Frames at another size: OpenCV's to one level, each axis by itself, down to one pixel and up to 65535."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .baked import baked, small_scene
from .calls import Loop


@pytest.fixture(scope="module")
def loop():
    with Loop(baked(small_scene(47, 66, 8))) as opened:
        yield opened


def resized(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """A frame in floats, first down, then across."""
    was_high, was_wide = frame.shape[:2]
    down = cv2.INTER_AREA if height < was_high else cv2.INTER_LINEAR
    across = cv2.INTER_AREA if width < was_wide else cv2.INTER_LINEAR
    tall = cv2.resize(frame.astype(np.float32), (was_wide, height), interpolation=down)
    tall = tall.reshape(height, was_wide, 3)
    return cv2.resize(tall, (width, height), interpolation=across).reshape(height, width, 3)


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 150), width=st.integers(1, 200))
def test_any_size(loop, height, width):
    frame, found = loop.frame(1.5), loop.frame(1.5, size=(height, width))
    # Half a level of the rounding, and what seven bits of fraction on the way leave.
    assert np.abs(found - resized(frame, height, width)).max() < 0.55


@pytest.mark.parametrize(
    ("size", "how"),
    [((94, 132), cv2.INTER_LINEAR), ((20, 30), cv2.INTER_AREA), ((141, 90), cv2.INTER_LINEAR)],
)
def test_it_is_opencvs_to_one_level(loop, size, how):
    expected = cv2.resize(loop.frame(1.5), size[::-1], interpolation=how)
    assert np.abs(loop.frame(1.5, size=size).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("size", [(1, 65535), (65535, 1), (3, 20000), (20000, 2)])
def test_extreme_sizes(loop, size):
    assert np.abs(loop.frame(1.5, size=size) - resized(loop.frame(1.5), *size)).max() < 0.55


@pytest.mark.parametrize("scene", [(1, 1), (1, 9), (12, 1), (2, 2)])
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (1, 30), (30, 1)])
def test_scenes_of_few_pixels(scene, size):
    with Loop(baked(small_scene(*scene, 2))) as loop:
        assert np.abs(loop.frame(0.0, size=size) - resized(loop.frame(0.0), *size)).max() < 0.55


@pytest.mark.parametrize("shape", [(65535, 3), (2, 65535)])
def test_long_scenes_shrink_exactly(shape):
    """Sums over 65535 pixels stay exact: what is flat stays what it is."""
    scene = small_scene(*shape, 1, share=0)
    scene.photo[:] = (255, 1, 128)
    with Loop(baked(scene)) as loop:
        for size in ((1, 1), (7, 2), (2, 7)):
            assert (loop.frame(0.0, size=size) == (255, 1, 128)).all()
