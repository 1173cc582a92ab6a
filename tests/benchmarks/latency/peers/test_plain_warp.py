# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses

import cv2
import msgspec
import numpy as np
import pytest

from stillflow.animator import Loop
from stillflow.kernels.arrays import SceneArrays
from stillflow_bench.baselines import plain_warp
from stillflow_bench.latency.peers.plain_warp import QuickWarp, open_target
from stillflow_bench.photos import falling_column, scenery


def held_to_the_readable_one(arrays: SceneArrays) -> None:
    """Within the rounding of uint8 maps everywhere but for a few pixels: at the picture's and the flow's very edge."""
    quick, out = QuickWarp(arrays), np.empty_like(arrays.photo)
    for t in (0.0, 2.5, 7.0, float(arrays.frames - 1)):
        quick.frame(t, out)
        difference = np.abs(out.astype(int) - plain_warp(arrays, t))
        assert difference.mean() < 0.5
        assert (difference.max(-1) <= 4).mean() > 0.98
        assert np.array_equal(out[arrays.matte == 0], arrays.photo[arrays.matte == 0])


@pytest.mark.parametrize("size", [(160, 96), (150, 98)])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_falling_column(size: tuple[int, int], share: float) -> None:
    held_to_the_readable_one(falling_column(scenery(*size), share, seconds=1.0, fps=12.0).arrays)


def test_a_river(river_loop: Loop) -> None:
    held_to_the_readable_one(river_loop.scene.arrays)


def test_parts_that_close_at_times_of_their_own_and_sway(river_loop: Loop) -> None:
    arrays = river_loop.scene.arrays
    cycles = arrays.cycles.copy()
    cycles[:, :20] = 3
    sway = np.zeros((1, *arrays.flow.shape, 4), np.float32)
    sway[..., :] = (0.2, 0.1, -0.3, 0.2)
    held_to_the_readable_one(
        dataclasses.replace(arrays, cycles=cycles, sway=sway, sway_periods=np.ones(1, np.int32))
    )


def test_queries_and_facts(spec_of) -> None:
    before = cv2.getNumThreads()
    target = open_target(spec_of("plain-warp", "B3.next"))
    answer = target.query(1)
    assert set(answer.spans) == {"stage maps", "stage remap", "stage blend"}
    assert answer.digest() == target.query(1, 1).digest()
    assert (target.inputs, target.facts.photos) == (32, ["a.png", "b.png"])
    digests = {target.query(index).digest() for index in range(32)}
    assert len(digests) == 32, "no two inputs show the same"
    assert msgspec.json.encode(target.facts), "a worker tells them in JSON"
    assert len(set(target.facts.inputs)) == 32
    assert target.facts.provider == "cv2 with 1 threads"
    assert target.facts.notes["moving_share"] == pytest.approx([0.5, 0.5], abs=0.1)
    target.close()
    assert cv2.getNumThreads() == before
