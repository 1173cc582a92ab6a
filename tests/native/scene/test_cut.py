# SPDX-License-Identifier: Apache-2.0
"""Regions are cut along the same pixels as in Python."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from stillflow import region

from ..internals import Room, internals, pointer
from ..raster.pictures import plain_opencv
from .calls import motion_fields
from .invented import invented_motion, invented_photo, patches

SIZES = [(96, 128), (61, 83), (16, 200)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("sides", [2, 3, 4])
def test_margins(size: tuple[int, int], sides: int) -> None:
    rng = np.random.default_rng(sides)
    photo = invented_photo(rng, *size, "colours").pixels
    h, w = -(-size[0] // 4), -(-size[1] // 4)
    shares = rng.random((sides, h, w)).astype(np.float32)
    with plain_opencv():
        expected = region.margins(shares, photo)
    found = np.full_like(expected, np.nan)
    with Room() as room:
        internals().sf_margins(
            room.address, sides, pointer(shares), h, w, pointer(photo), *size, pointer(found)
        )
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert ((found > 0) != (expected > 0)).mean() < 1e-3


@pytest.mark.parametrize("seed", range(4))
def test_what_flows_what_sways_and_which_class_it_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = SIZES[seed % len(SIZES)]
    photo, motion = invented_photo(rng, *size, "colours"), invented_motion(rng, *size)
    with plain_opencv():
        expected = region.flow_region(motion, photo.pixels)
        kinds = region.flow_kinds(motion, photo.pixels)
    found, found_kinds = [np.full(size, 9, np.uint8) for _ in range(2)], np.full_like(kinds, 77)
    fields = ctypes.byref(motion_fields(motion))
    with Room() as room:
        internals().sf_flow_region(room.address, fields, pointer(photo.pixels), *map(pointer, found))
        internals().sf_flow_kinds(room.address, fields, pointer(photo.pixels), pointer(found_kinds))
    for a, b in zip((*found, found_kinds), (*expected, kinds), strict=True):
        assert (a != b).mean() < 1e-3


def test_a_small_hole_stays_where_it_surely_stands_before_what_flows() -> None:
    size = (240, 640)
    motion = invented_motion(np.random.default_rng(0), *size)
    pixels = np.full((*size, 3), (90, 130, 220), np.uint8)
    pixels[:, 320:] = (60, 120, 40)
    pixels[200:] = (20, 15, 10)
    pixels[184:188, 100:106] = pixels[184:188, 500:506] = (20, 15, 10)  # as dark as the ground
    motion.classes[:] = 2
    motion.classes[:, 80:] = 5
    motion.classes[50:] = 0
    motion.matte[:] = 1
    with plain_opencv():
        expected = region.flow_region(motion, pixels)
    found = [np.full(size, 9, np.uint8) for _ in range(2)]
    with Room() as room:
        fields = ctypes.byref(motion_fields(motion))
        internals().sf_flow_region(room.address, fields, pointer(pixels), *map(pointer, found))
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    flows, sways = found
    assert not flows[186, 103], "the hole in what flows was filled"
    assert sways[186, 503], "the hole in what sways was not"


@pytest.mark.parametrize("ramp", [0.5, 6.0, 19.3])
def test_an_inner_ramp(ramp: float) -> None:
    mask = patches(np.random.default_rng(3), 70, 90, (0, 255))
    expected = region.inner_ramp(mask, ramp)
    found = np.full_like(expected, 7)
    call = internals().sf_inner_ramp
    call.argtypes = (
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_double,
        ctypes.c_void_p,
    )
    with Room() as room:
        call(room.address, pointer(mask), *mask.shape, ramp, pointer(found))
    assert (found != expected).sum() == 0
