# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.animator import Animator
from stillflow_bench.latency.targets.moving import SPEED, guidance_of, moving_share
from stillflow_bench.photos import scenery


@settings(deadline=None, max_examples=40)
@given(st.integers(16, 900), st.integers(16, 900), st.floats(0.1, 1))
def test_a_column_of_that_share_falls(width: int, height: int, share: float) -> None:
    guidance = guidance_of(width, height, share)
    assert guidance is not None
    mask, still = np.asarray(guidance.mask), np.asarray(guidance.still)
    assert mask.mean() == pytest.approx(share, abs=0.501 / width)
    assert np.array_equal(mask, ~still) and mask.shape == (height, width)
    (arrow,) = guidance.arrows
    assert arrow.velocity(height / width) == pytest.approx((0, SPEED))


def test_what_moves_in_the_loop_is_about_that_share() -> None:
    photo = scenery(160, 96)
    with Animator(device="cpu") as animator:
        for share in (0.0, 0.4, 1.0):
            loop = animator.animate(photo, guidance_of(160, 96, share), seconds=1, fps=8)
            assert loop.moving_share == pytest.approx(share, abs=0.06)
            assert np.array_equal(loop.frame(4), loop.frame(0)) == (share == 0)


def test_nothing_asked_leaves_it_to_the_networks() -> None:
    assert guidance_of(96, 64, None) is None


def test_light_alone_does_not_move() -> None:
    assert moving_share(np.array([[0, 1, 2, 255]], np.uint8)) == 0.5
