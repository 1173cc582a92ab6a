# SPDX-License-Identifier: Apache-2.0
"""A field of any size comes to a picture's: each axis by its own factor, and still things slow nothing down."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.velocity_field import STILL_SPEED, VelocityField


def test_at_its_own_size_it_is_itself() -> None:
    field = np.random.default_rng(0).normal(size=(9, 14, 2)).astype(np.float32)
    assert np.array_equal(VelocityField(field).nearest(9, 14), field)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 90), st.integers(1, 40), st.integers(1, 90), st.integers(1, 40))
def test_nearest_is_that_of_the_published_scripts(h: int, w: int, height: int, width: int) -> None:
    torch = pytest.importorskip("torch", reason="its nearest resize is the published one")
    field = np.random.default_rng(h * w).normal(size=(h, w, 2)).astype(np.float32)
    planar = torch.from_numpy(field).permute(2, 0, 1)[None]
    expected = torch.nn.functional.interpolate(planar, (height, width), mode="nearest")
    expected = expected[0].permute(1, 2, 0).numpy() * np.array([width / w, height / h], np.float32)
    found = VelocityField(field).nearest(height, width)
    assert np.array_equal(found, expected)


def test_a_motion_speaks_of_picture_widths_a_second() -> None:
    field = VelocityField(np.full((30, 60, 2), (0.6, 0.3), np.float32), fps=20)
    velocity, share = field.smooth(12, 16, 0.75)
    # 0.6 of 60 pixels a frame is 1 % of the width; 0.3 of 30 is 1 % of the height.
    assert velocity[..., 0] == pytest.approx(0.2)
    assert velocity[..., 1] == pytest.approx(0.2 * 0.75)
    assert share == pytest.approx(1) and share.max() <= 1


def test_what_stands_still_beside_does_not_slow_it_down() -> None:
    pixels = np.zeros((40, 40, 2), np.float32)
    pixels[:, :21] = (0.0, 1.0)
    velocity, share = VelocityField(pixels).smooth(10, 10, 1.0)
    assert share[0] == pytest.approx([1] * 5 + [0.25] + [0] * 4)
    assert velocity[..., 1] == pytest.approx(1 / 40 * 30), "also beyond its edge it is the nearest one's"


def test_noise_of_an_estimate_stands_still() -> None:
    noise = np.full((20, 20, 2), 0.5 * STILL_SPEED * 20 / 30, np.float32)
    velocity, share = VelocityField(noise).smooth(5, 5, 1.0)
    assert not share.any() and not velocity.any()
