# SPDX-License-Identifier: Apache-2.0
"""Cross-fade cycles are planned as in Python."""

from __future__ import annotations

import ctypes

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.cycles import cycle_plan

from ..internals import Room, internals, pointer


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.integers(1, 60),
    st.floats(0, 0.05),
    st.floats(1e-3, 2),
    st.floats(0.2, 300),
)
def test_cycles_are_those_of_python(
    seed: int, h: int, w: int, share: float, fastest: float, seconds: float
) -> None:
    rng = np.random.default_rng(seed)
    region = (rng.random((h, w)) < share).astype(np.uint8) * 255
    speed = (fastest * rng.random((h, w))).astype(np.float32)
    cycles, slower = np.zeros((h, w), np.uint8), np.zeros((h, w), np.float32)
    call = internals().sf_cycle_plan
    call.restype = None
    pointers = (ctypes.c_void_p, ctypes.c_void_p)
    call.argtypes = (ctypes.c_void_p, *pointers, ctypes.c_int, ctypes.c_int, ctypes.c_double, *pointers)
    with Room() as room:
        call(room.address, pointer(region), pointer(speed), h, w, seconds, pointer(cycles), pointer(slower))
    expected_cycles, expected_slower = cycle_plan(region, speed, seconds)
    np.testing.assert_array_equal(cycles, expected_cycles)
    np.testing.assert_array_equal(slower, expected_slower)
