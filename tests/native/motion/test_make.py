# SPDX-License-Identifier: Apache-2.0
"""The motion of a photo, of a strength and of a seed, is the one that the animator makes in Python."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stillflow.assess import assess
from stillflow.flow import predict_motion
from stillflow.futures import draw_future
from stillflow.guidance import Hints
from stillflow.motion import Motion
from stillflow.photo import Photo

from ..structs import Order
from .motions import MATTE_ERROR, Answers, predict

FASTER = np.float32(6)
"""Times the network's speeds: then smoke is slowed."""


def made_in_python(photo: Photo, answers: Answers, order: Order) -> tuple[Motion, float]:
    """Animator.animate as far as the motion; and its strength."""

    def motion_of(hints: Hints) -> Motion:
        return draw_future(predict_motion(photo, hints, lambda _: answers, {}), hints)

    hints = Hints(strength=order.strength, seed=order.seed, adaptive=bool(order.adaptive))
    motion = motion_of(hints)
    suited = assess(photo, motion, seconds=order.seconds).strength
    if not hints.adaptive or suited == 1:
        return motion, hints.strength
    return motion_of(replace(hints, strength=suited)), suited


@pytest.mark.parametrize(
    ("which", "order", "slowed"),
    [
        (0, Order(4.0, 30.0, 1.0, adaptive=1, seed=2), False),
        (1, Order(4.0, 30.0, 1.0, adaptive=1), True),
        (1, Order(6.0, 25.0, 1.0, adaptive=1, seed=5), True),
        (2, Order(4.0, 30.0, 0.6), True),
    ],
)
def test_motions_are_those_of_the_animator(seen, which: int, order: Order, slowed: bool) -> None:
    one = seen[which]
    answers = {**one.answers, "velocity": one.answers["velocity"] * FASTER}
    expected, strength = made_in_python(one.photo, answers, order)
    assert (strength < 1) == slowed
    found, _ = predict(one.photo.pixels, answers, order)
    assert found is not None
    np.testing.assert_array_equal(found.classes, expected.classes)
    np.testing.assert_array_equal(found.order, expected.order)
    for name in ("velocity", "matte", "confidence", "doubt", "sway", "sway_hz", "light", "light_hz"):
        values = getattr(expected, name)
        close = 2e-6 + MATTE_ERROR * float(np.abs(values).max(initial=0))
        np.testing.assert_allclose(getattr(found, name), values, rtol=1e-4, atol=close, err_msg=name)
