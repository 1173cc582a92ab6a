# SPDX-License-Identifier: Apache-2.0
"""Layers are continued at field size as in Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow import layer

from ..internals import Room, internals, pointer
from ..raster.pictures import plain_opencv
from .invented import patches


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 999),
    h=st.integers(1, 40),
    w=st.integers(1, 40),
    c=st.integers(1, 3),
    share=st.sampled_from([0, 0.02, 0.4, 1]),
)
def test_push_pull(seed: int, h: int, w: int, c: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(h, w, c)).astype(np.float32)
    known = np.where(rng.random((h, w)) < share, rng.random((h, w)), 0).astype(np.float32)
    with plain_opencv():
        expected = layer.push_pull(values, known)
    found = np.full_like(expected, np.nan)
    with Room() as room:
        internals().sf_push_pull(room.address, pointer(values), pointer(known), h, w, c, pointer(found))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_owners_and_what_they_continue(seed: int) -> None:
    rng = np.random.default_rng(seed)
    h, w = 40, 57
    classes, order = patches(rng, h, w, (1, 2, 3, 4)), patches(rng, h, w, (0, 1, 2, 3))
    known = np.where(patches(rng, h, w, (0, 1)) > 0, 1, 0).astype(np.float32)
    known[3:9, 4:12] = 1
    speed, values = rng.random((h, w)).astype(np.float32), rng.random((h, w, 2)).astype(np.float32)
    with plain_opencv():
        expected = layer.owners(classes, known, speed, order)
        continued = layer.continue_values(values, known, classes, expected)
    owner, found = np.full_like(expected, 99), np.full_like(continued, np.nan)
    with Room() as room:
        internals().sf_owners(
            room.address,
            pointer(classes),
            pointer(known),
            pointer(speed),
            pointer(order),
            h,
            w,
            pointer(owner),
        )
        internals().sf_continue_values(
            room.address,
            pointer(values),
            pointer(known),
            pointer(classes),
            pointer(owner),
            h,
            w,
            2,
            pointer(found),
        )
    assert np.array_equal(owner, expected)
    np.testing.assert_allclose(found, continued, atol=1e-5)
