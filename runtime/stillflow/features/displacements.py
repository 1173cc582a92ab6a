# SPDX-License-Identifier: Apache-2.0
"""Where every pixel is thrown at any time of a loop: Euler steps, taken once a scene and not once a frame.

The published scripts integrate from the start for every frame, about N² / 2 steps each way. Here the states after each
step are kept while they fit into a budget; otherwise some of them are, and the few steps from there are taken again.
"""

from __future__ import annotations

import math
import threading

import numpy as np
import numpy.typing as npt

from stillflow.kernels.arrays import FloatArray
from stillflow.kernels.native_splat import euler_step

BYTES = 9
"""Of a moving pixel in a state: x and y in float32, and whether it has left the picture."""

LEAST_STATES = 3
"""Kept each way, whatever the budget."""

State = tuple[FloatArray, npt.NDArray[np.bool_]]
"""Positions (M, 2) float32 of the moving pixels, and whether each has left the picture."""


class Displacements:
    """Displacement maps of a loop, both ways.

    Args:
        velocity: (H, W, 2) float32, pixels a frame. What has none never moves, and is not kept.
        frames: N, of the loop.
        memory: bytes that the states kept may take.
    """

    def __init__(self, velocity: FloatArray, frames: int, memory: int) -> None:
        self.frames = frames
        slots = memory // max(1, 2 * BYTES * int((velocity != 0).any(-1).sum()))
        self._forward = _Course(velocity, frames, slots)
        self._backward = _Course(-velocity, frames, slots)

    def at(self, t: float) -> tuple[FloatArray, FloatArray]:
        """Return the maps of one time.

        Args:
            t: frames, 0..N.

        Returns:
            Forward, after t frames of the velocity, and backward, after N - t frames of minus the velocity; both
            (H, W, 2) float32 pixels. What left the picture is thrown out of it. Between two frames the maps of
            both are mixed, and what left in the later one is out.
        """
        return self._forward.at(t), self._backward.at(self.frames - t)


class _Course:
    """The way of every pixel along one velocity, step by step."""

    def __init__(self, velocity: FloatArray, steps: int, slots: int) -> None:
        self._velocity = np.ascontiguousarray(velocity, np.float32)
        self._pixels = np.flatnonzero((velocity != 0).any(-1)).astype(np.uint32)
        rows, columns = np.divmod(self._pixels, np.uint32(velocity.shape[1]))
        self._start = np.stack([columns, rows], -1).astype(np.float32)
        self.every, self._most_recent = spacing(steps, slots)
        self._checkpoints: list[State] = [(self._start, np.zeros(len(self._pixels), bool))]
        self._recent: dict[int, State] = {}
        self._lock = threading.Lock()

    def at(self, time: float) -> FloatArray:
        """Displacement after so many steps, (H, W, 2) float32."""
        whole = math.floor(time)
        position, gone = self._state(whole)
        if time != whole:
            later, gone_later = self._state(whole + 1)
            position = position + np.float32(time - whole) * (later - position)
            gone = gone | gone_later
        height, width = self._velocity.shape[:2]
        displacement = np.zeros((height * width, 2), np.float32)
        far = np.float32(max(height, width) + 1)
        displacement[self._pixels] = np.where(gone[:, None], far, position - self._start)
        return displacement.reshape(height, width, 2)

    def _state(self, step: int) -> State:
        with self._lock:
            if step % self.every == 0 and step // self.every < len(self._checkpoints):
                return self._checkpoints[step // self.every]
            if step in self._recent:
                return self._recent[step]
            return self._walk(step)

    def _walk(self, step: int) -> State:
        """Take the steps from the nearest state before; keeps checkpoints, and the last states it passes."""
        at = min(step // self.every, len(self._checkpoints) - 1) * self.every
        state = self._checkpoints[at // self.every]
        near = [n for n in self._recent if at < n < step]
        if near:
            at = max(near)
            state = self._recent[at]
        passed: dict[int, State] = {}
        while at < step:
            state = state[0].copy(), state[1].copy()
            euler_step(self._velocity, *state, self._pixels)
            at += 1
            if at % self.every == 0 and at // self.every == len(self._checkpoints):
                self._checkpoints.append(state)
            elif at > step - self._most_recent:
                passed[at] = state
        # Those nearest to what was asked for: going back, the next ones asked for lie just before.
        both = {**self._recent, **passed}
        nearest = sorted(both, key=lambda n: abs(n - step))[: self._most_recent]
        self._recent = {n: both[n] for n in nearest}
        return state


def spacing(steps: int, slots: int) -> tuple[int, int]:
    """Say how far apart checkpoints lie and how many recent states are kept beside them.

    Args:
        steps: the last one.
        slots: states that fit.

    Returns:
        Steps between checkpoints, 1 when all fit; and the number of recent states: one stretch between two
        checkpoints where that fits, so that going back takes every step but once more; else 1.
    """
    slots = max(slots, LEAST_STATES)
    states = steps + 1
    if states <= slots:
        return 1, 1
    for every in range(2, states):
        if math.ceil(states / every) + every - 1 <= slots:
            return every, every - 1
    return math.ceil(states / (slots - 1)), 1
