# SPDX-License-Identifier: Apache-2.0
"""A small scene to film, and the decoders that read the films back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stillflow.kernels.arrays import ByteArray
from stillflow.video import open_sink, record

PATCHES = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "gray": (128, 128, 128)}


class Film:
    """Four saturated patches that stand still above a gradient that rolls round once a loop."""

    def __init__(self, frames: int = 12, height: int = 64, width: int = 96, fps: float = 30.0) -> None:
        self.frames, self.height, self.width, self.fps = frames, height, width, fps
        ramp = 40 + 170 * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(width) / width))
        gradient = np.stack([ramp, 0.5 * ramp + 60, 230 - ramp], axis=-1)
        self.below = np.broadcast_to(gradient, (height - height // 2, width, 3)).astype(np.uint8)
        self.above = np.empty((height // 2, width, 3), np.uint8)
        for k, colour in enumerate(PATCHES.values()):
            self.above[:, k * width // 4 : (k + 1) * width // 4] = colour

    def frame(self, t: float) -> ByteArray:
        rolled = np.roll(self.below, round(t * self.width / self.frames), axis=1)
        return np.concatenate([self.above, rolled])

    def frame_rows(self, t: float, y0: int, y1: int, out: ByteArray) -> None:
        out[:] = self.frame(t)[y0:y1]

    def patch(self, frame: np.ndarray, name: str) -> np.ndarray:
        """Return the mean colour in the middle of a patch, away from its soft chroma edges."""
        k, step = list(PATCHES).index(name), self.width // 4
        return frame[4 : self.height // 2 - 4, k * step + 4 : (k + 1) * step - 4].reshape(-1, 3).mean(axis=0)


Shoot = Callable[..., Path]


@pytest.fixture
def shoot(tmp_path: Path) -> Shoot:
    """Return a function that records a film under a name and returns its path."""

    def run(film: Film, name: str, **options: object) -> Path:
        path = tmp_path / name
        sink = open_sink(path, width=film.width, height=film.height, fps=film.fps, **options)  # type: ignore[arg-type]
        size = record(film, sink)
        if path.is_file():
            assert size == path.stat().st_size
        assert not list(tmp_path.rglob(".*")), "no hidden leftovers"
        return path

    return run


@pytest.fixture
def film() -> Film:
    return Film()


@pytest.fixture
def make_film() -> type[Film]:
    return Film
