# SPDX-License-Identifier: Apache-2.0
"""A Motion refuses what does not fit and draws what it holds."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from stillflow.errors import StillflowError
from stillflow.motion import CLASS_NAMES, FLOW_CLASSES, SWAY_CLASSES, Motion

from .scenes import falling_motion, falling_photo


def test_every_class_is_still_flowing_or_swaying():
    assert sorted({0, 9, *FLOW_CLASSES, *SWAY_CLASSES}) == list(range(len(CLASS_NAMES)))


def test_flow_and_sway_mattes_do_not_overlap():
    motion = falling_motion(64, 64)
    assert motion.flow_matte.any()
    assert not (motion.flow_matte * motion.sway_matte).any()


@pytest.mark.parametrize("name", ["velocity", "matte", "classes", "confidence", "sway"])
def test_a_wrong_shape_is_refused(name):
    good = vars(falling_motion(64, 64))
    with pytest.raises(StillflowError, match=name):
        Motion(**(good | {name: good[name][..., :3, :]}))


def test_not_a_number_is_refused():
    good = vars(falling_motion(64, 64))
    velocity = good["velocity"].copy()
    velocity[0, 0, 0] = np.nan
    with pytest.raises(StillflowError, match="NaN"):
        Motion(**(good | {"velocity": velocity}))


def test_the_picture_tints_only_what_moves():
    photo, motion = falling_photo()
    picture = motion.picture(photo.pixels)
    assert picture.shape == photo.pixels.shape
    assert np.array_equal(picture[:, :16], photo.pixels[:, :16])
    assert not np.array_equal(picture[:, 40:80], photo.pixels[:, 40:80])


def test_it_comes_back_from_its_file(tmp_path):
    motion = falling_motion(64, 80)
    motion.save(tmp_path / "m.npz")
    again = Motion.load(tmp_path / "m.npz")
    for name in ("velocity", "matte", "classes", "confidence", "sway"):
        assert np.array_equal(getattr(again, name), getattr(motion, name))
    assert (again.height, again.width) == (64, 80)


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "flipped", "header", "missing"])
def test_a_damaged_file_is_refused(tmp_path, damage):
    path = tmp_path / "m.npz"
    falling_motion(64, 80).save(path)
    data = bytearray(path.read_bytes())
    if damage == "header":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("size.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': (((((((\n")
    elif damage == "missing":
        path.unlink()
    else:
        middle = len(data) // 2
        data[middle] ^= 0xFF
        path.write_bytes(
            {"empty": b"", "text": b"hello", "cut": data[:middle], "flipped": bytes(data)}[damage]
        )
    with pytest.raises(StillflowError, match="cannot read the motion"):
        Motion.load(path)
