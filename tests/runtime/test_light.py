# SPDX-License-Identifier: Apache-2.0
"""Light is bounded, compact, looping, obeys the user's maps, and leaves daylight alone."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.kernels.reference import brightness, lookup
from stillflow.light import FACE, FLAME_MOST, GLOW_REACH, LEAST, change, predict_light, touched
from stillflow.motion import Motion
from stillflow.oscillation import distance_to, in_loop
from stillflow.photo import Photo
from stillflow.scene import build_scene

STATIC, FIRE, PERSON, SKY = 0, 4, 6, 9


def candle(h=60, w=80):
    """A flame in a dark room that it warms: (photo, moves, classes)."""
    classes = np.zeros((h, w), np.uint8)
    classes[20:28, 38:42] = FIRE
    y, x = np.mgrid[0 : 4 * h, 0 : 4 * w].astype(np.float32)
    shine = np.exp(-np.hypot(x - 160, y - 96) / 60)[..., None] * np.array([180, 110, 40], np.float32)
    photo = np.clip(shine + 8, 0, 255)
    photo[80:112, 152:168] = (255, 230, 150)
    return photo.astype(np.uint8), (classes == FIRE).astype(np.float32), classes


def factors(light, seconds=4.0, frames=120):
    """(n, h, w) brightness over a loop."""
    coefficients, periods = in_loop(light, seconds, frames)
    return np.stack([brightness(coefficients, t, frames, periods) for t in range(0, frames, 3)])


def test_a_flame_flickers_within_fifteen_percent_and_its_glow_less():
    photo, moves, classes = candle()
    light = predict_light(photo, moves, classes, seed=1)
    gain = factors(light)
    flame, glow = gain[:, 24, 40], gain[:, 24, 45]
    assert 0.03 < np.ptp(flame) < 0.31
    assert 0.1 * np.ptp(flame) < np.ptp(glow) < np.ptp(flame)
    assert np.abs(np.log(gain)).max() <= FLAME_MOST + 1e-5


def test_the_glow_is_compact():
    photo, moves, classes = candle()
    light = predict_light(photo, moves, classes, seed=1)
    far = distance_to(classes == FIRE) > GLOW_REACH * 80 + 3
    assert change(light.coefficients)[far].max() < LEAST
    mask = touched(light.coefficients, 240, 320)
    assert 0.01 < mask.mean() < 0.15
    assert not mask[:20].any()


def test_it_closes_and_begins_with_the_photo():
    coefficients, periods = in_loop(predict_light(*candle()), 3.0, 45)
    assert np.array_equal(brightness(coefficients, 0, 45, periods), np.ones((60, 80), np.float32))
    assert np.abs(brightness(coefficients, 45, 45, periods) - 1).max() < 1e-6


def test_faces_change_by_two_or_three_percent_at_most_and_slowly():
    classes = np.zeros((60, 80), np.uint8)
    cv2.circle(classes, (40, 20), 9, PERSON, -1)
    cv2.rectangle(classes, (20, 32), (60, 59), PERSON, -1)
    cv2.rectangle(classes, (37, 26), (43, 34), PERSON, -1)
    photo = np.full((240, 320, 3), (150, 120, 100), np.uint8)
    light = predict_light(photo, (classes == PERSON).astype(np.float32), classes, seed=2)
    bound = change(light.coefficients)
    assert 0.3 * FACE < bound[14:26, 34:46].max() < 0.06
    assert np.ptp(factors(light)[:, 20, 40]) < 0.03
    assert not bound[classes == STATIC].any()
    assert not light.coefficients[1:].any(), "only the slowest"


def test_the_users_maps_decide():
    photo, moves, classes = candle()
    allowed = np.ones((60, 80), np.float32)
    allowed[:, 44:] = 0
    light = predict_light(photo, moves, classes, allowed=allowed)
    assert light.coefficients[:, :, :40].any()
    assert not light.coefficients[:, :, 44:].any()
    nothing = predict_light(photo, moves, classes, allowed=np.zeros_like(allowed))
    assert nothing.coefficients.shape == (0, 60, 80, 2)


def test_a_lamp_trembles_at_night_only():
    photo = np.full((240, 320, 3), 12, np.uint8)
    cv2.circle(photo, (200, 60), 4, (255, 214, 140), -1)
    still = np.zeros((60, 80), np.float32)
    classes = np.zeros((60, 80), np.uint8)
    night = predict_light(photo, still, classes)
    assert 0.005 < change(night.coefficients).max() < 0.05
    assert change(night.coefficients)[40:].max() < LEAST
    day = np.clip(photo.astype(int) + 120, 0, 255).astype(np.uint8)
    assert predict_light(day, still, classes).coefficients.shape[0] == 0
    classes[:] = SKY
    assert predict_light(photo, still, classes).coefficients.shape[0] == 0, "stars do not flicker"


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), strength=st.floats(0, 3))
def test_any_seed_and_strength_stay_in_bounds(seed, strength):
    photo, moves, classes = candle(24, 32)
    light = predict_light(photo, moves, classes, strength=strength, seed=seed)
    again = predict_light(photo, moves, classes, strength=strength, seed=seed)
    assert np.array_equal(light.coefficients, again.coefficients)
    if light.coefficients.shape[0]:
        assert change(light.coefficients).max() <= FLAME_MOST + 1e-5


def test_a_scene_without_fire_and_faces_has_none():
    photo = np.random.default_rng(0).integers(0, 256, (80, 80, 3)).astype(np.uint8)
    classes = np.ones((20, 20), np.uint8)
    light = predict_light(photo, np.ones((20, 20), np.float32), classes)
    assert light.coefficients.shape[0] == light.hz.size == 0
    assert not touched(light.coefficients, 80, 80).any()


def test_in_a_scene_the_glow_lies_on_the_photo_and_nothing_else_is_touched():
    photo, moves, classes = candle()
    light = predict_light(photo, moves, classes, seed=1)
    h, w = moves.shape
    motion = Motion(
        velocity=np.zeros((h, w, 2), np.float32),
        matte=moves,
        classes=classes,
        confidence=np.ones((h, w), np.float32),
        sway=np.zeros((0, h, w, 4), np.float32),
        light=light.coefficients,
        light_hz=light.hz,
        height=4 * h,
        width=4 * w,
    )
    scene = build_scene(Photo.from_array(photo), motion, seconds=2, fps=15)
    assert np.array_equal(scene.frame(0), photo)
    assert np.array_equal(scene.frame(30), photo)
    glow = scene.matte == 1
    assert glow.mean() > 0.01
    arrays = scene.arrays
    y, x = np.mgrid[0 : 4 * h, 0 : 4 * w].astype(np.float32)
    for t in (4, 11, 23):
        frame = scene.frame(t)
        assert np.array_equal(frame[scene.matte == 0], photo[scene.matte == 0])
        gain = brightness(arrays.light, t, arrays.frames, arrays.light_periods)
        expected = photo * lookup(gain, (x - 1.5) / 4, (y - 1.5) / 4)[..., None]
        assert np.abs(frame[glow] - np.rint(np.minimum(expected, 255))[glow]).max() <= 1
        assert np.abs(frame[glow].astype(int) - photo[glow]).max() >= 2
