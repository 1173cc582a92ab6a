# SPDX-License-Identifier: Apache-2.0
"""The measure of the generator, fed with frames whose fault is known."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from stillflow.animator import Animator, Loop
from stillflow_bench import uncovered
from stillflow_bench.uncovered import Score, loop_rows, true_blend

FloatArray = npt.NDArray[np.float32]


@pytest.fixture
def noise() -> FloatArray:
    """(96, 128) luma."""
    rng = np.random.default_rng(4)
    return np.asarray(cv2.GaussianBlur(rng.normal(128, 60, (96, 128)).astype(np.float32), (0, 0), 1.5))


def test_blending_a_picture_with_itself_changes_nothing(noise: FloatArray) -> None:
    picture = np.repeat(noise[..., None], 3, axis=2).clip(0, 255)
    assert np.abs(true_blend(picture, picture, 0.3) - picture).max() < 0.1


def test_blending_unlike_pictures_keeps_their_contrast() -> None:
    rng = np.random.default_rng(5)
    a, b = (rng.normal(128, 20, (96, 128, 1)).repeat(3, 2).astype(np.float32) for _ in range(2))
    blended, crossed = true_blend(a, b, 0.5), (a + b) / 2
    assert crossed.std() == pytest.approx(20 / math.sqrt(2), rel=0.05)
    assert blended.std() == pytest.approx(20, rel=0.07)


def test_aims_are_relative_to_the_closed_form() -> None:
    made = [Score(100, 400, 1.0, 0.97), Score(50, math.nan, 1.0, 1.0)]
    closed = [Score(200, 1600, 2.0, 0.9), Score(100, math.nan, 2.0, 0.9)]
    rows = loop_rows(made, closed, {})
    inside, lost, flicker, least, most = rows
    gain = 10 * math.log10(2)
    assert inside.value - inside.baselines["closed form"] == pytest.approx(gain)
    assert inside.limit == pytest.approx(inside.baselines["closed form"] + 1)
    assert (lost.value - lost.baselines["closed form"], len(lost.samples)) == (
        pytest.approx(20 * math.log10(2)),
        1,
    )
    assert [row.holds for row in rows] == [True] * 5
    assert (flicker.value, flicker.limit, least.limit, most.limit) == (1, 2, 0.9, 1.05)
    assert [row.holds for row in loop_rows(closed, made, {})][:3] == [False, False, False]


def test_nothing_is_invalid_where_the_surface_is_everywhere(river_loop: Loop) -> None:
    gone = uncovered.invalid(river_loop.scene, 6.0)
    assert gone.shape == (96, 160)
    assert gone[:40].all()  # the sky is no source of water
    assert not gone[80:, 30:130].any()


def test_the_shipped_generator_is_played_beside_the_closed_form() -> None:
    pytest.importorskip("torch", reason="torch is not installed, and scenes are drawn with it")
    rows = uncovered.measure(Animator(), [], scenes=1)
    names = [row.name for row in rows]
    assert "PSNR inside the moving area" in names
    assert "detail energy half way" in names
    assert all(math.isfinite(row.value) and set(row.baselines) == {"closed form"} for row in rows)
