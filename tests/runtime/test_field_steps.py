# SPDX-License-Identifier: Apache-2.0
"""Fields rounded to the steps of docs/sflow.md."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stillflow.errors import StillflowError
from stillflow.field_steps import LEAST_INSIDE, least_exponent, rounded, to_numbers, to_values
from stillflow.kernels.reference import CONFIDENCE_FLOOR

KINDS = ("velocity", "sway", "light", "blend")
FIELDS = hnp.arrays(np.float32, (3, 5), elements=st.floats(-1e6, 1e6, width=32))


@pytest.mark.parametrize(
    ("frames", "expected"), [(1, -7), (2, -8), (3, -9), (4, -9), (120, -14), (128, -14), (129, -15)]
)
def test_the_step_of_a_velocity_shrinks_as_the_loop_grows(frames: int, expected: int) -> None:
    assert least_exponent("velocity", frames) == expected
    assert 2.0**expected / 2 * frames <= 2**-8


@given(st.sampled_from(KINDS), FIELDS, st.integers(1, 2000))
@example("sway", np.full((3, 5), 32767.5 * 2**-9, np.float32), 1)
@example("sway", np.full((3, 5), 32767.4 * 2**-9, np.float32), 1)
def test_every_value_is_within_half_a_step_and_rounding_twice_changes_nothing(
    kind: str, values: np.ndarray, frames: int
) -> None:
    numbers, exponent = to_numbers(kind, values, frames)
    assert exponent >= least_exponent(kind, frames)
    near = to_values(numbers, exponent)
    assert np.abs(near.astype(np.float64) - values).max() <= 2.0**exponent / 2
    again, same = to_numbers(kind, near, frames)
    assert same == exponent
    assert np.array_equal(again, numbers)
    if exponent > least_exponent(kind, frames):
        # The step below would not have done.
        assert np.abs(np.rint(values.astype(np.float64) * 2.0 ** (1 - exponent))).max() > 32767


def test_halves_go_to_even_and_zero_has_no_sign() -> None:
    step = np.float32(2**-9)
    values = np.array([0.5, 1.5, 2.5, -0.5, -1.5, -0.2], np.float32) * step
    near = rounded("sway", values, 1)
    assert np.array_equal(near / step, [0, 2, 2, 0, -2, 0])
    assert not np.signbit(near[[0, 3, 5]]).any()


def test_confidence_stays_above_the_floor_of_the_kernels() -> None:
    near = rounded("inside", np.array([0, CONFIDENCE_FLOOR, 0.5, 1], np.float32), 120)
    assert np.array_equal(near * 1024, [LEAST_INSIDE, LEAST_INSIDE, 512, 1024])
    assert (LEAST_INSIDE - 1) / 1024 < CONFIDENCE_FLOOR < LEAST_INSIDE / 1024


@pytest.mark.parametrize("value", [np.nan, np.inf, 2.0**76])
def test_what_cannot_be_rounded_is_refused(value: float) -> None:
    with pytest.raises(StillflowError, match="cannot be rounded"):
        rounded("velocity", np.array([0, value], np.float32), 4)


def test_no_harmonics_are_no_numbers() -> None:
    assert rounded("sway", np.zeros((0, 4, 5, 4), np.float32), 30).shape == (0, 4, 5, 4)
