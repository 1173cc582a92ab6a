# SPDX-License-Identifier: Apache-2.0
"""A made-up clip whose motion is exactly known: noise that slides inside of a mask."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from stillflow.animator import Loop
from stillflow.errors import StillflowError
from stillflow_bench.clip import Clip
from stillflow_bench.real_motion import (
    MEASURED,
    RealMotion,
    direction_error,
    endpoint_error,
    mean_flow,
    played_velocity,
    told,
)

SLIDES = (1.5, -0.5)
"""Pixels a frame, x and y."""


def sliding(frames: int = 8) -> tuple[Clip, np.ndarray]:
    """(96, 160): noise that slides by ``SLIDES`` a frame in the middle, over noise that stands still."""
    rng = np.random.default_rng(9)
    ground, texture = (
        cv2.GaussianBlur(rng.normal(128, 90, (96, 160, 3)).astype(np.float32), (0, 0), 2) for _ in range(2)
    )
    mask = np.zeros((96, 160), bool)
    mask[24:72, 40:120] = True
    pictures = []
    for t in range(frames):
        by = np.array([[1, 0, SLIDES[0] * t], [0, 1, SLIDES[1] * t]], np.float32)
        slid = cv2.warpAffine(texture, by, (160, 96), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)
        pictures.append(np.clip(np.where(mask[..., None], slid, ground), 0, 255).astype(np.uint8))
    return Clip(np.stack(pictures), 12.0, "sliding"), mask


def truth(velocity: tuple[float, float]) -> RealMotion:
    field = np.zeros((24, 40, 2), np.float32)
    moves = np.zeros((24, 40), bool)
    moves[:12] = True
    field[moves] = velocity
    return RealMotion(moves, field, False, "made up")


def test_dis_measures_what_slides_and_what_stands_still() -> None:
    clip, mask = sliding()
    flow = mean_flow(clip)
    inside = cv2.erode(mask.astype(np.uint8), np.ones((17, 17), np.uint8)) > 0
    outside = cv2.dilate(mask.astype(np.uint8), np.ones((17, 17), np.uint8)) == 0
    assert np.median(flow[inside], axis=0) == pytest.approx(SLIDES, abs=0.1)
    assert np.abs(flow[outside]).mean() < 0.05
    real = told(96, 160, clip=clip)
    assert real is not None and real.said_by == MEASURED and not real.matte_known
    assert (real.moves & mask).sum() / (real.moves | mask).sum() > 0.7
    exact = np.where(mask[..., None], np.float32(SLIDES), np.float32(0))
    assert endpoint_error(exact, RealMotion(inside, flow, False, "")) == pytest.approx(0, abs=0.15)
    assert direction_error(exact, RealMotion(inside, flow, False, "")) == pytest.approx(0, abs=5)


def test_the_endpoint_error_is_the_length_of_the_difference() -> None:
    found = np.zeros((24, 40, 2), np.float32)
    found[:12] = (1.3, 0.4)
    found[12:] = 50  # where nothing truly moves nobody asks
    assert endpoint_error(found, truth((1, 0))) == pytest.approx(0.5)
    assert endpoint_error(np.zeros_like(found), truth((3, 4))) == pytest.approx(5)


@pytest.mark.parametrize(
    ("way", "angle"), [((2, 0), 0), ((0, 5), 90), ((0, -5), 90), ((-1, 0), 180), ((1, 1), 45)]
)
def test_the_direction_error_is_the_plain_angle_whatever_the_speed(
    way: tuple[float, float], angle: float
) -> None:
    found = np.zeros((24, 40, 2), np.float32)
    found[:6] = way  # half of what moves; where a loop stands still it has no direction
    assert direction_error(found, truth((1, 0))) == pytest.approx(angle, abs=1e-4)


def test_what_stands_still_has_no_direction() -> None:
    still = np.zeros((24, 40, 2), np.float32)
    assert direction_error(still, truth((1, 0))) is None
    assert direction_error(still + 1, truth((0.05, 0))) is None
    unknown = RealMotion(np.ones((24, 40), bool), None, True, "mask.png")
    assert endpoint_error(still, unknown) is None
    assert direction_error(still + 1, unknown) is None
    assert endpoint_error(still, replace(truth((1, 0)), moves=np.zeros((24, 40), bool))) is None


def test_a_file_says_the_velocity_at_any_size_in_pixels_of_its_own(tmp_path: Path) -> None:
    half = np.zeros((48, 80, 2), np.float32)
    half[24:] = (1, -0.5)
    np.save(tmp_path / "flow.npy", half)
    real = told(96, 160, velocity=tmp_path / "flow.npy")
    assert real is not None and real.velocity is not None
    assert real.velocity[60:].reshape(-1, 2) == pytest.approx(np.tile([2, -1], (36 * 160, 1)))
    assert real.moves[49:].all() and not real.moves[:47].any()
    assert (real.matte_known, real.said_by) == (False, "flow.npy")


def test_a_drawn_mask_goes_before_what_is_measured(tmp_path: Path) -> None:
    clip, mask = sliding(3)
    cv2.imwrite(str(tmp_path / "mask.png"), mask.astype(np.uint8) * 255)
    real = told(96, 160, mask=tmp_path / "mask.png", clip=clip)
    assert real is not None and real.matte_known
    assert np.array_equal(real.moves, mask)
    assert real.said_by == f"{MEASURED}, mask.png"
    alone = told(96, 160, mask=tmp_path / "mask.png")
    assert alone is not None and alone.velocity is None


def test_nothing_told_is_nothing_known(tmp_path: Path) -> None:
    assert told(96, 160) is None
    (tmp_path / "bad.flo").write_bytes(b"PIEH")
    with pytest.raises(StillflowError, match="cut short"):
        told(96, 160, velocity=tmp_path / "bad.flo")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(StillflowError):
        told(96, 160, mask=tmp_path / "bad.png")


def test_frames_too_small_for_dis_are_refused() -> None:
    with pytest.raises(StillflowError, match="too small"):
        mean_flow(Clip(np.zeros((2, 4, 4, 3), np.uint8), 12.0, "tiny"))


def test_a_loop_plays_its_velocity_where_it_flows(river_loop: Loop) -> None:
    played = played_velocity(river_loop.arrays)
    expected = 0.05 * 160 / 12 * river_loop.scene.speed_scale
    assert played[80, 80] == pytest.approx((expected, 0), abs=1e-3)
    assert not played[:40].any()
