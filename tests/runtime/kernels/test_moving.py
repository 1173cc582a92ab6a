# SPDX-License-Identifier: Apache-2.0
"""What moves is listed, all of it and little more: nothing that a trace reads is left out, at any time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stillflow.kernels import reference as ref
from stillflow.kernels.arrays import SceneArrays, field_shape
from stillflow.kernels.moving import (
    SWAYS,
    TILE_HEIGHT,
    TILE_WIDTH,
    UNIT_HEIGHT,
    UNIT_SHIFT,
    UNIT_WIDTH,
    find_moving,
)

from .cross_fades import random_cross_fade

sides = st.integers(1, 70)


def of_places(places, shape, height, width, shift=0):
    """Which samples of a plane the listed blocks hold."""
    marks = np.zeros((shape[0] + 2 * height, shape[1] + width), np.bool_)
    for place in places:
        row, column = int(place >> 16 & 0x7FFF) * height, int(place & 0xFFFF) * width
        marks[row : row + height, column : column + width] = True
    return marks[shift : shift + shape[0], : shape[1]]


def of_tiles(places, shape):
    return of_places(places, shape, TILE_HEIGHT, TILE_WIDTH)


def read(marks, x, y):
    """Whether all four cells of lookups at real positions are marked."""
    h, w = marks.shape
    x0 = np.minimum(np.clip(x, 0, w - 1).astype(int), max(w - 2, 0))
    y0 = np.minimum(np.clip(y, 0, h - 1).astype(int), max(h - 2, 0))
    x1, y1 = np.minimum(x0 + 1, w - 1), np.minimum(y0 + 1, h - 1)
    return marks[y0, x0] & marks[y0, x1] & marks[y1, x0] & marks[y1, x1]


def traced(arrays, time):
    """Displacements after 0, 1, 2 and 3 doublings of a trace."""
    x, y = ref.grid(*arrays.flow.shape)
    step = (time / np.float32(2**ref.DOUBLINGS))[..., None]
    half = arrays.velocity * (step * np.float32(0.5))
    levels = [ref.lookup(arrays.velocity, x + half[..., 0], y + half[..., 1]) * step]
    for _ in range(ref.DOUBLINGS - 1):
        d = levels[-1]
        levels.append(d + ref.lookup(d, x + d[..., 0], y + d[..., 1]))
    return levels


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    height=sides,
    width=sides,
    moving=st.floats(0.01, 1),
    speed=st.floats(0, 4),
    u=st.floats(0, 1),
)
@example(seed=259, height=51, width=64, moving=0.0625, speed=0.125, u=0.0)  # flows beside what is a source
def test_traces_stay_in_what_is_listed(seed, height, width, moving, speed, u):
    arrays = random_cross_fade(np.random.default_rng(seed), height, width, moving=moving, speed=speed)
    found = find_moving(arrays)
    shape = arrays.flow.shape
    x, y = ref.grid(*shape)
    sources = of_tiles(found.sources, shape) & (arrays.flow != 0)
    if not found.steps:
        assert not sources.any() or not arrays.velocity.any()
        return
    levels = [of_tiles(places, shape) for places in found.steps]
    period = np.float32(arrays.frames) / arrays.cycles.astype(np.float32)
    for time in (-np.float32(u) * period, np.float32(1 - u) * period):
        d = traced(arrays, time)
        # Every cell of a listed tile is computed, and each may be read.
        for k, needed in enumerate([*levels[1:], sources]):
            assert (levels[k] | ~needed).all()
            assert read(levels[k], x + d[k][..., 0], y + d[k][..., 1])[needed].all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), height=sides, width=sides, moving=st.floats(0.01, 1))
def test_all_that_a_moving_pixel_is_made_of_is_listed(seed, height, width, moving):
    arrays = random_cross_fade(np.random.default_rng(seed), height, width, moving=moving)
    found = find_moving(arrays)
    shape, lit = arrays.flow.shape, bool(arrays.light.shape[0])
    units = of_places(found.units, (height, width), UNIT_HEIGHT, UNIT_WIDTH, UNIT_SHIFT)
    moves = arrays.matte > (0 if lit else 1)
    assert units[moves].all() and found.pixels == moves.sum() and found.still == (~moves).sum()
    py, px = np.nonzero(arrays.matte > 1)
    blended = of_tiles(found.blended, shape)
    assert read(blended, (px - 1.5) / 4, (py - 1.5) / 4).all()
    if lit:
        py, px = np.nonzero(moves)
        assert read(of_tiles(found.lit, shape), (px - 1.5) / 4, (py - 1.5) / 4).all()
    else:
        assert not found.lit.size
    needed = np.zeros(shape, np.bool_)
    py, px = np.nonzero(arrays.matte > 1)
    x, y = ((px + 2) // 4 - 1), ((py + 2) // 4 - 1)
    for k in range(4):
        needed[np.clip(y + k // 2, 0, shape[0] - 1), np.clip(x + k % 2, 0, shape[1] - 1)] = True
    rows, sources = of_tiles(found.rows, shape), of_tiles(found.sources, shape)
    for cy, cx in zip(*np.nonzero(needed), strict=True):
        box = slice(max(cy - 4, 0), cy + 5)
        assert rows[box, cx].all() and sources[box, max(cx - 4, 0) : cx + 5].all()
    sways = arrays.sway.any(axis=(0, 3)) & sources
    marked = of_tiles(found.sources[found.sources & SWAYS != 0], shape)
    assert marked[sways].all() and (sways.any() or not marked.any())
    # Chroma takes from the column on the left.
    converted = of_places(found.converted, (height, width), UNIT_HEIGHT, UNIT_WIDTH, UNIT_SHIFT)
    assert converted[moves].all() and converted[:, 1:][moves[:, :-1]].all()


@pytest.mark.parametrize(("share", "travel"), [(0.3, 0.06), (0.1, 0.06), (0.3, 0.2)])
def test_a_part_that_moves_costs_about_its_share(share, travel):
    # The farthest way that a scene allows a flow in one cycle is a fifth of the picture's width; 6 % is the rule.
    height, width = 720, 1280
    h, w = field_shape(height, width)
    matte, velocity = np.zeros((height, width), np.uint8), np.zeros((h, w, 2), np.float32)
    matte[120 : 120 + round(height * share**0.5), 200 : 200 + round(width * share**0.5)] = 255
    velocity[..., 1] = travel * w / 90
    picture = np.zeros((height, width, 3), np.uint8)
    ones = np.ones((h, w), np.uint8)
    found = find_moving(
        SceneArrays(
            photo=picture,
            plate=picture,
            matte=matte,
            velocity=velocity,
            flow=ones,
            cycles=ones,
            inside=np.ones((h, w), np.float32),
            sway=np.zeros((0, h, w, 4), np.float32),
            blend=None,
            low=np.zeros((h, w, 3), np.float32),
            frames=90,
        )
    )
    assert found.units.size * UNIT_WIDTH * UNIT_HEIGHT < 1.05 * found.pixels
    cells, tile = h * w, TILE_WIDTH * TILE_HEIGHT
    # Statistics read four cells further, traces as far as a cycle carries, up and down.
    tall, wide = (height * share**0.5 / 4, width * share**0.5 / 4)
    assert found.sources.size * tile < 1.2 * (tall + 16) * (wide + 16)
    spread = [places.size * tile for places in found.steps]
    assert spread == sorted(spread, reverse=True)
    assert spread[0] <= min(cells, 1.2 * (tall + 16 + 2 * travel * w + 40) * (wide + 16 + 40))


def test_absurd_speeds_reach_everywhere():
    arrays = random_cross_fade(np.random.default_rng(8), 60, 90, moving=0.1)
    flow, velocity = np.ones_like(arrays.flow), np.full_like(arrays.velocity, 1e5)
    found = find_moving(dataclasses.replace(arrays, flow=flow, velocity=velocity))
    assert of_tiles(found.steps[0], flow.shape).all()


def test_what_stands_still_is_not_listed():
    arrays = random_cross_fade(np.random.default_rng(2), 40, 50)
    nothing = dataclasses.replace(arrays, matte=np.zeros_like(arrays.matte))
    found = find_moving(nothing)
    lists = (found.units, found.converted, *found.steps, found.sources, found.rows, found.blended, found.lit)
    assert not any(places.size for places in lists) and found.pixels == 0
    # Under the light alone nothing is gathered, so no sources are wanted.
    alone = dataclasses.replace(arrays, matte=np.ones_like(arrays.matte), light=arrays.sway[:0, ..., :2])
    assert not find_moving(alone).units.size
    lit = dataclasses.replace(
        alone, light=np.zeros((1, *arrays.flow.shape, 2), np.float32), light_periods=np.ones(1, np.int32)
    )
    found = find_moving(lit)
    assert found.units.size and found.lit.size and not found.sources.size and not found.blended.size
