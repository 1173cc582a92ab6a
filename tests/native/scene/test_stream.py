# SPDX-License-Identifier: Apache-2.0
"""Streams are followed to the same lips and feet as in Python, and settle to the same speeds."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from stillflow import stream

from ..internals import Room, internals, pointer
from ..raster.pictures import plain_opencv
from .invented import invented_motion


class Course(ctypes.Structure):
    """sf_course."""

    _fields_ = tuple((name, ctypes.c_void_p) for name in ("up", "down", "lip", "foot"))


def course_fields(course: stream.Course) -> tuple[Course, list[np.ndarray]]:
    kept = [np.ascontiguousarray(v, np.float32) for v in (course.up, course.down)]
    kept += [np.ascontiguousarray(v, np.uint8) for v in (course.lip, course.foot)]
    return Course(*(pointer(v) for v in kept)), kept


@pytest.mark.parametrize("seed", range(4))
def test_a_course_its_lips_and_its_speeds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    motion = invented_motion(rng, 200, 280)
    h, w = motion.matte.shape
    layers = np.where((motion.classes > 0) & (motion.classes < 5), motion.classes, 0).astype(np.uint8)
    layers[10:30, 20:50] = 1
    velocity = motion.velocity.copy()
    velocity[10:30, 20:50] = (0.01, 0.09)  # a fall
    with plain_opencv():
        expected = stream.follow(velocity, layers, motion.order)
    course = Course()
    with Room() as room:
        internals().sf_follow(
            room.address,
            pointer(velocity),
            pointer(layers),
            pointer(motion.order),
            h,
            w,
            ctypes.byref(course),
        )
        for name, kind in (("up", np.float32), ("down", np.float32), ("lip", np.uint8), ("foot", np.uint8)):
            size = h * w * np.dtype(kind).itemsize
            found = np.frombuffer(ctypes.string_at(getattr(course, name), size), kind).reshape(h, w)
            np.testing.assert_allclose(found, getattr(expected, name), atol=1e-3, err_msg=name)
    assert expected.lip.any()

    travel = (rng.random((h, w)) * 30).astype(np.float32)
    given, kept = course_fields(expected)
    with plain_opencv():
        factor = stream.settle(expected, travel)
    found, trust = np.full_like(factor, np.nan), np.full_like(factor, np.nan)
    with Room() as room:
        internals().sf_settle(room.address, ctypes.byref(given), pointer(travel), h, w, pointer(found))
    internals().sf_trust_at_lips(ctypes.byref(given), h, w, pointer(trust))
    del kept
    np.testing.assert_allclose(found, factor, atol=1e-5)
    assert np.array_equal(trust, stream.doubt(expected))
    assert trust.min() < 1
