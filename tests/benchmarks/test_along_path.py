# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from stillflow.animator import Loop
from stillflow.kernels.reference import sway_displacement
from stillflow_bench.along_path import PathWatch, full_size, loop_step, path_change

FloatArray = npt.NDArray[np.float32]


@pytest.fixture
def noise() -> FloatArray:
    """(96, 128) luma."""
    rng = np.random.default_rng(4)
    return np.asarray(cv2.GaussianBlur(rng.normal(128, 60, (96, 128)).astype(np.float32), (0, 0), 1.5))


def moving(step: float) -> FloatArray:
    field = np.zeros((24, 32, 2), np.float32)
    field[..., 0] = step / 4
    return field


def test_what_only_moves_along_the_path_does_not_change(noise: FloatArray) -> None:
    core = np.zeros(noise.shape, bool)
    core[10:-10, 20:-20] = True
    moved = np.roll(noise, 4, axis=1)
    assert path_change(noise, moved, moving(4), core) < 0.01
    assert path_change(noise, moved, moving(0), core) > 10


def test_a_flash_shows_as_change_along_the_path(noise: FloatArray) -> None:
    core = np.ones(noise.shape, bool)
    assert path_change(noise, np.roll(noise, 4, axis=1) + 7, moving(4), core) == pytest.approx(7, abs=0.5)


@pytest.mark.parametrize("amplitude", [2.0, 6.0])
def test_a_loop_that_flickers_shows_its_amplitude_at_every_frame(noise: FloatArray, amplitude: float) -> None:
    core = np.zeros(noise.shape, bool)
    core[10:-10, 30:-30] = True
    watch = PathWatch(lambda _: moving(4), core)
    frame = np.zeros((96, 128, 3), np.uint8)
    for t in range(8):
        watch(t, frame, np.roll(noise, 4 * t, axis=1) + np.float32(amplitude * (t % 2)))
    assert watch.changes(closed=False) == pytest.approx([amplitude] * 7, abs=0.05)


def test_a_loop_is_closed_from_its_last_frame_to_its_first(noise: FloatArray) -> None:
    core = np.ones(noise.shape, bool)
    watch = PathWatch(lambda _: moving(0), core)
    frame = np.zeros((96, 128, 3), np.uint8)
    for t, level in enumerate((0, 1, 3)):
        watch(t, frame, noise + np.float32(level))
    assert watch.changes() == pytest.approx([1, 2, 3], abs=1e-3)
    assert watch.changes(closed=False) == pytest.approx([1, 2], abs=1e-3)


def test_an_eye_follows_the_velocity_where_it_flows(river_loop: Loop) -> None:
    step = loop_step(river_loop.arrays)(3)
    flows = river_loop.arrays.flow > 0
    assert np.array_equal(step[flows], river_loop.arrays.velocity[flows])
    assert not step[~flows].any()


def test_an_eye_follows_what_sways(river_loop: Loop) -> None:
    h, w = river_loop.arrays.flow.shape
    sway = np.zeros((2, h, w, 4), np.float32)
    sway[1, ..., 0], sway[0, ..., 3] = 0.5, 0.25
    arrays = replace(
        river_loop.arrays,
        flow=np.zeros((h, w), np.uint8),
        sway=sway,
        sway_periods=np.array([2, 3], np.int32),
    )
    step = loop_step(arrays)
    gone = sum(step(t) for t in range(5))
    shown = sway_displacement(sway, 5, arrays.frames, arrays.sway_periods)
    # The frame shows what lies at x + d, so a thing goes the other way.
    assert gone == pytest.approx(-shown, abs=1e-5)
    assert sum(step(t) for t in range(arrays.frames)) == pytest.approx(np.zeros((h, w, 2)), abs=1e-5)


def test_a_field_lies_at_the_middle_of_its_blocks() -> None:
    x = np.repeat((4 * np.arange(10, dtype=np.float32) + 1.5)[None], 6, axis=0)
    assert full_size(x, 24, 38)[:, 2:36] == pytest.approx(np.tile(np.arange(2.0, 36), (24, 1)))
