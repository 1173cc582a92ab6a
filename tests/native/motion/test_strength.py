# SPDX-License-Identifier: Apache-2.0
"""The strength that suits a motion is the one that Python finds."""

from __future__ import annotations

import ctypes
from dataclasses import replace

import numpy as np
import pytest

from stillflow.artefacts import safe_strength
from stillflow.assess import assess, chance_of
from stillflow.motion import Motion
from stillflow.photo import Photo

from ..internals import Room, internals
from .motions import in_c


def strength_in_c(motion: Motion, seconds: float = 4.0) -> float:
    """sf_suited_strength."""
    given_motion, _arrays = in_c(motion)
    call = internals().sf_suited_strength
    call.argtypes, call.restype = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_double), ctypes.c_double
    with Room() as room:
        return float(call(room.address, ctypes.byref(given_motion), seconds))


def river(rows: int, across: int, speed: float, w: int = 300) -> Motion:
    """Water of rows x across samples in a picture of 60 x w samples."""
    h = 60
    classes = np.zeros((h, w), np.uint8)
    classes[20 : 20 + rows, 50 : 50 + across] = 1
    velocity = np.zeros((h, w, 2), np.float32)
    velocity[..., 0], velocity[..., 1] = speed, speed / 5
    return Motion(
        velocity=velocity,
        matte=(classes > 0).astype(np.float32),
        classes=classes,
        confidence=np.ones((h, w), np.float32),
        sway=np.zeros((0, h, w, 4), np.float32),
        height=4 * h,
        width=4 * w,
    )


def test_real_photos_are_slowed_as_in_python(seen) -> None:
    found = set()
    for one in seen:
        for factor in (0.5, 1, 2, 4):
            motion = replace(one.motion, velocity=one.motion.velocity * np.float32(factor))
            for seconds in (2.0, 4.0):
                strength = strength_in_c(motion, seconds)
                assert strength == assess(one.photo, motion, seconds=seconds).strength
                found.add(strength)
    assert len(found) > 1  # not everything is left as it is


@pytest.mark.parametrize("across", [20, 90, 200])
def test_water_that_would_leave_its_bed_is_slowed_as_in_python(across: int) -> None:
    for speed in np.geomspace(0.004, 0.4, 12):
        motion = river(20, across, float(speed))
        assert strength_in_c(motion) == safe_strength(motion)


def test_where_next_to_nothing_moves_nothing_is_slowed() -> None:
    motion = river(3, 8, 0.4, 150)
    assert safe_strength(motion) < 1
    photo = Photo(np.zeros((240, 600, 3), np.uint8))
    assert strength_in_c(motion) == assess(photo, motion).strength == 1


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1), (2, 400)])
def test_any_size_of_picture_is_judged(size: tuple[int, int]) -> None:
    velocity = np.full((*size, 2), 0.3, np.float32)
    motion = replace(
        river(20, 20, 0.1),
        velocity=velocity,
        matte=np.ones(size, np.float32),
        classes=np.ones(size, np.uint8),
        confidence=np.ones(size, np.float32),
        sway=np.zeros((0, *size, 4), np.float32),
        light=np.zeros((0, *size, 2), np.float32),
        order=np.zeros(size, np.uint8),
        doubt=np.zeros(size, np.float32),
        height=4 * size[0],
        width=4 * size[1],
    )
    assert strength_in_c(motion) == safe_strength(motion)


def chance_in_c(motion: Motion) -> float:
    """sf_chance."""
    given_motion, _arrays = in_c(motion)
    given_motion.suitability = motion.suitability
    call = internals().sf_chance
    call.argtypes, call.restype = (ctypes.c_void_p,), ctypes.c_double
    return float(call(ctypes.byref(given_motion)))


def test_the_chance_of_a_good_loop_is_as_in_python(seen) -> None:
    for one in seen:
        for said in (one.motion.suitability, 0.0, 0.003, 0.2, 0.73, 1.0):
            motion = replace(one.motion, suitability=said)
            assert chance_in_c(motion) == pytest.approx(assess(one.photo, motion).chance, abs=1e-7)
            assert chance_in_c(motion) == pytest.approx(chance_of({"network": np.float32(said)}), abs=1e-7)


def test_where_nothing_moves_there_is_no_chance() -> None:
    still = replace(river(4, 20, 0.01), classes=np.zeros((60, 300), np.uint8), suitability=1.0)
    assert chance_in_c(still) == 0


def test_a_network_that_does_not_say_leaves_it_open() -> None:
    assert np.isnan(chance_in_c(replace(river(20, 200, 0.01), suitability=np.nan)))
