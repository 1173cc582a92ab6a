# SPDX-License-Identifier: Apache-2.0
"""The verdict names what is wrong with a photo."""

from __future__ import annotations

import numpy as np
import pytest

from stillflow.assess import assess, sharpness
from stillflow.errors import StillflowError
from stillflow.photo import Photo

from .scenes import falling_motion, textured


def changed(motion, **fields):
    return type(motion)(**(vars(motion) | fields))


def sideways(height, width, speed):
    """A narrow upright band of water that runs across itself: nothing of it stays inside."""
    motion = falling_motion(height, width, 0.0)
    matte = np.zeros_like(motion.matte)
    middle = matte.shape[1] // 2
    matte[:, middle - 8 : middle + 8] = 1
    velocity = np.zeros_like(motion.velocity)
    velocity[..., 0] = speed
    return changed(motion, matte=matte, classes=matte.astype(np.uint8), velocity=velocity)


def test_a_sharp_large_fall_is_good():
    verdict = assess(Photo.from_array(textured(480, 640)), falling_motion(480, 640, 0.05))
    assert verdict.score >= 2, verdict


def test_nothing_to_move_is_zero():
    motion = falling_motion(480, 640)
    verdict = assess(Photo.from_array(textured(480, 640)), changed(motion, matte=np.zeros_like(motion.matte)))
    assert verdict.score == 0
    assert "nothing" in verdict.reasons[0]


def test_each_fault_costs_and_is_named():
    photo, motion = Photo.from_array(textured(480, 640)), falling_motion(480, 640, 0.05)
    best = assess(photo, motion).score
    faults = {
        "blurred": (Photo.from_array(np.full((480, 640, 3), 90, np.uint8)), motion),
        "small": (Photo.from_array(textured(120, 160)), falling_motion(120, 160, 0.05)),
        "uncertain": (photo, changed(motion, confidence=np.zeros_like(motion.confidence))),
        "leave its region": (photo, sideways(480, 640, 0.5)),
    }
    for word, (picture, moved) in faults.items():
        verdict = assess(picture, moved)
        assert verdict.score < best, word
        assert any(word in reason for reason in verdict.reasons), (word, verdict.reasons)


def test_sharpness_tells_noise_from_fog():
    assert sharpness(Photo.from_array(textured(300, 300))) > 10 * sharpness(
        Photo.from_array(np.full((300, 300, 3), 128, np.uint8))
    )


def test_a_ribbon_of_a_panorama_is_judged_too():
    verdict = assess(Photo.from_array(textured(20, 2000)), falling_motion(20, 2000, 0.01))
    assert verdict.measures["long_side"] == 2000


def test_what_the_user_says_moves_is_not_refused():
    photo = Photo.from_array(textured(480, 640))
    motion = falling_motion(480, 640, 0.05)
    matte = np.zeros_like(motion.matte)
    matte[60:64, 80:86] = 1
    small = changed(motion, matte=matte, classes=matte.astype(np.uint8))
    assert assess(photo, small).verdict == "unsuitable"
    placed = assess(photo, small, placed=True)
    assert placed.verdict == "good" and placed.chance == 1
    with pytest.raises(StillflowError, match="nothing") as caught:
        assess(photo, small).refuse("candle.jpg")
    assert "candle.jpg" in caught.value.what and "--force" in caught.value.fix
    placed.refuse("candle.jpg")


def test_a_person_makes_it_worse_and_is_named():
    photo, motion = Photo.from_array(textured(480, 640)), falling_motion(480, 640, 0.05)
    sway = changed(motion, classes=np.where(motion.classes > 0, 6, 0).astype(np.uint8))
    verdict = assess(photo, sway)
    assert verdict.score <= 1
    assert any("breathe" in reason for reason in verdict.reasons)
    assert 0 < verdict.chance < assess(photo, motion).chance


def test_too_fast_is_risky_with_the_strength_that_would_be_clean():
    verdict = assess(Photo.from_array(textured(480, 640)), sideways(480, 640, 0.5))
    assert verdict.verdict == "risky"
    assert verdict.strength < 1
    assert verdict.strength_why in verdict.warnings


def test_the_network_has_the_first_word():
    photo, motion = Photo.from_array(textured(480, 640)), falling_motion(480, 640, 0.05)
    chances = [assess(photo, changed(motion, suitability=own)).chance for own in (0.0, 0.3, 0.7, 1.0)]
    assert chances == sorted(chances)
    assert chances[0] < 0.1 and chances[-1] > 0.9
    doubted = assess(photo, changed(motion, suitability=0.3))
    assert doubted.score <= 1 and doubted.reasons
    assert doubted.measures["network"] == pytest.approx(0.3)
