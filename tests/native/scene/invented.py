# SPDX-License-Identifier: Apache-2.0
"""Photos and motions of every kind, invented from a seed: what samples do not show."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from stillflow.motion import CLASS_NAMES, Motion
from stillflow.photo import Photo


def patches(rng: np.random.Generator, h: int, w: int, values: tuple[int, ...]) -> np.ndarray:
    """(h, w) uint8 of large blobs of a few values."""
    kept = rng.permutation(values)[: rng.integers(2, 6)]
    coarse = rng.normal(size=(len(kept), rng.integers(2, 6), rng.integers(2, 6))).astype(np.float32)
    fine = np.stack([cv2.resize(c, (w, h), interpolation=cv2.INTER_CUBIC) for c in coarse])
    return kept[fine.argmax(0)].astype(np.uint8)


def invented_photo(rng: np.random.Generator, height: int, width: int, tone: str) -> Photo:
    """A textured picture, in colours, gray or tinted."""
    size = (width, height)
    coarse = rng.uniform(0, 255, (max(2, height // 16), max(2, width // 16), 3)).astype(np.float32)
    values = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC).reshape(height, width, 3)
    values += rng.normal(0, 12, values.shape)
    if tone != "colours":
        values = np.repeat(values.mean(-1, keepdims=True), 3, -1)
    if tone == "sepia":
        values += np.array([14, 2, -18], np.float32)
    return Photo.from_array(np.clip(values, 0, 255).astype(np.uint8))


def invented_motion(rng: np.random.Generator, height: int, width: int) -> Motion:
    """Anything may move anywhere, sway or change its light, in any order."""
    h, w = -(-height // 4), -(-width // 4)

    def smooth(channels: int) -> np.ndarray:
        coarse = rng.normal(size=(4, 5, channels)).astype(np.float32)
        return cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC).reshape(h, w, channels)

    def several(count: int, channels: int) -> np.ndarray:
        return np.array([smooth(channels) for _ in range(count)], np.float32).reshape(count, h, w, channels)

    classes = patches(rng, h, w, tuple(range(len(CLASS_NAMES))))
    matte = np.clip(smooth(1)[..., 0] + 0.7, 0, 1)
    speed = np.float32(10.0 ** rng.uniform(-2.5, -0.5))
    sways, lights = rng.integers(0, 4), rng.integers(0, 3)
    return Motion(
        velocity=np.ascontiguousarray(smooth(2) * speed),
        matte=np.ascontiguousarray(matte),
        classes=classes,
        confidence=np.ones((h, w), np.float32),
        sway=several(sways, 4) * np.float32(0.003),
        height=height,
        width=width,
        light=several(lights, 2) * np.float32(0.05),
        order=patches(rng, h, w, (0, 1, 2, 3)),
        doubt=np.zeros((h, w), np.float32),
        sway_hz=rng.uniform(0.1, 2, sways).astype(np.float32),
        light_hz=rng.uniform(0.1, 5, lights).astype(np.float32),
    )


def invented_answer(asked: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A generator without a network: some function of all that it is asked."""
    field = asked["field"][0]
    plate = 0.6 * field[:3] + 0.3 * np.roll(field[:3], 5, -1) + 0.1 * field[7]
    trust = np.stack([0.5 + 0.4 * np.sin(9 * field[3] + field[5]), 0.6 * np.cos(7 * field[8] + field[4])])
    return {"plate": plate[None].astype(np.float32), "trust": trust[None].astype(np.float32)}
