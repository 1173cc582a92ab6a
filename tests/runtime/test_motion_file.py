# SPDX-License-Identifier: Apache-2.0
"""Motions on disk: whole or not at all, and never under a wrong name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stillflow.errors import StillflowError
from stillflow.kernels.arrays import ByteArray
from stillflow.motion import Motion
from stillflow.motion_file import check_motion_target, write_motion
from stillflow.photo import Photo


@pytest.fixture
def motion() -> Motion:
    """The lower half of the scenery flows to the right, an eighth of the width a second."""
    matte = np.zeros((24, 32), np.float32)
    matte[12:] = 1
    return Motion(
        velocity=np.broadcast_to(np.float32([0.125, 0]), (24, 32, 2)).copy(),
        matte=matte,
        classes=matte.astype(np.uint8),
        confidence=np.ones((24, 32), np.float32),
        sway=np.zeros((0, 24, 32, 4), np.float32),
        height=96,
        width=128,
    )


def test_arrays_come_back(tmp_path: Path, scenery: ByteArray, motion: Motion) -> None:
    write_motion(tmp_path / "motion.npz", Photo.from_array(scenery), motion)
    assert [p.name for p in tmp_path.iterdir()] == ["motion.npz"]
    back = Motion.load(tmp_path / "motion.npz")
    assert np.array_equal(back.velocity, motion.velocity)
    assert np.array_equal(back.matte, motion.matte)


def test_picture_marks_what_moves_only(tmp_path: Path, scenery: ByteArray, motion: Motion) -> None:
    write_motion(tmp_path / "motion.png", Photo.from_array(scenery), motion)
    drawn = np.asarray(Image.open(tmp_path / "motion.png"))
    assert drawn.shape == scenery.shape
    assert np.array_equal(drawn[:40], scenery[:40])
    assert not np.array_equal(drawn[56:], scenery[56:])


@pytest.mark.parametrize("suffix", [".npz", ".png"])
def test_failure_leaves_nothing_and_loses_nothing(
    tmp_path: Path, scenery: ByteArray, motion: Motion, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"motion{suffix}"
    path.write_bytes(b"old")

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(StillflowError, match="full"):
        write_motion(path, Photo.from_array(scenery), motion)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"old"


def test_extension_decides(tmp_path: Path) -> None:
    for name in ("motion", "motion.jpg"):
        with pytest.raises(StillflowError, match="extension"):
            check_motion_target(tmp_path / name)
    assert check_motion_target(tmp_path / "MOTION.NPZ").name == "MOTION.NPZ"


def test_existing_file_needs_force(tmp_path: Path) -> None:
    (tmp_path / "motion.npz").touch()
    with pytest.raises(StillflowError, match="--overwrite"):
        check_motion_target(tmp_path / "motion.npz")
    check_motion_target(tmp_path / "motion.npz", overwrite=True)
