# SPDX-License-Identifier: Apache-2.0
"""What C makes of a flow network's answers is what Python makes of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from stillflow.flow import predict_motion
from stillflow.guidance import Hints
from stillflow.motion import Motion
from stillflow.photo import Photo

from ..structs import Order
from .motions import MATTE_ERROR, predict

ENGINE = 10
"""SF_ERROR_ENGINE."""


def same(found: Motion | None, expected: Motion, ties: float = 0.0) -> None:
    """Hold a motion of C to that of Python; ties: the share of samples whose class may be another one."""
    assert found is not None
    np.testing.assert_allclose(found.matte, expected.matte, atol=MATTE_ERROR)
    for name in ("velocity", "confidence", "doubt"):
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), rtol=1e-4, atol=2e-6, err_msg=name
        )
    other = found.classes != expected.classes
    assert other.mean() <= ties
    if not other.any():
        np.testing.assert_array_equal(found.order, expected.order)
    np.testing.assert_allclose(found.suitability, expected.suitability, rtol=1e-5)


def test_the_network_is_asked_the_same(seen) -> None:
    for one in seen:
        _, asked = predict(one.photo.pixels, one.answers)
        assert set(asked) == {"photo", "hints"}
        for name, expected in one.asked.items():
            np.testing.assert_array_equal(asked[name], expected)


def test_real_photos_move_as_in_python(seen) -> None:
    for one in seen:
        found, _ = predict(one.photo.pixels, one.answers)
        same(found, one.motion, ties=1e-3)


@pytest.mark.parametrize("size", [(16, 16), (17, 90), (75, 33)])
def test_any_answer_of_any_photo_is_read_as_in_python(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(size))
    pixels = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    answers = {
        name: (rng.normal(size=(1, channels, 9, 13)) * 3).astype(np.float32)
        for name, channels in (("classes", 10), ("moves", 1), ("velocity", 2), ("spread", 1))
    }
    for more in ({}, {"either": answers["spread"], "suited": answers["moves"][..., :1, :1]}):
        expected = predict_motion(Photo.from_array(pixels), Hints(), lambda _: answers | more, {}, 64)
        found, _ = predict(pixels, answers | more, long_side=64)
        same(found, expected, ties=1e-2)
        assert math.isnan(expected.suitability) == (not more)
        assert expected.doubt.any() == bool(more)


@pytest.mark.parametrize(
    ("name", "answer", "word"),
    [
        ("spread", None, "missing"),
        ("velocity", np.full((1, 2, 9, 13), np.nan), "no number"),
        ("classes", np.full((1, 10, 9, 13), -np.inf), "no number"),
        ("moves", np.full((1, 1, 9, 13), 1e30), "absurd"),
        ("classes", np.zeros((1, 9, 9, 13)), "channels"),
        ("velocity", np.zeros((2, 2, 9, 13)), "channels"),
        ("either", np.zeros((1, 1, 0, 13)), "size"),
        ("moves", np.zeros((1, 1, 9, 12)), "size"),
    ],
)
def test_an_answer_that_means_nothing_is_an_error(name: str, answer: np.ndarray | None, word: str) -> None:
    shapes = {"classes": 10, "moves": 1, "velocity": 2, "spread": 1, "either": 1, "suited": 1}
    answers = {n: np.zeros((1, channels, 9, 13), np.float32) for n, channels in shapes.items()}
    answers[name] = answer
    told: list[Any] = []
    predict(
        np.zeros((40, 60, 3), np.uint8),
        {n: a for n, a in answers.items() if a is not None},
        check=lambda status, error: told.extend((status, error.why.decode())),
    )
    assert told[0] == ENGINE
    assert name in told[1]
    assert word in told[1]


def test_a_bad_answer_ends_the_whole_motion_too() -> None:
    statuses: list[int] = []
    order = Order(4.0, 30.0, 1.0, adaptive=1)
    predict(np.zeros((40, 60, 3), np.uint8), {}, order, check=lambda status, _: statuses.append(status))
    assert statuses == [ENGINE]
