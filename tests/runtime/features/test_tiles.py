# SPDX-License-Identifier: Apache-2.0
"""Tiles: whatever is cut, nothing is missing, nothing is too large, and the result is that of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillflow.errors import StillflowError
from stillflow.features.tiles import LEAST_CORE, TiledGraph, moving_windows
from stillflow.kernels.splat_source import Window

HALO = 7


def strided(inputs):
    """A layer that means blocks of four and looks ``HALO`` pixels far, as 0 beyond the border."""
    x = inputs["photo"][0]
    c, h, w = x.shape
    blocks = x.reshape(c, h // 4, 4, w // 4, 4).mean((2, 4))
    padded = np.pad(blocks, ((0, 0), (1, 1), (1, 1)))
    total = sum(padded[:, i : i + h // 4, j : j + w // 4] for i in range(3) for j in range(3))
    return {"frame": total.repeat(4, 1).repeat(4, 2)[None].astype(np.float32)}


def graph(most_pixels: int, halo: int | None = HALO, run=strided) -> TiledGraph:
    return TiledGraph(run, 4, halo, most_pixels)


def test_a_graph_of_another_size_than_its_manifest_says_is_refused() -> None:
    halved = graph(1 << 20, run=lambda inputs: {"frame": inputs["photo"][..., ::2, ::2]})
    with pytest.raises(StillflowError, match=r"12x8 pixels with frame of \(1, 3, 4, 6\)"):
        halved.over(source(np.zeros((3, 8, 12), np.float32)), Window(0, 8, 0, 12), 8, 12)


def source(picture):
    return lambda w: {"photo": picture[None, :, w.y0 : w.y1, w.x0 : w.x1]}


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_pieces_are_the_whole(data: st.DataObject) -> None:
    height, width = (4 * data.draw(st.integers(1, 70)) for _ in range(2))
    picture = np.random.default_rng(height * width).normal(size=(2, height, width)).astype(np.float32)
    y0, x0 = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    region = Window(y0, data.draw(st.integers(y0 + 1, height)), x0, data.draw(st.integers(x0 + 1, width)))
    tiled = graph(data.draw(st.integers(1, 60_000)))
    found = tiled.over(source(picture), region, height, width)["frame"]
    expected = strided({"photo": picture[None]})["frame"][0]
    assert np.abs(found - expected[:, region.y0 : region.y1, region.x0 : region.x1]).max() <= 1e-5
    covered = np.zeros((height, width), int)
    for core, outputs in tiled.pieces(source(picture), region, height, width):
        covered[core.y0 : core.y1, core.x0 : core.x1] += 1
        assert outputs["frame"].shape[1:] == (core.y1 - core.y0, core.x1 - core.x0)
    assert (covered[region.y0 : region.y1, region.x0 : region.x1] == 1).all()
    assert covered.sum() == (region.y1 - region.y0) * (region.x1 - region.x0)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 1100), st.integers(1, 1100), st.integers(40_000, 1 << 22))
def test_no_tile_is_larger_than_the_budget(rows: int, columns: int, most: int) -> None:
    height, width = 4 * rows, 4 * columns
    tiled = TiledGraph(strided, 4, 48, most)
    whole = Window(0, height, 0, width)
    cores = tiled.cores(whole, height, width)
    largest = max(tiled.work(core, height, width) for core in cores)
    # A core of 64 with its halo is 168 pixels across.
    assert largest <= max(most, (LEAST_CORE + 2 * 48 + 8) ** 2)
    assert sum((c.y1 - c.y0) * (c.x1 - c.x0) for c in cores) == height * width


def test_tiles_of_4k_waste_little() -> None:
    tiled = TiledGraph(strided, 4, 48, 500_000)
    cores = tiled.cores(Window(0, 2160, 0, 3840), 2160, 3840)
    assert sum(tiled.work(core, 2160, 3840) for core in cores) < 1.45 * 2160 * 3840


@settings(max_examples=40, deadline=None)
@given(st.integers(8, 1100), st.integers(8, 1100))
def test_no_side_is_longer_than_engines_take(rows: int, columns: int) -> None:
    height, width = 4 * rows, 4 * columns
    tiled = TiledGraph(strided, 4, 48, 1 << 30, 640)
    for core in tiled.cores(Window(0, height, 0, width), height, width):
        outer = tiled.outer(core, height, width)
        assert min(outer.y1 - outer.y0, outer.x1 - outer.x0) >= 32
        assert max(outer.y1 - outer.y0, outer.x1 - outer.x0) <= 640


def test_what_fits_is_one_piece_and_borders_get_no_halo() -> None:
    tiled = graph(10_000)
    assert tiled.cores(Window(0, 64, 0, 64), 64, 64) == [Window(0, 64, 0, 64)]
    assert tiled.outer(Window(0, 64, 0, 64), 64, 64) == Window(0, 64, 0, 64)
    assert tiled.outer(Window(17, 30, 0, 9), 64, 64) == Window(8, 40, 0, 16)


def test_without_a_halo_the_whole_is_run_once() -> None:
    seen = []

    def run(inputs):
        seen.append(inputs["photo"].shape)
        return strided(inputs)

    picture = np.ones((1, 64, 80), np.float32)
    found = graph(100, None, run).over(source(picture), Window(10, 20, 30, 50), 64, 80)
    assert seen == [(1, 1, 64, 80)]
    assert found["frame"].shape == (1, 10, 20)


def test_a_halo_too_small_is_seen() -> None:
    picture = np.random.default_rng(0).normal(size=(1, 160, 160)).astype(np.float32)
    whole = Window(0, 160, 0, 160)
    expected = strided({"photo": picture[None]})["frame"][0]
    found = graph(5_000, 0).over(source(picture), whole, 160, 160)["frame"]
    assert np.abs(found - expected).max() > 0.01


def moves(*parts: tuple[slice, slice], shape=(600, 800)) -> np.ndarray:
    found = np.zeros(shape, bool)
    for part in parts:
        found[part] = True
    return found


def test_parts_far_apart_have_windows_of_their_own() -> None:
    found = moving_windows(moves(np.s_[10:60, 20:80], np.s_[500:540, 700:790]), graph(1 << 20))
    assert found == [Window(10, 60, 20, 80), Window(500, 540, 700, 790)]


def test_parts_that_share_their_halos_share_a_window() -> None:
    found = moving_windows(moves(np.s_[10:60, 20:80], np.s_[10:60, 84:140]), graph(1 << 20))
    assert found == [Window(10, 60, 20, 140)]


def test_graphs_without_halo_have_one_window_and_still_pictures_none() -> None:
    two = moves(np.s_[10:60, 20:80], np.s_[500:540, 700:790])
    assert moving_windows(two, graph(1 << 20, None)) == [Window(10, 540, 20, 790)]
    assert moving_windows(moves(), graph(1 << 20)) == []


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(1, 40))
def test_windows_hold_all_that_moves(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    found = np.zeros((333, 417), bool)
    for _ in range(count):
        y, x = rng.integers(0, 330), rng.integers(0, 410)
        found[y : y + rng.integers(1, 40), x : x + rng.integers(1, 40)] = True
    left = found.copy()
    for window in moving_windows(found, graph(1 << 20)):
        left[window.y0 : window.y1, window.x0 : window.x1] = False
    assert not left.any()


def test_noise_has_few_windows() -> None:
    speckled = np.random.default_rng(0).random((600, 800)) < 0.001
    assert len(moving_windows(speckled, graph(1 << 20, 48))) < 10
    assert len(moving_windows(np.ones((600, 800), bool), graph(1 << 20))) == 1
