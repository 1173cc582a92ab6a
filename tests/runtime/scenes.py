# SPDX-License-Identifier: Apache-2.0
"""Small photos and motions whose truth is known by construction."""

from __future__ import annotations

import numpy as np

from stillflow.kernels.arrays import SceneArrays, field_shape
from stillflow.kernels.reference import low_pass
from stillflow.motion import Motion
from stillflow.photo import Photo


def textured(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smoothed noise, (H, W, 3) uint8: texture at several scales, as photos have."""
    import cv2

    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for sigma in (0.8, 3.0, 9.0):
        noise = cv2.GaussianBlur(rng.standard_normal((height, width, 3)).astype(np.float32), (0, 0), sigma)
        total += noise / noise.std()
    return np.clip(128 + 28 * total, 0, 255).astype(np.uint8)


def falling_motion(height: int, width: int, speed: float = 0.1) -> Motion:
    """Water in the middle half of the picture that falls straight down."""
    h, w = field_shape(height, width)
    matte = np.zeros((h, w), np.float32)
    matte[:, w // 4 : 3 * w // 4] = 1
    velocity = np.zeros((h, w, 2), np.float32)
    velocity[..., 1] = speed * matte
    return Motion(
        velocity=velocity,
        matte=matte,
        classes=matte.astype(np.uint8),
        confidence=np.ones((h, w), np.float32),
        sway=np.zeros((0, h, w, 4), np.float32),
        height=height,
        width=width,
    )


def falling_photo(height: int = 96, width: int = 128) -> tuple[Photo, Motion]:
    """A textured photo and the motion of a fall in its middle."""
    return Photo.from_array(textured(height, width)), falling_motion(height, width)


def random_arrays(
    rng: np.random.Generator, height: int, width: int, *, harmonics: int, blend: bool, lights: int = 0
) -> SceneArrays:
    """A scene of noise: nothing in it is meaningful, everything is in range."""
    h, w = field_shape(height, width)
    photo = textured(height, width, int(rng.integers(1 << 30)))
    matte = np.where(rng.random((height, width)) < 0.6, rng.integers(0, 256, (height, width)), 0).astype(
        np.uint8
    )
    return SceneArrays(
        photo=photo,
        plate=photo,
        matte=matte,
        velocity=rng.normal(0, 1.0, (h, w, 2)).astype(np.float32),
        flow=(rng.random((h, w)) < 0.8).astype(np.uint8),
        cycles=np.full((h, w), int(rng.integers(1, 4)), np.uint8),
        inside=rng.random((h, w)).astype(np.float32),
        sway=rng.normal(0, 0.5, (harmonics, h, w, 4)).astype(np.float32),
        blend=rng.normal(0, 1, (h, w, 2)).astype(np.float32) if blend else None,
        low=low_pass(photo),
        frames=int(rng.integers(1, 90)),
        light=rng.normal(0, 0.1, (lights, h, w, 2)).astype(np.float32),
        sway_periods=rng.integers(1, 9, harmonics).astype(np.int32),
        light_periods=rng.integers(1, 9, lights).astype(np.int32),
    )
