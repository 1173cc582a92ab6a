# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np

from stillflow.animator import Loop
from stillflow_bench.baselines import plain_warp, repeat_photo


def test_repeat_is_the_photo(river_loop: Loop) -> None:
    arrays = river_loop.scene.arrays
    assert np.array_equal(repeat_photo(arrays, 5.5), arrays.photo)


def test_plain_warp_begins_with_the_photo_and_leaves_the_rest_alone(river_loop: Loop) -> None:
    arrays = river_loop.scene.arrays
    still = arrays.matte == 0
    assert np.abs(plain_warp(arrays, 0.0).astype(int) - arrays.photo).max() <= 1
    for t in (3.0, 6.0, 11.0):
        frame = plain_warp(arrays, t)
        assert np.array_equal(frame[still], arrays.photo[still])
        assert not np.array_equal(frame[~still], arrays.photo[~still])
    assert np.array_equal(plain_warp(arrays, float(arrays.frames)), plain_warp(arrays, 0.0))


def test_plain_warp_moves_content_along_the_velocity(river_loop: Loop) -> None:
    arrays = river_loop.scene.arrays
    t = 1.0
    shift = float(arrays.velocity[18, 20, 0]) * 4 * t
    rows = slice(64, 88)
    columns = np.arange(60, 100, dtype=np.float32)
    frame = plain_warp(arrays, t)[rows, 60:100, 1].astype(np.float32)
    weight = float(np.mod(arrays.cycles[18, 20] * t / arrays.frames, 1))

    def error(direction: float) -> float:
        xs = columns - direction * shift
        low = np.floor(xs).astype(int)
        part = (xs - low)[None]
        source = arrays.photo[rows, :, 1].astype(np.float32)
        moved = (1 - part) * source[:, low] + part * source[:, low + 1]
        return float(np.abs((1 - weight) * moved + weight * moved.mean() - frame).mean())

    assert shift > 0.3
    assert error(1) < error(-1)


def test_plain_warp_sways_as_often_as_the_loop_does(river_loop: Loop) -> None:
    arrays = river_loop.scene.arrays
    sway = np.zeros((1, *arrays.flow.shape, 4), np.float32)
    sway[..., 0] = 1
    twice = replace(arrays, flow=np.zeros_like(arrays.flow), sway=sway, sway_periods=np.array([2], np.int32))
    assert np.array_equal(plain_warp(twice, arrays.frames / 2), plain_warp(twice, 0.0))
    assert not np.array_equal(plain_warp(twice, arrays.frames / 4), plain_warp(twice, 0.0))
