# SPDX-License-Identifier: Apache-2.0
"""Outlines bend by as much as in Python."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from stillflow.outline import bend_outlines
from stillflow.region import flow_region

from ..internals import Room, internals, pointer
from ..raster.pictures import plain_opencv
from ..structs import Oscillation
from .calls import motion_fields
from .invented import invented_motion, invented_photo


@pytest.mark.parametrize("seed", range(6))
def test_masks_and_sway(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = (120, 150)
    photo, motion = invented_photo(rng, *size, "colours"), invented_motion(rng, *size)
    with plain_opencv():
        masks = flow_region(motion, photo.pixels)
        flows, sways, expected = bend_outlines(motion, *masks)
    ours = [mask.copy() for mask in masks]
    swaying, fields = Oscillation(), motion_fields(motion)
    with Room() as room:
        internals().sf_bend_outlines(
            room.address, ctypes.byref(fields), *map(pointer, ours), ctypes.byref(swaying)
        )
        shape = expected.coefficients.shape
        assert swaying.count == shape[0]
        if swaying.count:
            bytes_of = ctypes.string_at(swaying.coefficients, expected.coefficients.nbytes)
            found = np.frombuffer(bytes_of, np.float32).reshape(shape)
            np.testing.assert_allclose(found, expected.coefficients, atol=1e-4)
            assert list(swaying.hz)[: swaying.count] == expected.hz.tolist()
    for a, b in zip(ours, (flows, sways), strict=True):
        assert (a != b).mean() < 1e-3
