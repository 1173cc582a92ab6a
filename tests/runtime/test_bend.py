# SPDX-License-Identifier: Apache-2.0
"""Arrows bend a field: it agrees with them where they are, keeps its shape elsewhere, and leaves other groups alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow.bend import arrow_weights, bend_velocity, rbf_velocity
from stillflow.guidance import Arrow

unit = st.floats(0.05, 0.95)
arrows = (
    st.tuples(unit, unit, unit, unit, st.floats(2, 8))
    .filter(lambda v: np.hypot(v[2] - v[0], v[3] - v[1]) > 0.02)
    .map(lambda v: Arrow(*v))
)


def perspective(h: int = 24, w: int = 36) -> np.ndarray:
    """Water that flows right, slow at the horizon and fast towards the viewer."""
    field = np.zeros((h, w, 2), np.float32)
    field[..., 0] = 0.01 + 0.1 * np.linspace(0, 1, h, dtype=np.float32)[:, None]
    return field


def test_rbf_follows_the_nearest_arrow():
    right, down = Arrow(0.1, 0.5, 0.2, 0.5, 1.0), Arrow(0.9, 0.4, 0.9, 0.5, 1.0)
    field = rbf_velocity([right, down], 40, 60, aspect=1.0)
    assert field[20, 9, 0] > 5 * abs(field[20, 9, 1])
    assert field[20, 53, 1] > 5 * abs(field[20, 53, 0])


@given(st.lists(arrows, min_size=1, max_size=5))
def test_weights_add_up_to_one(given_arrows):
    weights = arrow_weights(given_arrows, 12, 16, 0.75)
    assert np.allclose(weights.sum(0), 1, atol=1e-5)
    assert weights.min() >= 0


@given(arrows)
def test_a_field_agrees_with_its_one_arrow(arrow):
    aspect = 24 / 36
    field = bend_velocity(perspective(), [arrow], aspect)
    y, x = (arrow.y0 + arrow.y1) / 2 * 23, (arrow.x0 + arrow.x1) / 2 * 35
    # Linear in y: the value between two rows is their mean.
    j, f = round(x), y - int(y)
    there = field[int(y), j] * (1 - f) + field[min(int(y) + 1, 23), j] * f
    assert there == pytest.approx(arrow.velocity(aspect), rel=0.08, abs=1e-4)


def test_one_arrow_keeps_the_shape():
    field = bend_velocity(perspective(), [Arrow(0.5, 0.3, 0.5, 0.6, 2.0)], 24 / 36)
    ratio = field[..., 1] / perspective()[..., 0]
    assert np.allclose(ratio, ratio[0, 0], rtol=1e-4)
    assert np.abs(field[..., 0]).max() < 1e-6


def test_an_arrow_bends_its_own_group_only():
    group = np.zeros((24, 36), np.uint8)
    group[:12] = 2
    field = bend_velocity(perspective(), [Arrow(0.5, 0.9, 0.3, 0.9, 2.0)], 24 / 36, group)
    assert np.array_equal(field[:12], perspective()[:12])
    assert field[12:, :, 0].max() < 0


@given(st.lists(arrows, min_size=1, max_size=5), st.floats(0.0, 1e-3))
def test_a_field_that_knows_nothing_gives_finite_velocities(given_arrows, level):
    field = np.full((12, 16, 2), level, np.float32)
    assert np.isfinite(bend_velocity(field, given_arrows, 0.75)).all()
