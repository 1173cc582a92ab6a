# SPDX-License-Identifier: Apache-2.0
"""The local mean of a plate, as Python finds it."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from stillflow.scene import local_mean

from ..internals import Room, internals, pointer


@pytest.mark.parametrize("size", [(64, 96), (37, 53), (1, 1), (3, 130)])
def test_it_is_that_of_python(size: tuple[int, int]) -> None:
    plate = np.random.default_rng(5).integers(0, 256, (*size, 3), np.uint8)
    expected = local_mean(plate)
    found = np.full_like(expected, np.nan)
    call = internals().sf_local_mean
    call.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32, ctypes.c_int32, ctypes.c_void_p)
    with Room() as room:
        call(room.address, pointer(plate), *size, pointer(found))
    np.testing.assert_allclose(found, expected, atol=1e-4)
