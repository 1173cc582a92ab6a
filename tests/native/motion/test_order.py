# SPDX-License-Identifier: Apache-2.0
"""Ranks of occlusion are those of Python, whatever lies where."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.order import occlusion_order

from ..internals import Room, internals, pointer


def order_in_c(classes: np.ndarray) -> np.ndarray:
    """sf_occlusion_order."""
    found = np.full_like(classes, 255)
    call = internals().sf_occlusion_order
    call.restype = None
    with Room() as room:
        call(room.address, pointer(classes), *classes.shape, pointer(found))
    return found


def blobs(seed: int, h: int, w: int, count: int) -> np.ndarray:
    """Ellipses of any class over each other, as a network's map has them."""
    rng = np.random.default_rng(seed)
    classes = np.full((h, w), rng.integers(10), np.uint8)
    for _ in range(count):
        centre = (int(rng.integers(w)), int(rng.integers(h)))
        axes = (int(rng.integers(1, max(2, w // 3))), int(rng.integers(1, max(2, h // 3))))
        angle, kind = float(rng.integers(180)), int(rng.integers(10))
        cv2.ellipse(classes, centre, axes, angle, 0, 360, kind, -1)
    return classes


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 70),
    st.integers(1, 90),
    st.integers(0, 40),
    st.integers(0, 300),
)
def test_ranks_are_those_of_python(seed: int, h: int, w: int, count: int, specks: int) -> None:
    classes = blobs(seed, h, w, count)
    rng = np.random.default_rng(seed)
    # Single samples make pieces that are too small to be compared.
    classes[rng.integers(h, size=specks), rng.integers(w, size=specks)] = rng.integers(10, size=specks)
    np.testing.assert_array_equal(order_in_c(classes), occlusion_order(classes))


@pytest.mark.parametrize("kinds", [[0, 1], [1, 2, 9], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]])
def test_more_pieces_than_are_compared_follow_the_largest(kinds: list[int]) -> None:
    rng = np.random.default_rng(len(kinds))
    coarse = rng.choice(kinds, (40, 60)).astype(np.uint8)
    classes = np.ascontiguousarray(np.kron(coarse, np.ones((3, 3), np.uint8)))
    np.testing.assert_array_equal(order_in_c(classes), occlusion_order(classes))


def test_pieces_of_one_size_that_are_too_many_leave_one() -> None:
    # 96 squares of 9 samples, none of which is larger than the 61st.
    classes = np.zeros((36, 24), np.uint8)
    for i in range(12):
        for j in range(8):
            classes[3 * i : 3 * i + 3, 3 * j : 3 * j + 3] = 1 + (i % 2) * 2 + j % 2
    np.testing.assert_array_equal(order_in_c(classes), occlusion_order(classes))


def test_real_maps_are_ranked_as_in_python(seen) -> None:
    for one in seen:
        np.testing.assert_array_equal(order_in_c(one.motion.classes), one.motion.order)
        assert one.motion.order.max() > 0
