# SPDX-License-Identifier: Apache-2.0
"""Futures: other motions within the doubt, the same ones for the same seed, never against the user."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.errors import StillflowError
from stillflow.futures import (
    EXTREME,
    MAX_FUTURES,
    STREAMS,
    asked_once,
    check_futures,
    draw_future,
    draws,
)
from stillflow.guidance import MAX_SEED, Arrow, Hints
from stillflow.motion import CLASS_NAMES, FLOW_CLASSES, Motion

WATER, CLOUD = CLASS_NAMES.index("water"), CLASS_NAMES.index("cloud")

seeds = st.integers(1, MAX_SEED)


def scenery(cloud_doubt: float, water_doubt: float) -> Motion:
    """Clouds that drift to the right over water that falls, 320x240."""
    h, w = 60, 80
    classes = np.zeros((h, w), np.uint8)
    classes[:24], classes[36:, 20:60] = CLOUD, WATER
    velocity = np.zeros((h, w, 2), np.float32)
    velocity[:30, :, 0], velocity[30:, :, 1] = 0.02, 0.2
    doubt = np.zeros((h, w), np.float32)
    doubt[classes == CLOUD], doubt[classes == WATER] = cloud_doubt, water_doubt
    return Motion(
        velocity=velocity,
        matte=(classes > 0).astype(np.float32),
        classes=classes,
        confidence=np.ones((h, w), np.float32),
        sway=np.zeros((0, h, w, 4), np.float32),
        height=4 * h,
        width=4 * w,
        doubt=doubt,
    )


def mean(motion: Motion, label: int) -> np.ndarray:
    """Mean velocity of a class."""
    return motion.velocity[motion.classes == label].mean(axis=0)


def angle(a: np.ndarray, b: np.ndarray) -> float:
    """Degrees between two velocities."""
    return float(np.degrees(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))))


def test_seed_zero_is_the_most_probable_motion() -> None:
    motion = scenery(0.5, 0.5)
    assert draw_future(motion, Hints(seed=0)) is motion


@settings(deadline=None, max_examples=40)
@given(seeds)
def test_a_fall_goes_on_falling_while_clouds_may_turn(seed: int) -> None:
    motion = scenery(0.45, 0.03)
    drawn = draw_future(motion, Hints(seed=seed))
    fall, clouds = mean(drawn, WATER), mean(drawn, CLOUD)
    assert angle(fall, mean(motion, WATER)) < 3
    turned = draws(seed, CLOUD)["turn"] < 0.45
    assert (clouds[0] < 0) == turned
    assert 0.6 < np.linalg.norm(fall) / 0.2 < 1.7
    assert 0.6 < np.linalg.norm(clouds) / 0.02 < 1.7


def test_clouds_turn_as_often_as_the_doubt_says() -> None:
    for doubt in (0.2, 0.45):
        motion = scenery(doubt, 0.0)
        turned = [mean(draw_future(motion, Hints(seed=seed)), CLOUD)[0] < 0 for seed in range(1, 101)]
        assert np.mean(turned) == pytest.approx(doubt, abs=0.03)


def test_the_first_futures_differ() -> None:
    motion = scenery(0.4, 0.05)
    found = [mean(draw_future(motion, Hints(seed=seed)), CLOUD) for seed in range(4)]
    gaps = [np.linalg.norm(a - b) for i, a in enumerate(found) for b in found[:i]]
    assert min(gaps) > 0.1 * 0.02
    assert len({bool(v[0] > 0) for v in found}) == 2


def test_where_there_is_no_doubt_only_the_speed_varies() -> None:
    motion = scenery(0.0, 0.0)
    motion = replace(motion, doubt=np.full_like(motion.doubt, 1e-6))
    for seed in range(1, 9):
        drawn = draw_future(motion, Hints(seed=seed))
        for label in (WATER, CLOUD):
            assert angle(mean(drawn, label), mean(motion, label)) < 0.1


def test_a_network_that_says_nothing_still_gets_futures() -> None:
    motion = scenery(0.0, 0.0)
    drawn = [draw_future(motion, Hints(seed=seed)) for seed in range(1, 30)]
    assert any(mean(one, CLOUD)[0] < 0 for one in drawn)
    assert all(mean(one, WATER)[1] > 0 for one in drawn)


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_an_arrow_settles_the_class_it_lies_on(seed: int) -> None:
    motion = scenery(0.5, 0.5)
    drawn = draw_future(motion, Hints(seed=seed, arrows=(Arrow(0.2, 0.2, 0.6, 0.2, 20),)))
    assert angle(mean(drawn, CLOUD), mean(motion, CLOUD)) < 0.1
    assert np.linalg.norm(mean(drawn, CLOUD)) == pytest.approx(0.02, rel=0.12)


def test_an_arrow_beside_all_regions_settles_all() -> None:
    motion = scenery(0.5, 0.5)
    for seed in range(1, 6):
        drawn = draw_future(motion, Hints(seed=seed, arrows=(Arrow(0.02, 0.9, 0.1, 0.9),)))
        for label in (WATER, CLOUD):
            assert angle(mean(drawn, label), mean(motion, label)) < 0.1


def test_a_doubtful_part_turns_and_the_sure_part_of_the_same_class_does_not() -> None:
    # A fall into a pool: one region of water, half of it certain.
    motion = scenery(0.0, 0.0)
    velocity, doubt = motion.velocity.copy(), motion.doubt.copy()
    velocity[48:], doubt[36:48], doubt[48:] = (0.05, 0.0), 0.02, 0.45
    motion = replace(motion, velocity=velocity, doubt=doubt * (motion.classes == WATER))
    seed = next(s for s in range(1, 50) if draws(s, WATER)["turn"] < 0.4)
    drawn = draw_future(motion, Hints(seed=seed))
    assert drawn.velocity[40, 30:50, 1].min() > 0.1
    assert drawn.velocity[56, 30:50, 0].max() < -0.02


@given(seeds, st.sampled_from(FLOW_CLASSES))
def test_draws_are_in_range(seed: int, label: int) -> None:
    found = draws(seed, label)
    assert 0 <= found["turn"] <= 1
    assert abs(found["tilt"]) <= EXTREME and abs(found["speed"]) <= EXTREME


def test_every_flow_class_has_draws_of_its_own() -> None:
    assert sorted(STREAMS) == sorted(FLOW_CLASSES)
    assert len({draws(5, label)["turn"] for label in STREAMS}) == len(STREAMS)


def test_nothing_that_flows_stays_as_it_is() -> None:
    motion = scenery(0.5, 0.5)
    motion = replace(motion, matte=np.zeros_like(motion.matte))
    assert draw_future(motion, Hints(seed=3)) is motion


def test_a_network_asked_twice_runs_once() -> None:
    asked = []

    def run(inputs):
        asked.append(inputs)
        return {"answer": inputs["question"] + 1}

    ask = asked_once(run)
    zeros, ones = np.zeros(3, np.float32), np.ones(3, np.float32)
    for question in (zeros, zeros.copy(), ones, zeros):
        assert np.array_equal(ask({"question": question})["answer"], question + 1)
    assert len(asked) == 2


@pytest.mark.parametrize(("count", "seed"), [(0, 0), (-1, 0), (MAX_FUTURES + 1, 0), (2, MAX_SEED)])
def test_impossible_counts(count: int, seed: int) -> None:
    with pytest.raises(StillflowError, match="futures"):
        check_futures(count, seed)
