# SPDX-License-Identifier: Apache-2.0
"""A small loop with known motion, made without any network."""

from __future__ import annotations

import numpy as np
import pytest

from stillflow.animator import Loop
from stillflow.assess import assess
from stillflow.motion import Motion
from stillflow.scene import build_scene
from stillflow_bench.photos import scenery


@pytest.fixture(scope="session")
def river_loop() -> Loop:
    """160x96, 12 frames; the lower half is water that moves to the right."""
    photo = scenery(160, 96)
    h, w = 24, 40
    moves = np.zeros((h, w), np.float32)
    moves[12:] = 1
    velocity = np.zeros((h, w, 2), np.float32)
    velocity[..., 0] = 0.05
    motion = Motion(
        velocity=velocity,
        matte=moves,
        classes=moves.astype(np.uint8),
        confidence=np.ones((h, w), np.float32),
        sway=np.zeros((0, h, w, 4), np.float32),
        height=96,
        width=160,
    )
    scene = build_scene(photo, motion, seconds=1.0, fps=12.0)
    return Loop(photo, motion, scene, assess(photo, motion))
