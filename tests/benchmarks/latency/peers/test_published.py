# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from stillflow.features.displacements import Displacements
from stillflow_bench.latency.peers.published import as_input, falling, throws_at
from stillflow_bench.latency.subject import Subject


@pytest.mark.parametrize(("moving", "share"), [(None, 1.0), (0.0, 0.0), (0.25, 0.25), (1.0, 1.0)])
def test_the_share_that_is_asked_for_falls(moving: float | None, share: float) -> None:
    velocity = falling(Subject(width=80, height=16, moving=moving, fps=30.0))
    assert (velocity != 0).any(-1).mean() == pytest.approx(share)
    assert velocity.max() == pytest.approx(0.06 * 80 / 30 if share else 0)
    assert not velocity[..., 0].any()


def test_a_frame_is_thrown_from_both_ends() -> None:
    course = Displacements(falling(Subject(width=32, height=16, fps=30.0)), 10, 0)
    (forward, share), (backward, rest) = throws_at(course, 3)
    assert (share, rest) == (pytest.approx(0.7), pytest.approx(0.3))
    step = 0.06 * 32 / 30
    assert forward[0, 0, 1] == pytest.approx(3 * step, rel=1e-4)
    assert backward[15, 0, 1] == pytest.approx(-7 * step, rel=1e-4)


def test_pictures_span_the_range_that_the_encoder_takes() -> None:
    photo = np.array([[[0, 255, 128]]], np.uint8)
    assert as_input(photo).ravel() == pytest.approx([-1, 1, 128 / 127.5 - 1], abs=1e-6)
