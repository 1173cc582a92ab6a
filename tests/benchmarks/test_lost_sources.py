# SPDX-License-Identifier: Apache-2.0
"""Uncovered area of scenes in which it can be counted by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stillflow.animator import Loop
from stillflow.kernels.arrays import SceneArrays
from stillflow_bench.baselines import straight_sources
from stillflow_bench.lost_sources import loop_sources, uncovered

FRAMES = 12


@pytest.fixture
def stream(river_loop: Loop) -> SceneArrays:
    """40 x 24 samples that all flow to the right, five samples a frame: 60 in a loop of 12 frames."""
    arrays = river_loop.arrays
    velocity = np.zeros_like(arrays.velocity)
    velocity[..., 0] = 5
    return replace(
        arrays,
        velocity=velocity,
        matte=np.full_like(arrays.matte, 255),
        flow=np.ones_like(arrays.flow),
        cycles=np.ones_like(arrays.cycles),
        inside=np.ones_like(arrays.inside),
        sway=np.zeros((0, *arrays.flow.shape, 4), np.float32),
        sway_periods=np.zeros(0, np.int32),
    )


def by_hand(t: int) -> float:
    """Of 40 columns, those less than 5 t from the left and less than 5 (12 - t) from the right."""
    return len([x for x in range(40) if x - 5 * t < 0 and x + 5 * (FRAMES - t) > 39]) / 40


@pytest.mark.parametrize("who", ["loop", "plain warp"])
def test_what_flows_in_from_beyond_the_picture_is_uncovered(stream: SceneArrays, who: str) -> None:
    sources = loop_sources(stream) if who == "loop" else lambda t: straight_sources(stream, t)
    shares = uncovered(stream, sources)
    assert shares == pytest.approx([by_hand(t) for t in range(FRAMES)], abs=1 / 40)
    assert shares[0] == 0
    assert max(shares) == pytest.approx(0.5, abs=1 / 40)


def test_two_cycles_uncover_less_than_one(stream: SceneArrays) -> None:
    # Half the way, 30 of 40 samples, and so one of both sources is always in the picture.
    twice = replace(stream, cycles=np.full_like(stream.cycles, 2))
    assert max(uncovered(twice, lambda t: straight_sources(twice, t))) == 0


def test_another_layer_is_no_source(stream: SceneArrays) -> None:
    slow = replace(stream, velocity=stream.velocity / 5)
    assert max(uncovered(slow, loop_sources(slow))) == 0
    # Stripes three samples wide, and in the middle of the loop both sources lie six samples, two stripes, away.
    stripes = np.broadcast_to(np.arange(40) // 3 % 4 + 1, slow.flow.shape).astype(np.uint8)
    striped = replace(slow, flow=np.ascontiguousarray(stripes))
    shares = uncovered(striped, lambda t: straight_sources(striped, t))
    assert shares[6] == 1
    assert shares[0] == 0


def test_what_stands_still_is_no_source(stream: SceneArrays) -> None:
    matte = np.zeros_like(stream.matte)
    matte[:, 60:80] = 255  # five samples, and half way the content comes six samples from either side
    island = replace(stream, matte=matte, velocity=stream.velocity / 5)
    shares = uncovered(island, lambda t: straight_sources(island, t))
    assert shares[6] == 1
    assert shares[1] == pytest.approx(1 / 5)
    assert max(uncovered(replace(island, flow=np.zeros_like(island.flow)), loop_sources(island))) == 0
    assert set(uncovered(replace(island, matte=np.zeros_like(matte)), loop_sources(island))) == {0.0}
