# SPDX-License-Identifier: Apache-2.0
"""Rows of loops whose faults, and whose truth, are known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from stillflow.animator import Loop
from stillflow.errors import StillflowError
from stillflow.kernels.arrays import ByteArray
from stillflow.scene import Scene
from stillflow_bench import loops
from stillflow_bench.clip import Clip
from stillflow_bench.fidelity import psnr_of
from stillflow_bench.loops import REAL, measure, measure_loop
from stillflow_bench.real_motion import RealMotion, played_velocity
from stillflow_bench.report import Row

METHODS = ("stillflow", "repeat the photo", "plain warp")


def by_method(rows: list[Row], name: str) -> dict[str, Row]:
    return {row.parameters["method"]: row for row in rows if row.name == name}


@dataclass(frozen=True, eq=False)
class Flashing(Scene):
    """A scene whose odd frames are some levels brighter."""

    levels: int = 0

    def frame(self, t: float) -> ByteArray:
        frame = super().frame(t).astype(np.int16)
        return np.clip(frame + self.levels * (round(t) % 2), 0, 255).astype(np.uint8)


def flashing(loop: Loop, levels: int) -> Loop:
    return replace(loop, scene=Flashing(loop.arrays, loop.fps, levels=levels))


@pytest.fixture(scope="module")
def truth(river_loop: Loop) -> RealMotion:
    """The river's own motion."""
    played = played_velocity(river_loop.arrays)
    return RealMotion(np.asarray(river_loop.arrays.matte > 1), played, True, "made up")


@pytest.fixture(scope="module")
def slid(river_loop: Loop) -> Clip:
    """What the river would show if it slid along without end: its lower half, moved on by its velocity."""
    arrays = river_loop.arrays
    speed = float(played_velocity(arrays)[80, 80, 0])
    frames = []
    for t in range(arrays.frames):
        by = np.array([[1, 0, speed * t], [0, 1, 0]], np.float32)
        moved = cv2.warpAffine(
            arrays.photo, by, (160, 96), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
        frames.append(np.where(arrays.matte[..., None] > 1, moved, arrays.photo))
    return Clip(np.stack(frames).astype(np.uint8), river_loop.fps, "slid")


def test_every_method_has_the_curves_of_a_photos_loop(river_loop: Loop) -> None:
    rows = measure_loop("river", river_loop)
    for name in ("detail", "flicker along the path", "uncovered"):
        found = by_method(rows, name)
        assert tuple(found) == METHODS
        assert all(len(row.samples) == len(river_loop) for row in found.values())
    path = {method: row.value for method, row in by_method(rows, "flicker along the path").items()}
    # An eye that follows the river sees the photo, which stands still, rush by.
    assert path["repeat the photo"] > 2 * path["stillflow"]
    assert by_method(rows, "uncovered")["repeat the photo"].value == 0
    assert not {"PSNR", "endpoint error", "matte IoU"} & {row.name for row in rows}


def test_a_loop_that_flickers_shows_by_how_much(river_loop: Loop) -> None:
    rows = {n: measure_loop("river", flashing(river_loop, n)) for n in (0, 8)}
    clean, bright = (by_method(rows[n], "flicker along the path") for n in (0, 8))
    # Every step of 12 goes up or down by 8 levels, on top of or against what changes anyhow.
    assert min(bright["stillflow"].samples) > 8 - max(clean["stillflow"].samples)
    assert bright["stillflow"].value == pytest.approx(8, abs=1)
    assert clean["stillflow"].value < 3
    assert bright["plain warp"].samples == clean["plain warp"].samples


def test_a_loop_that_moves_as_it_should_has_no_error(river_loop: Loop, truth: RealMotion) -> None:
    rows = measure_loop("river", river_loop, truth)
    speed = float(np.hypot(*truth.velocity[truth.moves].T).mean())  # type: ignore[index]
    error = {method: row.value for method, row in by_method(rows, "endpoint error").items()}
    assert error == pytest.approx({"stillflow": 0, "repeat the photo": speed, "plain warp": 0}, abs=1e-5)
    assert {m: r.value for m, r in by_method(rows, "angular error").items()} == pytest.approx(
        {"stillflow": 0, "plain warp": 0}, abs=1e-3
    )
    overlap = {method: row.value for method, row in by_method(rows, "matte IoU").items()}
    assert overlap == {"stillflow": 1, "repeat the photo": 0, "plain warp": 1}
    assert rows[-1].parameters["truth"] == "made up"


def test_a_wrong_motion_has_the_error_that_was_put_in(river_loop: Loop, truth: RealMotion) -> None:
    assert truth.velocity is not None
    turned = np.stack([-truth.velocity[..., 1], truth.velocity[..., 0]], -1)
    half = truth.moves.copy()
    half[:, 80:] = False
    rows = measure_loop("river", river_loop, replace(truth, velocity=turned, moves=half))
    speed = float(np.hypot(*truth.velocity[half].T).mean())
    assert by_method(rows, "angular error")["stillflow"].value == pytest.approx(90, abs=1e-3)
    assert by_method(rows, "endpoint error")["stillflow"].value == pytest.approx(speed * 2**0.5, rel=1e-4)
    expected = half.sum() / truth.moves.sum()
    assert by_method(rows, "matte IoU")["stillflow"].value == pytest.approx(expected)


def test_a_clip_that_is_the_loop_itself_is_without_error(river_loop: Loop, truth: RealMotion) -> None:
    frames = np.stack([river_loop.frame(t) for t in range(len(river_loop))])
    rows = measure_loop("river", river_loop, truth, Clip(frames, river_loop.fps, "river"))
    for name in ("PSNR", "PSNR where it truly moves"):
        found = by_method(rows, name)
        assert found["stillflow"].samples == (psnr_of(0),) * (len(river_loop) - 1)
        assert found["repeat the photo"].value < 40
    for name in ("SSIM", "SSIM where it truly moves"):
        assert by_method(rows, name)["stillflow"].value == pytest.approx(1)
        assert by_method(rows, name)["repeat the photo"].value < 0.999
    # The same frames along the same path; those of a camera are not closed.
    path = by_method(rows, "flicker along the path")
    assert path[REAL].samples == pytest.approx(path["stillflow"].samples[:-1], abs=0.2)


def test_a_loop_goes_with_what_truly_slides_for_as_long_as_it_can(
    river_loop: Loop, truth: RealMotion, slid: Clip
) -> None:
    rows = measure_loop("river", river_loop, truth, slid)
    near = by_method(rows, "PSNR where it truly moves")
    assert all(len(row.samples) == len(river_loop) - 1 for row in near.values())
    assert near["stillflow"].samples[0] > near["repeat the photo"].samples[0] + 3
    # Half way through the loop its other half fades in, which no slide of the clip has.
    assert near["stillflow"].samples[0] > near["stillflow"].samples[6] + 3
    whole = by_method(rows, "PSNR")["stillflow"].samples
    assert all(w > m for w, m in zip(whole, near["stillflow"].samples, strict=True))


def test_a_clips_real_frames_have_only_what_means_something_for_them(
    river_loop: Loop, truth: RealMotion, slid: Clip
) -> None:
    rows = [row for row in measure_loop("river", river_loop, truth, slid) if row.parameters["method"] == REAL]
    assert {row.name for row in rows} == {*loops.SEEN_BY_A_CAMERA, "flicker along the path"}
    assert all(row.limit is None for row in rows)
    assert {len(row.samples) for row in rows if row.name in ("step", "flicker along the path")} == {11}


def test_nothing_moving_has_no_curves(river_loop: Loop) -> None:
    arrays = replace(river_loop.arrays, matte=np.zeros_like(river_loop.arrays.matte))
    rows = measure_loop("still", replace(river_loop, scene=Scene(arrays, river_loop.fps)))
    assert not {"detail", "flicker along the path", "uncovered"} & {row.name for row in rows}
    assert by_method(rows, "outside, worst frame")["stillflow"].holds


def write_clip(path: Path, clip: Clip) -> None:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=round(clip.fps))
        stream.height, stream.width = clip.frames.shape[1:3]
        stream.pix_fmt = "bgr0"
        for picture in clip.frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))


def test_photos_and_clips_are_measured_side_by_side(sample_photo: Path, slid: Clip, tmp_path: Path) -> None:
    write_clip(tmp_path / "slid.mkv", slid)
    rows = measure([sample_photo, tmp_path / "slid.mkv"], size=160, seconds=0.5, fps=8)
    about = {row.parameters["photo"]: row.parameters for row in rows}
    assert (about["waterfall"]["frames"], about["slid"]["frames"]) == (4, 6)
    assert about["slid"]["truth"] == "measured from the clip"
    assert {row.parameters["photo"] for row in rows if row.name == "PSNR"} == {"slid"}


def test_a_clip_gets_a_sheet_of_its_own(slid: Clip, tmp_path: Path) -> None:
    write_clip(tmp_path / "slid.mkv", slid)
    measure([tmp_path / "slid.mkv"], size=64, seconds=0.2, sheets=tmp_path / "sheets")
    assert [path.name for path in (tmp_path / "sheets").iterdir()] == ["slid.png"]


def test_the_truth_is_about_one_file(sample_photo: Path, tmp_path: Path) -> None:
    with pytest.raises(StillflowError, match="which file the truth belongs to"):
        measure([sample_photo, sample_photo], mask=tmp_path / "mask.png")
