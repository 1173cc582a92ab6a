# SPDX-License-Identifier: Apache-2.0
"""A loop hands out frames; only one of geometry shows its arrays (saving: tests/runtime/test_animator.py)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stillflow.animator import Animator
from stillflow.errors import StillflowError
from stillflow.guidance import Guidance
from stillflow.photo import Photo

from .scenes import textured

VELOCITY = np.full((24, 32, 2), (0.2, 0.1), np.float32)


@pytest.mark.parametrize("kind", ["edge", "golden-1.1"])
def test_frames_and_arrays(kind: str, default_bundle: Path, source_tree: Path) -> None:
    bundle = default_bundle if kind == "edge" else source_tree / "tests" / "data" / "bundles" / kind
    photo = Photo.from_array(textured(96, 128))
    loop = Animator(bundle).animate(photo, Guidance(velocity=VELOCITY), seconds=1, fps=6)
    assert (len(loop), loop.fps, loop.moving_share) == (6, 6, 1.0)
    assert np.array_equal(loop.frame(-1), loop.frame(5))
    assert np.array_equal(loop.frame(6), loop.frame(0))
    if kind == "edge":
        assert np.array_equal(loop.arrays.photo, photo.pixels)
    else:
        with pytest.raises(StillflowError, match="cross_fade"):
            _ = loop.arrays
