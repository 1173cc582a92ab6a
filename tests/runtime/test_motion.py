# SPDX-License-Identifier: Apache-2.0
"""A Motion refuses what does not fit and draws what it holds."""

from __future__ import annotations

import math
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


def complete_motion(height=64, width=80):
    """A motion whose every array holds something."""
    plain = vars(falling_motion(height, width))
    h, w = plain["matte"].shape
    rng = np.random.default_rng(0)
    more = {
        "sway": rng.normal(0, 1e-3, (2, h, w, 4)).astype(np.float32),
        "light": rng.normal(0, 1e-2, (3, h, w, 2)).astype(np.float32),
        "order": rng.integers(0, 5, (h, w)).astype(np.uint8),
        "doubt": rng.random((h, w)).astype(np.float32),
        "suitability": 0.75,
        "sway_hz": np.array([0.3, 0.8], np.float32),
        "light_hz": np.array([1, 2.5, 3], np.float32),
    }
    return Motion(**(plain | more))


ARRAYS = (
    "velocity",
    "matte",
    "classes",
    "confidence",
    "sway",
    "light",
    "order",
    "doubt",
    "sway_hz",
    "light_hz",
)


@pytest.mark.parametrize("name", ARRAYS)
def test_a_wrong_shape_is_refused(name):
    good = vars(complete_motion())
    bad = good[name][..., :3, :] if good[name].ndim > 1 else good[name][:1]
    with pytest.raises(StillflowError, match=name):
        Motion(**(good | {name: bad}))


def test_a_frequency_of_zero_is_refused():
    with pytest.raises(StillflowError, match="light_hz"):
        Motion(**(vars(complete_motion()) | {"light_hz": np.array([1, 0, 3], np.float32)}))


@pytest.mark.parametrize("name", ["velocity", "sway", "light", "doubt"])
def test_not_a_number_is_refused(name):
    good = vars(complete_motion())
    bad = good[name].copy()
    bad.flat[0] = np.nan
    with pytest.raises(StillflowError, match="NaN"):
        Motion(**(good | {name: bad}))


@pytest.mark.parametrize("value", [-0.1, 1.5, math.inf])
def test_a_suitability_that_is_no_probability_is_refused(value):
    with pytest.raises(StillflowError, match="suitability"):
        Motion(**(vars(falling_motion(64, 64)) | {"suitability": value}))


def test_what_is_left_out_says_nothing():
    motion = falling_motion(64, 80)
    assert motion.light.shape == (0, 16, 20, 2)
    assert motion.order.shape == motion.doubt.shape == (16, 20)
    assert not motion.order.any()
    assert not motion.doubt.any()
    assert math.isnan(motion.suitability)


def test_the_picture_tints_only_what_moves():
    photo, motion = falling_photo()
    picture = motion.picture(photo.pixels)
    assert picture.shape == photo.pixels.shape
    assert np.array_equal(picture[:, :16], photo.pixels[:, :16])
    assert not np.array_equal(picture[:, 40:80], photo.pixels[:, 40:80])


def test_it_comes_back_from_its_file(tmp_path):
    motion = complete_motion(64, 80)
    motion.save(tmp_path / "m.npz")
    again = Motion.load(tmp_path / "m.npz")
    for name in ARRAYS:
        assert np.array_equal(getattr(again, name), getattr(motion, name))
    assert (again.height, again.width, again.suitability) == (64, 80, 0.75)


def test_a_file_of_the_first_version_is_read(tmp_path):
    complete_motion(64, 80).save(tmp_path / "new.npz")
    with np.load(tmp_path / "new.npz") as new:
        later = ("light", "order", "doubt", "suitability", "sway_hz", "light_hz")
        np.savez(tmp_path / "old.npz", **{name: new[name] for name in new.files if name not in later})
    old = Motion.load(tmp_path / "old.npz")
    assert old.sway_hz.tolist() == [0.25, 0.5]
    assert old.light.shape == (0, 16, 20, 2)
    assert math.isnan(old.suitability)


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
