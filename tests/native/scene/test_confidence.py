# SPDX-License-Identifier: Apache-2.0
"""Each place is trusted as a source as far as in Python."""

from __future__ import annotations

import ctypes

import cv2
import numpy as np
import pytest

from stillflow import scene
from stillflow.kernels.reference import CONFIDENCE_FLOOR

from ..internals import Room, internals, pointer
from ..raster.pictures import plain_opencv
from .invented import patches


class Regions(ctypes.Structure):
    """sf_regions."""

    _fields_ = (
        ("height", ctypes.c_int),
        ("width", ctypes.c_int),
        ("h", ctypes.c_int),
        ("w", ctypes.c_int),
        ("unit", ctypes.c_double),
        ("flows", ctypes.c_void_p),
        ("sways", ctypes.c_void_p),
        ("kinds", ctypes.c_void_p),
        ("order", ctypes.c_void_p),
        ("known", ctypes.c_void_p),
    )


@pytest.mark.parametrize("seed", range(4))
def test_it_is_that_of_python(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = 160, 700
    h, w, unit = 40, 175, width / 1280
    sides = patches(rng, height, width, (0, 1, 2, 3))
    for y, x in zip(rng.integers(0, height - 8, 20), rng.integers(0, width - 8, 20), strict=True):
        sides[y : y + 8, x : x + 8] = 2
    flows, sways = ((np.isin(sides, values) * np.uint8(255)) for values in ((1,), (2,)))
    kinds, order = patches(rng, h, w, (1, 2, 3)), patches(rng, h, w, (0, 1, 2))
    at_lips = rng.random((h, w)).astype(np.float32)
    known = (cv2.resize(flows, (w, h), interpolation=cv2.INTER_AREA) > 252).astype(np.float32)
    with plain_opencv():
        flow = scene._flow_samples(flows, sways, kinds)
        apart = scene._apart(flow, unit)
        inside = scene._confidence_ramp(flows, sways, apart, unit)
        inside = np.maximum(inside, scene._confidence_behind(known, sways, order, unit))
    inside = np.maximum(inside * at_lips, CONFIDENCE_FLOOR)
    regions = Regions(height, width, h, w, unit, *map(pointer, (flows, sways, kinds, order, known)))
    found = [np.full_like(a, 9) for a in (flow, apart, inside)]
    at = ctypes.byref(regions)
    with Room() as room:
        internals().sf_flow_samples(room.address, at, pointer(found[0]))
        internals().sf_apart(room.address, at, pointer(flow), pointer(found[1]))
        internals().sf_confidence(room.address, at, pointer(apart), pointer(at_lips), pointer(found[2]))
    assert np.array_equal(found[0], flow)
    np.testing.assert_allclose(found[1], apart, atol=1e-5)
    np.testing.assert_allclose(found[2], inside, atol=1e-5)
