# SPDX-License-Identifier: Apache-2.0
"""Scenes that the kernels on a GPU cannot play are refused before anything is copied."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from stillflow.errors import StillflowError
from stillflow.kernels.arrays import SceneArrays, field_shape
from stillflow.kernels.cuda_material import check, constant_arrays
from stillflow.kernels.moving import find_moving

from ..scenes import random_arrays


@pytest.mark.parametrize("name", ["velocity", "inside", "low", "sway", "light", "blend"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -2e5])
def test_not_a_number_is_refused(name, value):
    arrays = random_arrays(np.random.default_rng(1), 32, 32, harmonics=1, lights=1, blend=True)
    bad = getattr(arrays, name).copy()
    bad.flat[5] = value
    with pytest.raises(StillflowError, match=name):
        check(dataclasses.replace(arrays, **{name: bad}))


@pytest.mark.parametrize(("height", "width"), [(65536, 1), (1, 65536), (11586, 11586)])
def test_a_picture_that_is_too_large_is_refused(height, width):
    h, w = field_shape(height, width)
    picture = np.zeros((height, width, 3), np.uint8)
    ones = np.ones((h, w), np.uint8)
    arrays = SceneArrays(
        photo=picture,
        plate=picture,
        matte=np.zeros((height, width), np.uint8),
        velocity=np.zeros((h, w, 2), np.float32),
        flow=ones,
        cycles=ones,
        inside=np.zeros((h, w), np.float32),
        sway=np.zeros((0, h, w, 4), np.float32),
        blend=None,
        low=np.zeros((h, w, 3), np.float32),
        frames=10,
    )
    with pytest.raises(StillflowError, match=f"{width}x{height}"):
        check(arrays)


def test_what_a_scene_lacks_is_empty_and_what_is_copied_is_dense():
    arrays = random_arrays(np.random.default_rng(2), 20, 30, harmonics=0, blend=False)
    cycles = arrays.cycles.copy()
    cycles[0, 0] = 7
    arrays = dataclasses.replace(arrays, cycles=cycles)
    made = constant_arrays(arrays, find_moving(arrays))
    assert all(array.flags.c_contiguous for array in made.values())
    assert all(made[name].size == 0 for name in ("sway", "light", "blend", "periods", "lit"))
    assert (
        set(made["counts"].tolist()) == set(np.unique(cycles).tolist()) and made["counts"].dtype == np.uint8
    )
    assert np.array_equal(made["low"][..., 3], arrays.inside)
