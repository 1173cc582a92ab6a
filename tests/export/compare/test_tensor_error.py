# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from stillflow_export.compare.tensor_error import tensor_error, worse

FLOATS = arrays_of.arrays(
    np.float32, arrays_of.array_shapes(max_dims=3, max_side=4), elements=st.floats(-1e6, 1e6, width=32)
)


def test_figures_by_hand() -> None:
    a = np.array([3.0, -4.0], np.float32)
    error = tensor_error(a, a + np.float32([0.3, -0.4]), "s")
    assert error.relative == pytest.approx(0.1, rel=1e-5)
    assert error.max_abs == pytest.approx(0.4, rel=1e-5)
    assert error.cosine == pytest.approx(1)
    assert error.scale == pytest.approx(np.sqrt(12.5))
    assert tensor_error(a, -a, "s").cosine == pytest.approx(-1)


def test_nan_on_one_side_is_infinitely_far_and_on_both_sides_is_not() -> None:
    a = np.array([1.0, np.nan, np.inf, -np.inf], np.float32)
    assert tensor_error(a, a, "s").relative == 0
    for other in ([1, 2, np.inf, -np.inf], [1, np.nan, -np.inf, -np.inf], [np.nan] * 4):
        assert tensor_error(a, np.array(other, np.float32), "s").relative == np.inf
    assert tensor_error(a, a[:3], "s").relative == np.inf


def test_zeros_have_no_scale() -> None:
    zeros = np.zeros(4, np.float32)
    assert tensor_error(zeros, zeros, "s").relative == 0
    assert tensor_error(zeros, zeros, "s").cosine == 1
    assert tensor_error(zeros, zeros + 1, "s").relative > 1e9
    assert tensor_error(zeros[:0], zeros[:0], "s").relative == 0


def test_worse_is_relatively_worse() -> None:
    a = np.ones(4, np.float32)
    near, far = tensor_error(a, a * 1.1, "near"), tensor_error(a, a * 2, "far")
    assert worse(None, near) is near
    assert worse(near, far) is worse(far, near) is far


@given(FLOATS)
def test_a_tensor_is_no_distance_from_itself_in_any_format(array: np.ndarray) -> None:
    error = tensor_error(array, array, "s")
    assert error.relative == error.max_abs == 0
    half = tensor_error(array, np.clip(array, -6e4, 6e4).astype(np.float16).astype(np.float32), "s")
    assert half.relative >= 0
    assert -1 <= half.cosine <= 1
