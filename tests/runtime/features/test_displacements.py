# SPDX-License-Identifier: Apache-2.0
"""Displacements of a loop: those of the reference at every time, whatever is kept of them."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.features import displacements
from stillflow.features.displacements import BYTES, Displacements, spacing
from stillflow.kernels.splat_reference import euler

FRAMES = 40


@pytest.fixture(scope="module")
def velocity() -> np.ndarray:
    rng = np.random.default_rng(2)
    v = rng.normal(0.3, 0.7, (30, 44, 2)).astype(np.float32)
    v[:, :12] = 0
    return v


@pytest.mark.parametrize("states", [0, 3, 5, 13, 20, 41, 1000])
def test_maps_are_those_of_the_reference(velocity: np.ndarray, states: int) -> None:
    moving = int((velocity != 0).any(-1).sum())
    found = Displacements(velocity, FRAMES, 2 * BYTES * moving * states)
    order = [0, 1, 2, 3, 40, 20, 19, 7, 39, 38, 37, 36, 5, 0, 21]
    for t in order:
        forward, backward = found.at(t)
        assert np.array_equal(forward, euler(velocity, t)), t
        assert np.array_equal(backward, euler(-velocity, FRAMES - t)), t


def test_between_frames_the_maps_are_mixed(velocity: np.ndarray) -> None:
    found = Displacements(velocity, FRAMES, 1 << 20)
    forward, _ = found.at(6.25)
    early, late = euler(velocity, 6), euler(velocity, 7)
    gone = late[..., 0] == 45
    assert forward[~gone] == pytest.approx((0.75 * early + 0.25 * late)[~gone], abs=1e-5)
    assert (forward[gone] == 45).all()
    assert gone.any()


def test_what_leaves_is_thrown_out_and_what_stands_stays(velocity: np.ndarray) -> None:
    forward, _ = Displacements(velocity, FRAMES, 1 << 20).at(FRAMES)
    assert not forward[:, :12].any()
    assert (forward == 45).all(-1).any()


def test_a_loop_takes_every_step_about_twice_and_not_n_squared(
    velocity: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [0]
    step = displacements.euler_step

    def counted(*words: object) -> None:
        steps[0] += 1
        step(*words)

    monkeypatch.setattr(displacements, "euler_step", counted)
    moving = int((velocity != 0).any(-1).sum())
    for states, most in ((FRAMES + 1, 2 * FRAMES), (13, 5 * FRAMES)):
        steps[0] = 0
        found = Displacements(velocity, FRAMES, 2 * BYTES * moving * states)
        for t in range(FRAMES):
            found.at(t)
        assert steps[0] <= most


def test_threads_may_ask_at_once(velocity: np.ndarray) -> None:
    found = Displacements(velocity, FRAMES, 20_000)
    wrong: list[int] = []

    def ask(start: int) -> None:
        times = range(start, FRAMES, 3)
        wrong.extend(t for t in times if not np.array_equal(found.at(t)[0], euler(velocity, t)))

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 2000), st.integers(0, 2100))
def test_what_is_kept_fits(steps: int, slots: int) -> None:
    every, recent = spacing(steps, slots)
    checkpoints = -(-(steps + 1) // every)
    assert checkpoints + (recent if every > 1 else 0) <= max(slots, displacements.LEAST_STATES)
    assert every == 1 or slots < steps + 1
