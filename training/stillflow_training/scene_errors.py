# SPDX-License-Identifier: Apache-2.0
"""How far a velocity is from the true one on procedural scenes, beside the closed form given the same arrows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from stillflow.bend import rbf_velocity
from stillflow.guidance import Hints
from stillflow_training.arrows import draw_arrows
from stillflow_training.procedural import make_scene

FloatArray = npt.NDArray[np.float32]

ARROW_COUNTS = (1, 3, 5)
"""Arrows given."""

HEIGHT, WIDTH = 192, 256
"""Of the scenes, pixels."""


def scene_errors(
    guess: Callable[[npt.NDArray[np.uint8], Hints], FloatArray],
    pictures: list[npt.NDArray[np.uint8]],
    count: int,
    scenes: int,
) -> tuple[list[float], list[float]]:
    """Velocity errors on procedural scenes whose mask and some arrows are given.

    Args:
        guess: maps (192, 256, 3) uint8 and hints to (h, w, 2) widths a second, at a whole fraction of the size.
        pictures: that scenes are textured with.
        count: arrows.
        scenes: how many are drawn; those in which next to nothing moves are left out.

    Returns:
        Mean error inside the mask relative to the scene's mean speed, a number a scene: of the guess, and of
        the closed form given the same arrows.
    """
    rng = np.random.default_rng(1234 + count)
    network: list[float] = []
    rbf: list[float] = []
    for _ in range(scenes):
        scene = make_scene(rng, HEIGHT, WIDTH, pictures)
        where = scene.matte > 0.9
        arrows = draw_arrows(rng, where, scene.velocity, count)
        if not arrows or where.sum() < 500:
            continue
        hints = Hints(mask=(scene.matte > 0.5).astype(np.float32), arrows=arrows)
        velocity = guess(scene.render(0.0), hints)
        h, w = velocity.shape[:2]
        step = HEIGHT // h
        truth, inside = scene.velocity[::step, ::step], where[::step, ::step]
        speed = float(np.hypot(truth[inside][:, 0], truth[inside][:, 1]).mean())
        for errors, field in ((network, velocity), (rbf, rbf_velocity(arrows, h, w, HEIGHT / WIDTH))):
            errors.append(float(np.linalg.norm((field - truth)[inside], axis=1).mean()) / speed)
    return network, rbf
