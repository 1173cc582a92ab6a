# SPDX-License-Identifier: Apache-2.0
"""stillflow.breath in C: shoulders and breath where Python finds them."""

from __future__ import annotations

import ctypes

import cv2
import numpy as np
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from stillflow import breath

from ..internals import Room, internals, pointer
from .oscillations import PERSON, blobs, figure

SEEDS = st.integers(0, 10_000)


class Shoulders(ctypes.Structure):
    """sf_shoulders."""

    _fields_ = (
        ("top", ctypes.c_int),
        ("line", ctypes.c_int),
        ("middle", ctypes.c_double),
        ("wide", ctypes.c_double),
    )


def people(seed: int, h: int = 90, w: int = 120) -> np.ndarray:
    """Two figures that may overlap, run off the picture, and have ragged outlines."""
    rng = np.random.default_rng(seed)
    classes = np.zeros((h, w), np.uint8)
    for _ in range(2):
        figure(classes, int(rng.integers(w)), int(rng.integers(h // 2)), int(rng.integers(10, h)))
    classes[blobs(seed, h, w, 0.1) > 0] = 0
    return (classes == PERSON).astype(np.uint8)


def breathing(mask: np.ndarray, upright: bool, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(2, h, w, 4) of C and of Python."""
    h, w = mask.shape
    hz = np.array([0.25, 0.5], np.float32)
    known = breath.breathing(np.random.default_rng((seed, 6)), mask > 0, hz, upright=upright)
    drawn, state = np.ones((2, h, w, 4), np.float32), (ctypes.c_uint64 * 4)()
    internals().sf_draws_open(state, ctypes.c_uint32(seed), 6)
    internals().sf_breathe.restype = None
    with Room() as room:
        internals().sf_breathe(room.address, state, pointer(mask), h, w, int(upright), pointer(drawn))
    return drawn, known


@for_all(seed=SEEDS)
@settings(max_examples=40, deadline=None)
def test_shoulders_are_pythons(seed):
    mask = people(seed)
    count, parts = cv2.connectedComponents(mask, connectivity=8)
    internals().sf_find_shoulders.restype = Shoulders
    for i in range(1, count):
        mine = (parts == i).astype(np.uint8)
        with Room() as room:
            found = internals().sf_find_shoulders(room.address, pointer(mine), *mine.shape)
        top, line, middle, wide = breath.shoulders(mine > 0)
        assert (found.top, found.line) == (top, line)
        assert (found.middle, found.wide) == (pytest.approx(middle), pytest.approx(wide))


@for_all(seed=SEEDS, upright=st.booleans())
@settings(max_examples=25, deadline=None)
def test_figures_breathe_as_in_python(seed, upright):
    drawn, known = breathing(people(seed), upright, seed)
    assert np.abs(drawn - known).max() <= 1e-5 * max(np.abs(known).max(), 1e-3)


@pytest.mark.parametrize("upright", [True, False])
def test_a_figure_may_fill_the_picture(upright):
    drawn, known = breathing(np.ones((40, 60), np.uint8), upright, 1)
    assert np.abs(known).max() > 0.001
    assert np.allclose(drawn, known, atol=1e-5)
