# SPDX-License-Identifier: Apache-2.0
"""stillflow.sway in C: plants, cloth, people and animals sway as Python says, in made pictures and in photos."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from stillflow.oscillation import Oscillation
from stillflow.sway import predict_sway

from ..internals import Room, internals, pointer
from .oscillations import ANIMAL, CLOTH, FOLIAGE, PERSON, CPart, Scenery, everything, statuses, taken

LIMIT = 9
"""SF_ERROR_LIMIT."""

AGREES = 1e-4
"""Parts of the largest coefficient."""


def in_c(s: Scenery, strength: float = 1.0, seed: int = 0) -> Oscillation:
    (height, width), (h, w), part = s.photo.shape[:2], s.matte.shape, CPart()
    fields = [pointer(a) for a in (s.matte, s.classes, s.order)]
    settings = (ctypes.c_double(strength), ctypes.c_uint32(seed), ctypes.byref(part))
    internals().sf_predict_sway.restype = None
    with Room() as room:
        internals().sf_predict_sway(room.address, pointer(s.photo), height, width, *fields, h, w, *settings)
        return taken(part, h, w)


def difference(s: Scenery, strength: float = 1.0, seed: int = 0) -> float:
    """Largest difference of a coefficient, in parts of the largest one."""
    got = in_c(s, strength, seed)
    known = predict_sway(*s, strength=strength, seed=seed)
    assert np.array_equal(got.hz, known.hz)
    assert got.coefficients.shape == known.coefficients.shape
    most = np.abs(known.coefficients).max()
    assert most > 1e-5
    return float(np.abs(got.coefficients - known.coefficients).max() / most)


@pytest.mark.parametrize("seed", range(4))
def test_all_kinds_sway_as_in_python(seed):
    assert difference(everything(seed), seed=seed) < AGREES


@pytest.mark.parametrize("kind", [FOLIAGE, PERSON, ANIMAL, CLOTH])
def test_each_kind_alone_sways_as_in_python(kind):
    s = everything(7)
    assert difference(s._replace(matte=s.matte * (s.classes == kind)), seed=7) < AGREES


def test_a_field_larger_than_what_is_drawn_is_interpolated():
    assert difference(everything(3, 135, 240), strength=0.5, seed=2**32 - 1) < AGREES


def test_a_picture_of_a_few_samples_sways():
    assert difference(everything(5, 24, 17), seed=1) < AGREES


@pytest.mark.parametrize(("h", "w"), [(1, 1), (2, 1), (3, 3), (7, 200)])
def test_fields_of_any_shape_sway(h, w):
    rng = np.random.default_rng(h * w)
    photo = rng.integers(0, 256, (4 * h - 1, 4 * w - 2, 3)).astype(np.uint8)
    order = rng.integers(0, 4, (h, w)).astype(np.uint8)
    s = Scenery(photo, np.ones((h, w), np.float32), np.full((h, w), FOLIAGE, np.uint8), order)
    known = predict_sway(*s, seed=2).coefficients
    assert np.allclose(in_c(s, seed=2).coefficients, known, atol=AGREES * max(np.abs(known).max(), 1e-6))


def test_a_room_that_is_too_small_is_an_error():
    assert statuses("test_draw_sway", everything(2), [1 << n for n in range(6, 23)]) == [LIMIT] * 17
    assert statuses("test_draw_sway", everything(2), [1 << 28]) == [0]


def test_photos_sway_as_in_python(seen):
    for one in seen:
        s = Scenery(one.photo.pixels, one.motion.matte, one.motion.classes, one.motion.order)
        assert max(difference(s, seed=seed) for seed in (0, 1)) < AGREES


def test_nothing_sways_without_strength_or_without_what_sways():
    s = everything(1)
    assert not len(in_c(s, strength=0).hz)
    assert not len(in_c(s._replace(matte=np.zeros_like(s.matte))).hz)
