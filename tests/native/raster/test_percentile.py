# SPDX-License-Identifier: Apache-2.0
"""Percentiles are NumPy's."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ..internals import Room, internals, pointer


@pytest.fixture(scope="module")
def library():
    library = internals()
    library.sf_percentile_f32.restype = ctypes.c_double
    library.sf_percentile_f32.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_double)
    return library


VALUES = hnp.arrays(
    np.float32,
    st.integers(1, 40),
    elements=st.floats(-1e6, 1e6, width=32) | st.sampled_from([0.0, 0.25, 1.0]),
)


@given(VALUES, st.sampled_from([0, 5, 50, 90, 95, 100]) | st.integers(0, 100))
@settings(max_examples=100, deadline=None)
def test_any_percentile(library, values, percent):
    before = values.copy()
    with Room() as room:
        got = library.sf_percentile_f32(room.address, pointer(values), values.size, percent)
    assert got == float(np.percentile(values, percent))
    np.testing.assert_array_equal(values, before)


def test_of_many(library):
    values = np.random.default_rng(0).normal(size=100_001).astype(np.float32)
    with Room() as room:
        for percent in (0, 1, 50, 90, 99, 100):
            got = library.sf_percentile_f32(room.address, pointer(values), values.size, percent)
            assert got == float(np.percentile(values, percent))
