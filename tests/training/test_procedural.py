# SPDX-License-Identifier: Apache-2.0
"""Scenes whose truth is known: it must be the truth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from stillflow_training.procedural import KIND_CLASS, KINDS, SPEEDS, ProceduralScene, make_scene, smooth_noise


@pytest.mark.parametrize("kind", KINDS)
def test_scenes_are_whole_and_the_same_for_the_same_seed(kind: str) -> None:
    a, b = (make_scene(np.random.default_rng(9), 96, 128, kind=kind) for _ in range(2))
    assert np.array_equal(a.render(0.3), b.render(0.3))
    assert a.render(0.0).shape == (96, 128, 3)
    assert a.velocity.shape == (96, 128, 2)
    assert np.isfinite(a.velocity).all()
    assert 0 <= a.matte.min() <= a.matte.max() <= 1
    assert set(np.unique(a.classes)) <= {0, KIND_CLASS[kind]}
    assert float(np.hypot(a.velocity[..., 0], a.velocity[..., 1]).mean()) < 4 * SPEEDS[kind][1]


def test_the_layer_moves_by_its_velocity() -> None:
    rng = np.random.default_rng(4)
    noise = rng.uniform(0, 255, (64, 96, 3)).astype(np.float32)
    texture = cv2.GaussianBlur(noise, (0, 0), 2)
    velocity = np.zeros((64, 96, 2), np.float32)
    velocity[..., 0] = 3 / 96  # 3 pixels a second to the right
    still = np.full((64, 96, 3), 40, np.float32)
    matte = np.ones((64, 96), np.float32)
    matte[:16] = 0
    scene = ProceduralScene("river", still, texture, matte, velocity)
    before, after = scene.render(0.0), scene.render(1.0)
    assert np.abs(after[16:, 3:].astype(int) - before[16:, :-3]).max() <= 1
    assert np.array_equal(after[:16], before[:16])


def test_noise_has_the_size_and_scale_that_was_asked_for() -> None:
    noise = smooth_noise(np.random.default_rng(1), 60, 200, 8)
    assert noise.shape == (60, 200)
    assert 0.2 < noise.std() < 2


def test_photos_give_backgrounds() -> None:
    photo = np.full((120, 160, 3), (10, 200, 30), np.uint8)
    scene = make_scene(np.random.default_rng(2), 64, 96, [photo], "cloud")
    assert scene.background.shape == (64, 96, 3)
