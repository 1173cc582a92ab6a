# SPDX-License-Identifier: Apache-2.0
"""Places that look alike agree; places that do not keep what the network said of each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.consensus import LONG_SIDE, agree


def halves(height: int = 80, width: int = 120) -> np.ndarray:
    """Blue above, green below."""
    photo = np.zeros((height, width, 3), np.uint8)
    photo[: height // 2] = (60, 110, 230)
    photo[height // 2 :] = (40, 140, 40)
    return photo


def test_a_doubt_is_settled_by_what_looks_alike():
    classes = np.zeros((10, 32, 48), np.float32)
    classes[9, :16], classes[5, 16:] = 3, 3
    # In one corner of the lawn the network leans slightly to water.
    classes[:, 24:, 30:] = 0
    classes[1, 24:, 30:] = 0.5
    found, moves = agree(
        classes, np.where(np.arange(32)[:, None] >= 16, 1.0, -1.0) * np.ones((1, 48)), halves()
    )
    chosen = found.argmax(0)
    assert (chosen[:15] == 9).all()
    assert (chosen[17:] == 5).all()
    assert moves[:15].max() < 0 < moves[17:].min()


def test_what_looks_different_keeps_its_own_answer():
    classes = np.zeros((10, 32, 48), np.float32)
    classes[9, :16], classes[0, 16:] = 3, 3
    found, moves = agree(classes, np.full((32, 48), -2.0, np.float32), halves())
    assert (found.argmax(0)[:15] == 9).all()
    assert (found.argmax(0)[17:] == 0).all()
    assert moves.max() < 0


@given(st.integers(40, 200), st.integers(40, 200), st.integers(0, 2**31), st.floats(0.01, 50))
@settings(max_examples=30, deadline=None)
def test_any_logits_give_finite_shares_of_any_photo(height, width, seed, scale):
    rng = np.random.default_rng(seed)
    photo = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    classes = (rng.normal(size=(10, 8, 12)) * scale).astype(np.float32)
    found, moves = agree(classes, (rng.normal(size=(8, 12)) * scale).astype(np.float32), photo)
    assert max(found.shape[1:]) == LONG_SIDE
    assert found.shape[1:] == moves.shape
    assert np.isfinite(moves).all()
    assert np.exp(found).sum(0) == pytest.approx(np.ones(moves.shape), abs=1e-4)
