# SPDX-License-Identifier: Apache-2.0
"""How feature scenes move: fields as they are; motions cut, closed more often and slowed down where they must be."""

from __future__ import annotations

import numpy as np
import pytest

from stillflow.features.splat_motion import LONGEST_TRAVEL, splat_motion
from stillflow.guidance import Guidance, Hints
from stillflow.photo import Photo

from ..scenes import falling_motion, textured


def plan(speed: float, seconds: float = 4.0, fps: float = 30.0):
    photo, motion = Photo.from_array(textured(96, 128)), falling_motion(96, 128, speed)
    return splat_motion(photo, motion, Hints(), seconds=seconds, fps=fps)


def test_a_motion_is_cut_at_its_region() -> None:
    found = plan(0.04)
    middle = found.velocity[20:76, 44:84]
    assert middle[..., 1] == pytest.approx(0.04 * 128 / 30, abs=1e-4)
    assert not found.velocity[:, :20].any() and not found.velocity[:, -20:].any()
    assert (found.cycles, found.speed_scale) == (1, 1.0)


def test_what_travels_far_closes_more_often_and_then_slows_down() -> None:
    assert (plan(0.08).cycles, plan(0.08).speed_scale) == (2, 1.0)
    fast = plan(0.5)
    assert fast.cycles == 2
    travel = np.hypot(*fast.velocity[40, 64]) * 60 / 128
    assert travel == pytest.approx(LONGEST_TRAVEL, rel=0.02)
    assert fast.speed_scale == pytest.approx(LONGEST_TRAVEL / (0.5 * 2), rel=0.02)


def test_cycles_are_whole_numbers_of_frames() -> None:
    assert plan(0.5, fps=5.25).cycles == 1, "21 frames are not two equal cycles"
    assert plan(0.5, seconds=1).cycles == 1
    assert plan(0.5, seconds=10, fps=12).cycles == 5


def test_nothing_that_flows_is_nothing_that_moves() -> None:
    photo, motion = Photo.from_array(textured(96, 128)), falling_motion(96, 128)
    still = type(motion)(**(vars(motion) | {"matte": np.zeros_like(motion.matte)}))
    found = splat_motion(photo, still, Hints(), seconds=2, fps=30)
    assert not found.velocity.any() and found.cycles == 1


def test_a_field_is_its_nearest_sample_where_maps_allow_and_never_slowed_down() -> None:
    photo, motion = Photo.from_array(textured(16, 24)), falling_motion(16, 24)
    field = np.array([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], np.float32)
    mask, still = np.ones((16, 24)), np.zeros((16, 24))
    mask[0], still[:, 23] = 0, 1
    hints = Guidance(velocity=field, mask=mask, still=still, strength=0.5).resolve(16, 24)
    found = splat_motion(photo, motion, hints, seconds=4, fps=30)
    velocity = found.velocity
    assert velocity[1, 0] == pytest.approx([0.5 * 1 * 12, 0.5 * 2 * 8])
    assert velocity[7, 11] == pytest.approx([0.5 * 1 * 12, 0.5 * 2 * 8])
    assert velocity[8, 12] == pytest.approx([0.5 * 7 * 12, 0.5 * 8 * 8])
    assert not velocity[0].any() and not velocity[:, 23].any()
    assert (found.cycles, found.speed_scale) == (1, 1.0)
