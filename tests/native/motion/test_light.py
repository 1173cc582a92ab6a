# SPDX-License-Identifier: Apache-2.0
"""stillflow.light in C: flames, lamps and faces shine as Python says, and light touches the same pixels."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from stillflow import light
from stillflow.oscillation import Oscillation

from ..internals import Room, internals, pointer
from .oscillations import FIRE, FOLIAGE, PERSON, STATIC, CPart, Scenery, everything, given, statuses, taken

LIMIT = 9
"""SF_ERROR_LIMIT."""

AGREES = 1e-4
"""Parts of the largest coefficient."""


def in_c(s: Scenery, strength: float = 1.0, seed: int = 0) -> Oscillation:
    (height, width), (h, w), part = s.photo.shape[:2], s.matte.shape, CPart()
    fields = [pointer(a) for a in (s.matte, s.classes)]
    wanted = (ctypes.c_double(strength), ctypes.c_uint32(seed), ctypes.byref(part))
    internals().sf_predict_light.restype = None
    with Room() as room:
        internals().sf_predict_light(room.address, pointer(s.photo), height, width, *fields, h, w, *wanted)
        return taken(part, h, w)


def difference(s: Scenery, strength: float = 1.0, seed: int = 0) -> float:
    """Largest difference of a coefficient, in parts of the largest one."""
    got = in_c(s, strength, seed)
    known = light.predict_light(s.photo, s.matte, s.classes, strength=strength, seed=seed)
    assert np.array_equal(got.hz, known.hz)
    assert got.coefficients.shape == known.coefficients.shape
    most = np.abs(known.coefficients).max()
    assert most > light.LEAST / 10
    return float(np.abs(got.coefficients - known.coefficients).max() / most)


@pytest.mark.parametrize("night", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_everything_shines_as_in_python(seed, night):
    assert difference(everything(seed, night=night), seed=seed) < AGREES


@pytest.mark.parametrize("kind", [FIRE, PERSON])
def test_each_kind_alone_shines_as_in_python(kind):
    s = everything(4)
    assert difference(s._replace(matte=s.matte * (s.classes == kind)), seed=4) < AGREES


def test_lamps_alone_tremble_as_in_python():
    s = everything(5, night=True)
    s = s._replace(matte=np.zeros_like(s.matte), classes=np.full_like(s.classes, STATIC))
    assert difference(s, seed=5) < AGREES


def test_a_gray_picture_and_a_large_field_shine_as_in_python():
    s = everything(6, 130, 220)
    gray = np.repeat(s.photo[..., :1], 3, axis=-1)
    assert difference(s._replace(photo=gray), strength=3.0, seed=2**32 - 1) < AGREES


def test_photos_shine_as_in_python(seen):
    """What flows in them, called fire: the network finds none in the samples."""
    for one in seen:
        kinds = np.where(one.motion.classes == FOLIAGE, STATIC, FIRE).astype(np.uint8)
        s = Scenery(one.photo.pixels, one.motion.matte, kinds, one.motion.order)
        assert difference(s, seed=1) < AGREES


def test_nothing_shines_by_day_or_without_strength():
    s = everything(1)
    assert not len(in_c(s, strength=0).hz)
    assert not len(in_c(s._replace(matte=np.zeros_like(s.matte))).hz)


def test_a_room_that_is_too_small_is_an_error():
    night = everything(2, night=True)
    assert statuses("test_draw_light", night, [1 << n for n in range(6, 22)]) == [LIMIT] * 16
    assert statuses("test_draw_light", night, [1 << 28]) == [0]


@for_all(seed=st.integers(0, 10_000), count=st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_light_touches_the_pixels_that_python_names(seed, count):
    rng = np.random.default_rng(seed)
    h, w = rng.integers(2, 20, 2)
    field = rng.normal(0, 0.4 * light.LEAST, (count, h, w, 2)).astype(np.float32)
    part = given(Oscillation(field, np.ones(count, np.float32)))
    mask = np.ones((4 * h, 4 * w), np.uint8)
    internals().sf_light_touches.restype = None
    with Room() as room:
        sizes = (int(h), int(w), int(4 * h), int(4 * w))
        internals().sf_light_touches(room.address, ctypes.byref(part), *sizes, pointer(mask))
    assert (mask != light.touched(field, 4 * h, 4 * w)).mean() < 0.002
