# SPDX-License-Identifier: Apache-2.0
"""stillflow.sway in C: plants, cloth, people and animals sway as Python says, in made pictures and in photos."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from stillflow import Animator
from stillflow.animator import load_photo
from stillflow.oscillation import Oscillation
from stillflow.sway import predict_sway

from ..internals import Room, internals, pointer
from .oscillations import ANIMAL, CLOTH, FOLIAGE, PERSON, CPart, Scenery, everything, taken

ROOT = Path(__file__).resolve().parents[3]

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


@pytest.fixture(scope="module")
def photos() -> Iterator[list[Scenery]]:
    """Two samples as the flow network sees them."""
    with Animator() as animator:
        known = []
        for name in ("waterfall", "fog"):
            photo = load_photo(ROOT / "samples" / f"{name}.jpg").fitted(640)
            motion = animator.motion(photo)
            known.append(Scenery(photo.pixels, motion.matte, motion.classes, motion.order))
        yield known


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


def test_photos_sway_as_in_python(photos):
    assert max(difference(photo, seed=seed) for photo in photos for seed in (0, 1)) < AGREES


def test_nothing_sways_without_strength_or_without_what_sways():
    s = everything(1)
    assert not len(in_c(s, strength=0).hz)
    assert not len(in_c(s._replace(matte=np.zeros_like(s.matte))).hz)
