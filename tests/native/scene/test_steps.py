# SPDX-License-Identifier: Apache-2.0
"""Numbers in whole steps: the exponents and the rounding of docs/sflow.md."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ..internals import internals, pointer


def rounded(values: np.ndarray, least: int) -> tuple[np.ndarray, int]:
    """sf_round_to_steps of a copy."""
    call = internals().sf_round_to_steps
    call.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int32)
    call.restype = ctypes.c_int32
    result = np.array(values, np.float32)
    return result, call(pointer(result), result.size, least)


@settings(deadline=None)  # the first call builds the library
@given(
    st.lists(st.floats(-1e5, 1e5, width=32), min_size=1, max_size=40),
    st.integers(-20, -1),
)
def test_numbers_are_the_nearest_whole_steps_and_fit_into_int16(values: list[float], least: int) -> None:
    given_values = np.array(values, np.float32)
    result, exponent = rounded(given_values, least)
    steps = result.astype(np.float64) / 2.0**exponent
    assert (steps == np.rint(given_values.astype(np.float64) / 2.0**exponent)).all()
    assert np.abs(steps).max() <= 32767
    finer = np.rint(np.abs(given_values.astype(np.float64)) / 2.0 ** (exponent - 1)).max()
    assert exponent == least or finer > 32767


def test_halves_go_to_the_even_step() -> None:
    result, exponent = rounded(np.array([0.5, 1.5, 2.5, -0.5, -1.5], np.float32) / 1024, -10)
    assert exponent == -10
    assert (result * 1024).tolist() == [0, 2, 2, 0, -2]


@pytest.mark.parametrize("odd", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_stays_so_and_ends(odd: float) -> None:
    result, _ = rounded(np.array([1, odd], np.float32), -8)
    assert not np.isfinite(result[1])
