# SPDX-License-Identifier: Apache-2.0
"""Futures of a seed are those of Python."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.futures import draw_future
from stillflow.guidance import Hints
from stillflow.motion import Motion

from ..internals import Room, internals
from .motions import in_c


def drawn_in_c(motion: Motion, seed: int) -> np.ndarray:
    """sf_draw_future: the velocity."""
    given_motion, arrays = in_c(motion)
    call = internals().sf_draw_future
    call.restype = None
    call.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32)
    with Room() as room:
        call(room.address, ctypes.byref(given_motion), seed)
    return arrays[0]


def same(motion: Motion, seed: int) -> None:
    """Hold C to Python."""
    expected = draw_future(motion, Hints(seed=seed)).velocity
    largest = float(np.abs(motion.velocity).max())
    np.testing.assert_allclose(drawn_in_c(motion, seed), expected, rtol=1e-4, atol=1e-6 * largest)


def scenery(seed: int, h: int, w: int) -> Motion:
    """Patches of all classes, with any velocity and doubt."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 10, (-(-h // 8), -(-w // 8))).astype(np.uint8)
    classes = np.ascontiguousarray(np.kron(coarse, np.ones((8, 8), np.uint8))[:h, :w])
    return Motion(
        velocity=rng.normal(0, 0.1, (h, w, 2)).astype(np.float32),
        matte=rng.random((h, w)).astype(np.float32),
        classes=classes,
        confidence=np.ones((h, w), np.float32),
        sway=np.zeros((0, h, w, 4), np.float32),
        height=4 * h,
        width=4 * w,
        doubt=np.asarray(0.5 * rng.random((h, w)) ** 4, np.float32),
    )


@given(st.floats(1e-300, 1, exclude_max=True))
def test_normal_deviates_are_those_of_python(p: float) -> None:
    call = internals().sf_normal_deviate
    call.argtypes, call.restype = (ctypes.c_double,), ctypes.c_double
    assert call(p) == pytest.approx(NormalDist().inv_cdf(p), rel=1e-14, abs=1e-15)


def test_real_photos_have_the_futures_of_python(seen) -> None:
    changed = 0
    for one in seen:
        for seed in range(6):
            same(one.motion, seed)
            changed += bool((drawn_in_c(one.motion, seed) != one.motion.velocity).any())
        same(replace(one.motion, doubt=np.zeros_like(one.motion.doubt)), 3)
    assert changed == 15


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(1, 60),
    st.integers(1, 80),
    st.booleans(),
)
def test_any_motion_has_the_futures_of_python(seed: int, noise: int, h: int, w: int, said: bool) -> None:
    motion = scenery(noise, h, w)
    same(motion if said else replace(motion, doubt=np.zeros_like(motion.doubt)), seed)


def test_wide_pictures_are_turned_at_fewer_samples() -> None:
    motion = scenery(5, 150, 260)
    for seed in (1, 2):
        same(motion, seed)
