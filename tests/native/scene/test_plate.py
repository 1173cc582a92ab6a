# SPDX-License-Identifier: Apache-2.0
"""A plate is continued with the same texture on the same colours as in Python."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from stillflow import layer

from ..internals import Room, internals, pointer
from ..raster.pictures import plain_opencv
from .invented import invented_photo, patches


def continued(
    photo: np.ndarray, region: np.ndarray, owner: np.ndarray, fill: np.ndarray, reach: float
) -> np.ndarray:
    """sf_continue_plate."""
    plate = np.full_like(photo, 123)
    at, size = ctypes.c_void_p, ctypes.c_int
    call = internals().sf_continue_plate
    call.argtypes = (at, at, at, size, size, at, at, size, size, ctypes.c_double, at)
    with Room() as room:
        call(
            room.address,
            pointer(photo),
            pointer(region),
            *region.shape,
            pointer(owner),
            pointer(fill),
            *owner.shape,
            reach,
            pointer(plate),
        )
    return plate


@pytest.mark.parametrize(("seed", "reach"), [(0, 12.0), (1, 0.3), (2, 40.0)])
def test_it_is_that_of_python(seed: int, reach: float) -> None:
    rng = np.random.default_rng(seed)
    height, width = 75, 110
    photo = invented_photo(rng, height, width, "colours").pixels
    region = patches(rng, height, width, (0, 1, 2))
    region[10:40] = 0
    region[20:23, 10:60] = 2  # thin: narrower than the distance to mirror over
    owner = patches(rng, 19, 28, (1, 2))
    fill = rng.uniform(0, 255, (19, 28, 3)).astype(np.float32)
    with plain_opencv():
        expected = layer.continue_plate(photo, region, owner, fill, reach)
    plate = continued(photo, region, owner, fill, reach)
    differing = plate != expected
    assert differing.mean() < 1e-3
    assert np.abs(plate.astype(int) - expected).max() <= 1
    assert (expected != photo).any()


def test_a_fill_beyond_white_is_white() -> None:
    region = np.zeros((32, 32), np.uint8)
    region[:, :8] = 1
    photo = np.full((32, 32, 3), 250, np.uint8)
    fill = np.full((8, 8, 3), 258, np.float32)
    assert continued(photo, region, np.ones((8, 8), np.uint8), fill, 4.0).min() >= 250
