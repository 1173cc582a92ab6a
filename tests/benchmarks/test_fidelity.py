# SPDX-License-Identifier: Apache-2.0
"""PSNR and SSIM of pictures whose difference is known."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from stillflow_bench.fidelity import FidelityWatch, psnr, psnr_of, ssim_map

FloatArray = npt.NDArray[np.float32]


@pytest.fixture
def plane() -> FloatArray:
    rng = np.random.default_rng(6)
    smooth = cv2.GaussianBlur(rng.normal(128, 60, (40, 30)).astype(np.float32), (0, 0), 1.5)
    return np.asarray(np.clip(np.rint(smooth), 0, 255), np.float32)


def test_psnr_of_a_constant_difference_is_known(plane: FloatArray) -> None:
    dark = np.repeat(np.clip(plane, 0, 200).astype(np.uint8)[..., None], 3, axis=2)
    assert psnr(dark, dark + np.uint8(5)) == pytest.approx(20 * math.log10(255 / 5), abs=1e-4)
    half = dark.copy()
    half[:20] += 5
    where = np.zeros(dark.shape[:2], bool)
    where[:20] = True
    assert psnr(dark, half) == pytest.approx(20 * math.log10(255 / 5) + 10 * math.log10(2), abs=1e-4)
    assert psnr(dark, half, where) == pytest.approx(20 * math.log10(255 / 5), abs=1e-4)
    assert psnr(dark, half, ~where) == psnr_of(0) == pytest.approx(108.13, abs=0.01)


def test_equal_planes_are_alike(plane: FloatArray) -> None:
    assert ssim_map(plane, plane) == pytest.approx(np.ones((30, 20)))


def test_flat_planes_differ_by_their_brightness_alone() -> None:
    a, b = (np.full((20, 20), level, np.float32) for level in (100, 150))
    c1 = (0.01 * 255) ** 2
    assert ssim_map(a, b) == pytest.approx((2 * 100 * 150 + c1) / (100**2 + 150**2 + c1), rel=1e-5)


def test_ssim_is_what_the_paper_writes(plane: FloatArray) -> None:
    """The sums of Wang et al. 2004, equations 13 to 16, written out with the window of 11 x 11."""
    rng = np.random.default_rng(7)
    other = np.clip(0.8 * plane + rng.normal(10, 8, plane.shape), 0, 255).astype(np.float32)
    ramp = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(ramp, ramp) / np.outer(ramp, ramp).sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = np.empty((30, 20))
    for i in range(30):
        for j in range(20):
            x, y = (p[i : i + 11, j : j + 11].astype(np.float64) for p in (plane, other))
            mx, my = (window * x).sum(), (window * y).sum()
            vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
            both = (window * (x - mx) * (y - my)).sum()
            expected[i, j] = (2 * mx * my + c1) * (2 * both + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    assert ssim_map(plane, other) == pytest.approx(expected, abs=1e-5)
    assert 0.2 < expected.mean() < 0.95


def test_a_watch_leaves_frame_0_out_and_tells_the_moving_part_apart(plane: FloatArray) -> None:
    truth = np.repeat(np.clip(plane, 0, 200).astype(np.uint8)[..., None], 3, axis=2)
    moves = np.zeros(truth.shape[:2], bool)
    moves[:, 20:] = True
    watch = FidelityWatch(lambda _: truth, moves)
    for t in range(3):
        frame = truth.copy()
        frame[:, 20:] += np.uint8(10 * t)
        watch(t, frame, frame @ np.array([0.299, 0.587, 0.114], np.float32))
    assert watch.psnr_moving == pytest.approx([20 * math.log10(255 / level) for level in (10, 20)], abs=1e-3)
    assert watch.psnr_whole == pytest.approx([v + 10 * math.log10(3) for v in watch.psnr_moving], abs=1e-3)
    assert 1 > watch.ssim_whole[0] > watch.ssim_moving[0] > watch.ssim_moving[1]


def test_where_nothing_moves_there_is_nothing_to_say_of_what_moves(plane: FloatArray) -> None:
    truth = np.repeat(plane.astype(np.uint8)[..., None], 3, axis=2)
    watch = FidelityWatch(lambda _: truth, np.zeros(truth.shape[:2], bool))
    watch(1, truth, plane)
    assert (watch.psnr_moving, watch.ssim_moving) == ([], [])
    assert watch.ssim_whole == pytest.approx([1])
