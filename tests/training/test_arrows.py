# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillflow_training.arrows import as_arrow, misses


@given(turn=st.floats(-179, 179), aspect=st.floats(0.4, 2.5), speed=st.floats(0.005, 0.5))
def test_a_turned_velocity_misses_by_the_turn(turn: float, aspect: float, speed: float) -> None:
    arrow = np.array([[0.4, 0.5, 0.6, 0.45, 0.1]], np.float32)
    heading = math.atan2((0.45 - 0.5) * aspect, 0.2) + math.radians(turn)
    field = np.zeros((12, 16, 2), np.float32)
    field[...] = speed * math.cos(heading), speed * math.sin(heading)
    (miss,) = misses(field, arrow, aspect)
    assert miss.angle == pytest.approx(abs(turn), abs=0.1)
    assert miss.factor == pytest.approx(abs(math.log(speed / 0.1)), abs=1e-3)


def test_a_drift_to_the_other_side_misses_only_the_arrow_itself() -> None:
    arrow = np.array([[0.2, 0.5, 0.4, 0.5, 0.1]], np.float32)
    (miss,) = misses(np.array([[[-0.1, 0]]], np.float32), arrow, 0.75)
    assert (miss.angle, miss.mirrored) == (pytest.approx(180), pytest.approx(0))


def test_each_arrow_is_read_at_its_own_middle() -> None:
    field = np.zeros((10, 20, 2), np.float32)
    field[:, :10, 0], field[:, 10:, 1] = 0.1, 0.1
    arrows = np.array([[0.1, 0.5, 0.3, 0.5, 0.1], [0.7, 0.5, 0.9, 0.5, 0.1]], np.float32)
    assert [round(miss.angle) for miss in misses(field, arrows, 0.5)] == [0, 90]


def test_standing_still_is_neither_right_nor_opposite() -> None:
    arrow = np.array([[0.2, 0.5, 0.4, 0.5, 0.1]], np.float32)
    (miss,) = misses(np.zeros((4, 4, 2), np.float32), arrow, 1.0)
    assert miss.angle == miss.mirrored == pytest.approx(90)
    assert math.isfinite(miss.factor)


def test_a_label_becomes_an_arrow_of_the_same_velocity() -> None:
    arrow = as_arrow(np.array([0.2, 0.8, 0.5, 0.4, 0.25], np.float32), 0.75)
    assert arrow.velocity(0.75) == pytest.approx(
        (0.25 * 0.3 / math.hypot(0.3, 0.3), -0.25 * 0.3 / math.hypot(0.3, 0.3))
    )
