# SPDX-License-Identifier: Apache-2.0
"""Flicker along the path: how the luma changes for an eye that follows the motion.

One definition for all who ask: loops of photos, both baselines, the real frames of a clip, and the loops over
procedural scenes that say what the generator adds (``stillflow_bench.uncovered``). The recipe of the generator has its
own form of it in torch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from stillflow.kernels.arrays import FIELD_OFFSET, FIELD_SCALE, ByteArray, FloatArray, SceneArrays
from stillflow.kernels.reference import sway_displacement

BoolArray = npt.NDArray[np.bool_]
Step = Callable[[int], FloatArray]
"""Frame t -> (h, w, 2) float32: how far content goes until frame t + 1, in field pixels."""


class PathWatch:
    """Looks at the frames of a loop in their order; see ``quality.figures``.

    Args:
        step: of the motion that the eye follows.
        core: (H, W) bool, where it is measured.
    """

    def __init__(self, step: Step, core: BoolArray) -> None:
        self._step, self._core = step, core
        self._first: FloatArray | None = None
        self._last: FloatArray | None = None
        self._changes: list[float] = []

    def __call__(self, index: int, frame: ByteArray, gray: FloatArray) -> None:
        """See one frame.

        Args:
            index: of the frame, 0, 1, 2...
            frame: (H, W, 3) uint8, not looked at.
            gray: (H, W) float32, its luma 0..255.
        """
        if self._last is None:
            self._first = gray
        else:
            self._changes.append(path_change(self._last, gray, self._step(index - 1), self._core))
        self._last = gray

    def changes(self, *, closed: bool = True) -> tuple[float, ...]:
        """Return the change from each frame to the next one, in levels.

        Args:
            closed: the last frame is followed by the first, as in a loop.
        """
        if not closed or self._first is None or self._last is None:
            return tuple(self._changes)
        end = path_change(self._last, self._first, self._step(len(self._changes)), self._core)
        return (*self._changes, end)


def loop_step(arrays: SceneArrays) -> Step:
    """Return how a loop moves from frame to frame: the velocity where it flows, and the sway's next bit.

    A frame shows at x what the photo has at x + d(t), so content goes by d(t) - d(t + 1) where it sways.

    Args:
        arrays: of the scene.
    """
    flow = arrays.velocity * (arrays.flow > 0)[..., None]
    if not arrays.sway.any():
        return lambda _: flow

    @lru_cache(maxsize=2)
    def sway(t: int) -> FloatArray:
        return sway_displacement(arrays.sway, t, arrays.frames, arrays.sway_periods)

    return lambda t: np.asarray(flow + sway(t) - sway(t + 1), np.float32)


def path_change(now: FloatArray, next_one: FloatArray, velocity: FloatArray, core: BoolArray) -> float:
    """Mean absolute change of the luma from one frame to the next, seen by an eye that follows the motion.

    Args:
        now: (H, W) luma 0..255.
        next_one: a frame later.
        velocity: (h, w, 2) field pixels a frame.
        core: (H, W) bool, where it is measured; what leaves it in this frame is not.

    Returns:
        Levels; 0 where nothing stays in the core.
    """
    height, width = now.shape
    step = full_size(velocity, height, width) * np.float32(FIELD_SCALE)
    to_x = step[..., 0] + np.arange(width, dtype=np.float32)
    to_y = step[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    followed = cv2.remap(next_one, to_x, to_y, cv2.INTER_CUBIC)
    stays = cv2.remap(core.astype(np.float32), to_x, to_y, cv2.INTER_LINEAR) == 1
    seen = core & stays
    return float(np.abs(followed - now)[seen].mean()) if seen.any() else 0.0


def full_size(field: FloatArray, height: int, width: int) -> FloatArray:
    """Interpolate a field (h, w[, C]) bilinearly at every pixel of a picture; its values stay what they are."""
    h, w = field.shape[:2]
    y = np.clip((np.arange(height, dtype=np.float32) - FIELD_OFFSET) / FIELD_SCALE, 0, h - 1)
    x = np.clip((np.arange(width, dtype=np.float32) - FIELD_OFFSET) / FIELD_SCALE, 0, w - 1)
    grid_x, grid_y = np.meshgrid(x, y)
    return np.asarray(cv2.remap(np.ascontiguousarray(field), grid_x, grid_y, cv2.INTER_LINEAR), np.float32)
