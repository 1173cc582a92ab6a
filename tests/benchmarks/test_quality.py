# SPDX-License-Identifier: Apache-2.0
"""A measure must itself be measured: loops with a known fault, and the figure that must show it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from stillflow.kernels.arrays import ByteArray
from stillflow_bench.quality import Figures, figures

FRAMES = 12
Render = Callable[[float], ByteArray]


@pytest.fixture
def photo() -> ByteArray:
    """(96, 128, 3): noise of sigma 20 around gray."""
    noise = np.random.default_rng(3).normal(0, 20, (96, 128, 1))
    return np.clip(128 + noise, 0, 255).astype(np.uint8).repeat(3, axis=2)


@pytest.fixture
def matte() -> ByteArray:
    matte = np.zeros((96, 128), np.uint8)
    matte[16:80, 16:112] = 255
    return matte


def measured(photo: ByteArray, matte: ByteArray, render: Render) -> Figures:
    return figures(photo, matte, render, FRAMES)


def rolling(photo: ByteArray, matte: ByteArray) -> Render:
    """Texture that moves on by a whole number of its own pixels a frame and comes back: a flawless loop."""

    def render(t: float) -> ByteArray:
        inside = photo[16:80, 16:112]
        frame = photo.copy()
        frame[16:80, 16:112] = np.roll(inside, 8 * (int(t) % FRAMES), axis=1)
        return frame

    return render


def test_the_photo_repeated_is_without_fault_and_without_motion(photo: ByteArray, matte: ByteArray) -> None:
    found = measured(photo, matte, lambda t: photo)
    assert (found.seam_inside, found.seam_outside, found.period, max(found.still)) == (0, 0, 0, 0)
    assert found.detail == pytest.approx([1] * FRAMES)
    assert (found.flash, found.flicker, max(found.step)) == (0, 0, 0)


def test_a_flawless_loop_keeps_detail_and_has_even_steps(photo: ByteArray, matte: ByteArray) -> None:
    found = measured(photo, matte, rolling(photo, matte))
    assert found.period == 0
    assert min(found.detail) > 0.97
    assert max(found.detail) < 1.03
    assert found.flash == pytest.approx(1, abs=0.05)


def test_a_blurred_middle_shows_as_lost_detail(photo: ByteArray, matte: ByteArray) -> None:
    def render(t: float) -> ByteArray:
        return np.where(matte[..., None] > 0, cv2.blur(photo, (3, 3)), photo) if t == 6 else photo

    found = measured(photo, matte, render)
    assert found.detail[6] < 0.25
    assert found.detail[5] == pytest.approx(1)


def test_a_flash_after_frame_0_shows(photo: ByteArray, matte: ByteArray) -> None:
    soft = np.clip(128 + 0.85 * (photo.astype(np.float32) - 128), 0, 255).astype(np.uint8)
    clean, dull = rolling(photo, matte), rolling(soft, matte)
    found = measured(photo, matte, lambda t: photo if t % FRAMES == 0 else dull(t))
    assert found.detail_jump == pytest.approx(1 - 0.85**2, abs=0.02)
    assert measured(photo, matte, clean).detail_jump < 0.02


def test_a_seam_and_a_dragged_background_show(photo: ByteArray, matte: ByteArray) -> None:
    def render(t: float) -> ByteArray:
        frame = photo.copy()
        frame[40, 40] = photo[40, 40] ^ 1  # in the matte, always one level off
        if t == 5:
            frame[2, 3] = np.minimum(photo[2, 3], 200) + 7  # outside, in one frame only
        return frame

    found = measured(photo, matte, render)
    assert found.seam_inside == 1
    assert found.seam_outside == 0
    assert found.still[5] >= 7
    assert sum(found.still) == found.still[5]


def test_a_loop_that_does_not_close_shows(photo: ByteArray, matte: ByteArray) -> None:
    found = measured(photo, matte, lambda t: photo if t < FRAMES else 255 - photo)
    assert found.period > 50


def test_flicker_is_brightness_that_jumps_not_texture_that_moves(photo: ByteArray, matte: ByteArray) -> None:
    def render(t: float) -> ByteArray:
        return np.clip(photo.astype(np.int16) + (4 if int(t) % 2 else 0), 0, 255).astype(np.uint8)

    found = measured(photo, np.full_like(matte, 255), render)
    assert found.flicker == pytest.approx(4, abs=0.2)
    assert measured(photo, matte, rolling(photo, matte)).flicker < 2


def test_nothing_moving_has_no_detail_figures(photo: ByteArray, matte: ByteArray) -> None:
    found = measured(photo, np.zeros_like(matte), lambda t: photo)
    assert found.detail == ()
    assert (found.flash, found.detail_jump, found.flicker) == (0, 0, 0)
